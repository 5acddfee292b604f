"""Linear maps as connections: indices and sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from nengo.transforms import Sparse

from nengo_dl.runtime import backends

Shape = tuple[int, ...]

#: integers up to this are exact in single precision
EXACT = 2**24


def array(tensor: Any) -> np.ndarray:
    """The values of a Keras variable or tensor."""
    return backends.active().array(keras.ops.convert_to_tensor(tensor))


def moved_indices(layer: keras.Layer, shape: Shape) -> np.ndarray:
    """Where each element of the output of a layer that only moves numbers comes from.

    The layer itself says so: it is applied to an array of numbers 1, 2, ...

    Returns
    -------
    array of int
        For each element of the flat output its index in the flat input; -1 where the layer puts a
        zero.
    """
    size = int(np.prod(shape))
    if size >= EXACT:
        raise OverflowError(f"{layer.name}: {size} values are too many")
    numbers = np.arange(1, size + 1, dtype=np.float32).reshape(1, *shape)
    output = keras.ops.convert_to_numpy(layer.call(keras.ops.convert_to_tensor(numbers)))
    return np.rint(output).astype(np.int64).ravel() - 1


def part(obj: Any, indices: np.ndarray, size: int) -> Any:
    """``obj[indices]`` of a Nengo object with ``size`` values, as a slice where it is one."""
    indices = np.asarray(indices)
    if len(indices) == size and np.array_equal(indices, np.arange(size)):
        return obj
    steps = np.diff(indices)
    if len(indices) == 1 or (steps[0] > 0 and np.all(steps == steps[0])):
        step = 1 if len(indices) == 1 else int(steps[0])
        return obj[int(indices[0]) : int(indices[-1]) + 1 : step]
    return obj[indices.tolist()]


def along_axes(matrices: Sequence[np.ndarray]) -> Sparse:
    """The transform that multiplies each axis of an array with a matrix of its own.

    Parameters
    ----------
    matrices
        For each axis a matrix of shape (size of the output, size of the input).

    Returns
    -------
    nengo.Sparse
        Their Kronecker product, for arrays flattened in C order.
    """
    rows, columns = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    values = np.ones(1)
    for matrix in matrices:
        row, column = np.nonzero(matrix)
        rows = np.add.outer(rows * matrix.shape[0], row).ravel()
        columns = np.add.outer(columns * matrix.shape[1], column).ravel()
        values = np.multiply.outer(values, matrix[row, column]).ravel()
    order = np.lexsort((columns, rows))
    size_out, size_in = (int(np.prod([m.shape[i] for m in matrices])) for i in (0, 1))
    return Sparse(
        (size_out, size_in),
        indices=np.stack([rows, columns], axis=1)[order],
        init=values[order],
    )


def window_starts(size: int, window: int, stride: int, padding: str) -> tuple[np.ndarray, int]:
    """First positions of windows along an axis, which may lie in the padding, and their number.

    "same" pads as TensorFlow does: ``ceil(size / stride)`` windows, with the smaller half of an odd
    padding first.
    """
    if padding == "same":
        n = -(-size // stride)
        before = max((n - 1) * stride + window - size, 0) // 2
    else:
        n, before = (size - window) // stride + 1, 0
    return np.arange(n) * stride - before, n
