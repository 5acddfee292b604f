"""The derivative of `keras.ops.slice_update`, an operation of XLA for which TensorFlow has none."""

from __future__ import annotations

from contextlib import suppress

import tensorflow as tf
from keras import ops


def _gradient(operation, gradient):
    _, update, start = operation.inputs
    start = tf.unstack(start, len(update.shape))
    of_update = ops.slice(gradient, start, update.shape)
    return ops.slice_update(gradient, start, tf.zeros_like(of_update)), of_update, None


def register() -> None:
    """Let TensorFlow know it, where nobody else has done so."""
    with suppress(KeyError):
        tf.RegisterGradient("XlaDynamicUpdateSlice")(_gradient)
