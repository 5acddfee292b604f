"""Nodes without a state as transforms of connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nengo
import nir
import numpy as np
from nengo.transforms import NoTransform

from nengo_dl.nir.reading.shapes import POOLS, Shape, paddings, parameter, spread
from nengo_dl.nir.writing.convolution import same_padding

TYPES = (nir.Affine, nir.Linear, nir.Scale, nir.Conv1d, nir.Conv2d, nir.Flatten, *POOLS)


@dataclass(frozen=True, eq=False)
class Weights:
    """What a node without a state does.

    Attributes
    ----------
    transform
        For a connection.
    bias
        What is added to the result, (size_out,); None for nothing.
    padded
        Shape of the input with zeros around it, and the places of the input in it; None where
        there are none.
    """

    transform: Any
    bias: np.ndarray | None = None
    padded: tuple[Shape, np.ndarray] | None = None


def read_weights(name: str, node: nir.NIRNode, shape: Shape) -> Weights:
    """What a node does to an input of this shape."""
    if isinstance(node, (nir.Affine, nir.Linear)):
        bias = getattr(node, "bias", None)
        bias = None if bias is None else _bias(np.asarray(bias, dtype=float), node)
        return Weights(_matrix(np.asarray(node.weight, dtype=float)), bias)
    if isinstance(node, nir.Scale):
        return Weights(parameter(node, "scale", shape, name))
    if isinstance(node, nir.Flatten):
        return Weights(NoTransform(int(np.prod(shape))))
    if isinstance(node, POOLS):
        return _pool(node, shape)
    return _convolution(node, shape)


def _matrix(weight: np.ndarray) -> Any:
    """A matrix, or for several of them one for each part of the input."""
    if weight.ndim == 2:
        return weight
    blocks = weight.reshape(-1, *weight.shape[-2:])
    n, rows, columns = blocks.shape
    indices = [
        (b * rows + i, b * columns + j)
        for b in range(n)
        for i in range(rows)
        for j in range(columns)
    ]
    return nengo.Sparse((n * rows, n * columns), indices=indices, init=blocks.ravel())


def _bias(bias: np.ndarray, node: nir.NIRNode) -> np.ndarray | None:
    shape = (*np.shape(node.weight)[:-2], np.shape(node.weight)[-2])
    return np.broadcast_to(bias, shape).ravel() if np.any(bias) else None


def _convolution(node: nir.NIRNode, shape: Shape) -> Weights:
    weight = np.asarray(node.weight, dtype=float)
    n = weight.ndim - 2
    kernel = np.moveaxis(weight, (0, 1), (-1, -2))
    kernel = _dilate(kernel, spread(node.dilation, n))
    pads = [paddings(node.padding, n, kernel.shape[i], i) for i in range(n)]
    strides = spread(node.stride, n)
    transform, padded, out = _padded_convolution(kernel, shape, strides, pads, int(node.groups))
    bias = np.asarray(node.bias, dtype=float)
    repeated = np.repeat(bias, int(np.prod(out))) if np.any(bias) else None
    return Weights(transform, repeated, padded)


def _pool(node: nir.NIRNode, shape: Shape) -> Weights:
    size, channels = spread(node.kernel_size, 2), shape[0]
    value = 1.0 if isinstance(node, nir.SumPool2d) else 1.0 / np.prod(size)
    kernel = np.full((*size, 1, channels), value)
    pads = [(p, p) for p in spread(node.padding, 2)]
    strides = spread(node.stride, 2)
    transform, padded, _ = _padded_convolution(kernel, shape, strides, pads, channels)
    return Weights(transform, None, padded)


def _dilate(kernel: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    """With zeros between the elements of the kernel, which Nengo's convolutions have not."""
    n = len(dilation)
    sizes = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:n], dilation, strict=True)]
    result = np.zeros((*sizes, *kernel.shape[n:]))
    result[tuple(slice(None, None, d) for d in dilation)] = kernel
    return result


def _padded_convolution(
    kernel: np.ndarray,
    shape: Shape,
    strides: Sequence[int],
    pads: Sequence[tuple[int, int]],
    groups: int,
) -> tuple[nengo.Convolution, tuple[Shape, np.ndarray] | None, Shape]:
    """A convolution, how its input is padded before it, and the spatial shape of its output."""
    sizes = shape[1:]
    n = len(sizes)
    out = tuple(
        (m + b + a - k) // s + 1
        for m, (b, a), k, s in zip(sizes, pads, kernel.shape[:n], strides, strict=True)
    )
    arguments = {"strides": tuple(strides), "channels_last": False, "groups": groups}
    if not np.any(pads):
        return _transform(kernel, shape, padding="valid", **arguments), None, out
    extended = _extended(kernel, sizes, strides, pads, out)
    if extended is not None:
        return _transform(extended, shape, padding="same", **arguments), None, out
    larger = (shape[0], *(m + b + a for m, (b, a) in zip(sizes, pads, strict=True)))
    inner = tuple(slice(b, b + m) for m, (b, _) in zip(sizes, pads, strict=True))
    places = np.arange(np.prod(larger)).reshape(larger)[(slice(None), *inner)].ravel()
    return _transform(kernel, larger, padding="valid", **arguments), (larger, places), out


def _transform(kernel: np.ndarray, shape: Shape, **arguments: Any) -> nengo.Convolution:
    return nengo.Convolution(
        kernel.shape[-1], shape, kernel_size=kernel.shape[:-2], init=kernel, **arguments
    )


def _extended(kernel, sizes, strides, pads, out) -> np.ndarray | None:
    """The kernel with zeros on one side, such that Nengo's padding "same" does what these pads do;
    None where it cannot.
    """
    zeros = []
    for i, (size, stride, (before, _)) in enumerate(zip(sizes, strides, pads, strict=True)):
        if out[i] != -(-size // stride):
            return None
        length = kernel.shape[i]
        surplus = 2 * before - ((out[i] - 1) * stride + length - size)
        front, back = max(-surplus, 0), max(surplus, 0)
        if same_padding(size, length + front + back, stride)[0] != before + front:
            return None
        zeros.append((front, back))
    return np.pad(kernel, [*zeros, (0, 0), (0, 0)])
