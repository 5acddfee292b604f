"""Convolutions, and those of them that are pools."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np

from nengo_dl.nir.writing.layouts import of_image
from nengo_dl.nir.writing.operations import Convolve


def convolution_node(op: Convolve, array: Callable) -> nir.NIRNode:
    """A convolution as Conv1d, Conv2d, SumPool2d or AvgPool2d."""
    transform = op.transform
    pool = _pool(op)
    if pool is not None:
        kind, size = pool
        node = kind(
            kernel_size=np.array(size),
            stride=np.array(transform.strides),
            padding=np.array([before for before, _ in _pads(op)]),
        )
        return _with_types(node, op)
    sizes = op.input_shape.spatial_shape
    pairs = _pads(op)
    padding = [max(pair) for pair in pairs]
    # the same on both sides is all that NIR knows; zeros in the kernel take the difference
    zeros = [(p - before, p - after) for p, (before, after) in zip(padding, pairs, strict=True)]
    kernel = np.pad(op.kernel, [*zeros, (0, 0), (0, 0)])
    weight = array(np.moveaxis(kernel, (-1, -2), (0, 1)))
    one = len(sizes) == 1
    node = (nir.Conv1d if one else nir.Conv2d)(
        input_shape=int(sizes[0]) if one else tuple(int(n) for n in sizes),
        weight=weight,
        stride=int(transform.strides[0]) if one else tuple(int(s) for s in transform.strides),
        padding=int(padding[0]) if one else tuple(int(p) for p in padding),
        dilation=1 if one else (1, 1),
        groups=int(transform.groups),
        bias=array(op.bias),
    )
    return _with_types(node, op)


def _pads(op: Convolve) -> list[tuple[int, int]]:
    """Zeros before and after each axis."""
    transform = op.transform
    if op.around is not None:
        return list(op.around)
    if transform.padding == "valid":
        return [(0, 0)] * transform.dimensions
    axes = (op.input_shape.spatial_shape, transform.kernel_size, transform.strides)
    return [same_padding(n, k, s) for n, k, s in zip(*axes, strict=True)]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as nengo.transforms.Convolution has them with padding "same"."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _pool(op: Convolve) -> tuple[type, tuple[int, ...]] | None:
    """The pool that a convolution is, with the size of its windows; None where it is none."""
    transform = op.transform
    channels = transform.input_shape.n_channels
    depthwise = transform.groups == channels == transform.n_filters
    pairs = _pads(op)
    if transform.dimensions != 2 or not depthwise or any(a != b for a, b in pairs):
        return None
    if np.any(op.bias) or np.ptp(op.kernel) != 0 or transform.kernel_size == (1, 1):
        return None
    value = op.kernel.flat[0]
    if value == 1:
        return nir.SumPool2d, transform.kernel_size
    area = int(np.prod(transform.kernel_size))
    return (nir.AvgPool2d, transform.kernel_size) if np.isclose(value, 1 / area) else None


def _with_types(node: nir.NIRNode, op: Convolve) -> nir.NIRNode:
    """With the shapes that it has; nir 1.0.8 gives others to kernels that are not square, and to
    groups.
    """
    node.input_type = {"input": np.array(of_image(op.input_shape).shape)}
    node.output_type = {"output": np.array(of_image(op.transform.output_shape).shape)}
    return node
