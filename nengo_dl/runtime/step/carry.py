"""The shapes in which the loop over the steps carries the state.

A layout keeps every tensor as (batch, width). Large matrices, learned weights above all, are
carried as matrices: in a loop over flat elements, XLA finds the row and the column of each by a
division, which takes several times as long as the product that it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras.ops as ops

from nengo_dl.compiler.layout import LARGE, Stored


class Carry:
    """Converts between the two, for the states of a network.

    Attributes
    ----------
    shapes
        For each state, the shape without the axis for the batch, or None for (width,).
    """

    def __init__(self, states: Sequence[Stored]):
        self.shapes = [_matrices(stored) for stored in states]
        self._flat_shapes = [
            None if shape is None else (stored.tensor.width,)
            for stored, shape in zip(states, self.shapes, strict=True)
        ]

    def shaped(self, state: Sequence[Any]) -> list:
        """As the loop carries it; what follows the states is left as it is."""
        return _reshaped(state, self.shapes)

    def flat(self, state: Sequence[Any]) -> list:
        """As the layout has it: the inverse of `shaped`."""
        return _reshaped(state, self._flat_shapes)


def _reshaped(state: Sequence[Any], shapes: Sequence[tuple[int, ...] | None]) -> list:
    own = [
        value if shape is None else ops.reshape(value, (-1, *shape))
        for value, shape in zip(state, shapes, strict=False)
    ]
    return [*own, *state[len(own) :]]


def _matrices(stored: Stored) -> tuple[int, ...] | None:
    shapes = {() if signal.sparse else signal.shape for signal in stored.signals}
    shape = shapes.pop()
    if shapes or len(shape) != 2 or stored.tensor.width < LARGE:
        return None
    return (len(stored.signals), *shape)
