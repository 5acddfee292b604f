"""Rectified linear neurons with an upper bound."""

from __future__ import annotations

import keras.ops as ops

from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import ClippedReLU


@register_neurons(ClippedReLU)
def clipped_relu(context, J, max_value, negative_slope, threshold, amplitude):
    """`nengo_dl.ClippedReLU`."""
    below = negative_slope * (J - threshold)
    return amplitude * ops.where(J < threshold, below, ops.minimum(J, max_value))
