"""Keras's training and evaluation functions, without XLA where XLA cannot compile them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import keras

logger = logging.getLogger(__name__)


def with_fallback(
    function: Callable[[Iterator], Any],
    model: keras.Model,
    make_again: Callable[[], Callable[[Iterator], Any]],
    backend: Any,
) -> Callable[[Iterator], Any]:
    """A function that takes batches from an iterator as ``function`` does.

    The batches of its first call are taken out beforehand, so that none is lost where XLA refuses;
    XLA does so before it computes anything.

    Parameters
    ----------
    function
        Made by Keras.
    model
        Whose ``jit_compile`` is set to False where XLA refuses.
    make_again
        Makes ``function`` anew.
    backend
        Module of `nengo_dl.runtime.backends`.
    """
    known = not model.jit_compile

    def run(iterator: Iterator) -> Any:
        nonlocal function, known
        if known:
            return function(iterator)
        batches = list(itertools.islice(iterator, model.steps_per_execution))
        if not batches:
            raise StopIteration
        try:
            result = function(backend.iterator_of(batches, iterator))
        except Exception as error:
            if not backend.is_refusal(error):
                raise
            logger.info("XLA cannot compile this network, training it as a plain graph: %s", error)
            model.jit_compile = False
            function = make_again()
            result = function(backend.iterator_of(batches, iterator))
        known = True
        return result

    return run
