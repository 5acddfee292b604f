"""Keras regularizers, called with a Nengo connection's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras.ops as ops


@dataclass(frozen=True)
class InKerasShape:
    """A regularizer of weights whose axes Keras has in another order or shape.

    Attributes
    ----------
    regularizer
        The Keras regularizer.
    shape
        The shape into which Nengo's weights are brought first ...
    axes
        ... and the order in which Keras has the axes of that.
    """

    regularizer: Callable[[Any], Any]
    shape: tuple[int, ...]
    axes: tuple[int, ...] | None = None

    def __call__(self, weights: Any) -> Any:
        """What is added to the loss."""
        weights = ops.reshape(weights, self.shape)
        return self.regularizer(weights if self.axes is None else ops.transpose(weights, self.axes))


def in_keras_shape(
    regularizer: Callable | None, shape: tuple[int, ...], axes: tuple[int, ...] | None = None
) -> InKerasShape | None:
    """The regularizer for Nengo's weights; None where there is none."""
    return None if regularizer is None else InKerasShape(regularizer, shape, axes)
