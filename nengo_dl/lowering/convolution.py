"""Convolutions of one, two and three dimensions, and their transposes.

Nengo's arithmetic (`nengo.builder.transforms`) is followed to the padding: "same" puts the smaller
half of an odd padding first in a convolution, and a transposed convolution is the gradient of a
convolution to an input of the shape asked for.
"""

from __future__ import annotations

from math import ceil, prod

import keras.ops as ops
from nengo.builder.transforms import ConvInc, ConvTransposeInc
from nengo.transforms import ChannelShape

from nengo_dl.compiler.kernel import Prepared, SingleOperatorKernel, register


class ConvolutionKernel(SingleOperatorKernel):
    """``Y += W * X``"""

    convolves = True
    every_step_alone = True

    def writes(self, op):
        return (op.Y,)

    def prepare_one(self, op, settings):
        shape, apply = op.W.shape, self.function(op.conv)
        half = settings.half_for(prod(shape[:-1]), shape[-1]) if op.W.readonly else None
        if half is not None:
            apply = settings.half_convolution(apply, half)

        def step(context, constants, weights, x):
            weights = ops.reshape(weights, (-1, *shape))
            x = _to_image(x, op.conv.input_shape)
            if weights.shape[0] == 1:
                y = apply(weights[0], x)
            else:  # each item of the minibatch has weights of its own
                items = range(weights.shape[0])
                several = x.shape[0] > 1
                y = ops.concatenate(
                    [apply(weights[i], x[i : i + 1] if several else x) for i in items]
                )
            return (_from_image(y, op.conv.output_shape),)

        return Prepared(step)

    def function(self, conv):
        """``f(weights, x) -> y`` for images of shape (batch, ..., channels)."""

        def convolve(weights, x):
            return ops.conv(
                x,
                weights,
                strides=conv.strides,
                padding=conv.padding,
                data_format="channels_last",
            )

        return convolve


class TransposedConvolutionKernel(ConvolutionKernel):
    """The gradient of a convolution with respect to its input."""

    def function(self, conv):
        cuts = [_cut(conv, axis) for axis in range(conv.dimensions)]

        def convolve_transposed(weights, x):
            y = ops.conv_transpose(
                x,
                ops.swapaxes(weights, -1, -2),
                strides=conv.strides,
                padding="valid",
                data_format="channels_last",
            )
            missing = [max(cut.stop - n, 0) for cut, n in zip(cuts, y.shape[1:-1], strict=True)]
            if any(missing):
                y = ops.pad(y, [(0, 0), *((0, n) for n in missing), (0, 0)])
            return y[(slice(None), *cuts)]

        return convolve_transposed


def _cut(conv, axis: int) -> slice:
    """The part of the full transposed convolution that Nengo's padding leaves, along one spatial
    axis.
    """
    size_in = conv.input_shape.spatial_shape[axis]
    size_out = conv.output_shape.spatial_shape[axis]
    kernel, stride = conv.kernel_size[axis], conv.strides[axis]
    padding = 2 * (kernel - 1)
    if conv.padding == "same":
        needed = size_out + kernel - 1 - ((size_in - 1) * stride + 1)
        padding = min(max(needed, 0), padding)
    start = kernel - 1 - ceil(padding / 2)
    return slice(start, start + size_out)


def _to_image(x, shape: ChannelShape):
    """(batch, size) -> (batch, ..., channels)"""
    x = ops.reshape(x, (-1, *shape.shape))
    return x if shape.channels_last else ops.moveaxis(x, 1, -1)


def _from_image(y, shape: ChannelShape):
    """The inverse of `_to_image`."""
    if not shape.channels_last:
        y = ops.moveaxis(y, -1, 1)
    return ops.reshape(y, (-1, shape.size))


def _is_supported(op) -> bool:
    return 1 <= op.conv.dimensions <= 3


@register(ConvInc)
def _choose_convolution(op):
    return ConvolutionKernel() if _is_supported(op) else None


@register(ConvTransposeInc)
def _choose_transposed_convolution(op):
    return TransposedConvolutionKernel() if _is_supported(op) else None
