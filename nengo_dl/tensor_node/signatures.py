"""What functions and layers want to be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def takes_separately(function: Callable, n_inputs: int, pass_time: bool) -> bool:
    """Whether several inputs are arguments of their own, and not one list of tensors: where the
    function needs more than one argument besides the time.
    """
    if n_inputs < 2:
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) - int(pass_time) > 1


def takes_training(layer: Any) -> bool:
    """Whether a layer is to be told whether it is called in training."""
    return "training" in inspect.signature(layer.call).parameters


def takes_one(call: Callable, besides: int = 0) -> bool:
    """Whether the ``call`` of a Keras layer takes one argument for all of its inputs, as most do,
    and ``besides`` others.
    """
    parameters = inspect.signature(call).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return False
    taken = [
        p
        for p in parameters
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        and p.name not in ("training", "mask")
    ]
    return len(taken) == 1 + besides
