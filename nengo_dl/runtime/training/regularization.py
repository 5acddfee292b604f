"""What the weights of connections add to the loss in training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import keras.ops as ops
from nengo import Connection, Network
from nengo.builder.signal import Signal

from nengo_dl.compiler.layout import Stored
from nengo_dl.config import ConnectionSettings
from nengo_dl.runtime.parameters.stored import Parameter
from nengo_dl.runtime.sequences.keras_model import NengoModel


@dataclass(frozen=True)
class Term:
    """A function of some columns of a stored tensor, in the shape that the weights have in
    Nengo.
    """

    function: Callable[[Any], Any]
    columns: slice
    shape: tuple[int, ...]


class StoredRegularizer(keras.regularizers.Regularizer):
    """The sum of the terms of all connections whose weights a stored tensor holds.

    Called with the tensor, of shape (1, width), as Keras calls the regularizer of a variable.
    """

    def __init__(self, terms: Iterable[Term]):
        self.terms = tuple(terms)

    def __call__(self, values: Any) -> Any:
        """What is added to the loss, a scalar."""
        return sum(
            ops.sum(term.function(ops.reshape(values[0, term.columns], term.shape)))
            for term in self.terms
        )


def add_regularizers(
    model: NengoModel, parameters: Iterable[Parameter], toplevel: Network | None
) -> None:
    """Let the loss of a model hold what the settings of its connections say."""
    if toplevel is None:
        return
    settings = ConnectionSettings(toplevel)
    by_signal = {p.signal.base: p.obj for p in parameters if isinstance(p.obj, Connection)}
    for stored in model.lowered.layout.of_kind("parameter"):
        # Keras adds the regularizers of a model's variables to its loss
        model.stored_variable(stored).regularizer = _regularizer(stored, by_signal, settings)


def _regularizer(
    stored: Stored, by_signal: dict[Signal, Connection], settings: ConnectionSettings
) -> StoredRegularizer | None:
    """The regularizer of a stored tensor; None where no connection has one."""
    terms = []
    for signal, columns in stored.spans():
        conn = by_signal.get(signal)
        function = None if conn is None else settings.regularizer(conn)
        if function is not None:
            shape = (columns.stop - columns.start,) if signal.sparse else signal.shape
            terms.append(Term(function, columns, shape))
    return StoredRegularizer(terms) if terms else None
