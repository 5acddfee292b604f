"""Where the elements of a Nengo signal lie in its base, and their initial values.

Signals are only read here: what the compiler knows about one is kept in tables of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from nengo.builder.signal import Signal

Indices = range | np.ndarray


def signal_size(signal: Signal) -> int:
    """Number of stored elements (of a sparse signal: its non-zero entries)."""
    value = signal.initial_value
    if type(value) is np.ndarray:  # to ask whether it is sparse takes as long as all else
        return value.size
    return len(sparse_data(signal)) if signal.sparse else signal.size


def sparse_data(signal: Signal) -> np.ndarray:
    """The stored entries of a sparse signal, in the order in which the matrix holds them."""
    return np.ravel(signal.initial_value.data)


def initial_values(signal: Signal) -> np.ndarray:
    """The initial values of a base signal as a vector."""
    return sparse_data(signal) if signal.sparse else np.ravel(signal.initial_value)


def view_indices(signal: Signal) -> Indices:
    """Positions of the elements of ``signal`` (in C order) among those of its base."""
    if not signal.is_view:
        return range(signal_size(signal))
    value = signal.initial_value  # directly, since a signal works out its strides anew each time
    itemsize = value.itemsize
    strides = [stride // itemsize for stride in value.strides]
    return _strided(signal.offset // itemsize, value.shape, strides)


def _strided(offset: int, shape: tuple[int, ...], strides: Sequence[int]) -> Indices:
    # axes of length one say nothing about the positions
    axes = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    if not axes:
        return range(offset, offset + 1)
    if _contiguous(axes):
        return range(offset, offset + math.prod(n for n, _ in axes))
    if len(axes) == 1 and axes[0][1] > 0:
        n, step = axes[0]
        return range(offset, offset + n * step, step)
    positions = np.asarray(offset)
    for n, step in axes:
        positions = positions[..., None] + np.arange(n) * step
    return positions.ravel()


def _contiguous(axes: list[tuple[int, int]]) -> bool:
    expected = 1
    for n, step in reversed(axes):
        if step != expected:
            return False
        expected *= n
    return True


def as_array(indices: Indices) -> np.ndarray:
    """``indices`` as an integer array."""
    if isinstance(indices, range):
        return np.arange(indices.start, indices.stop, indices.step)
    return indices


def take(values: Indices, indices: Indices) -> Indices:
    """``values[indices]`` that keeps ranges as ranges."""
    if isinstance(indices, range):
        if indices.step > 0:
            return values[indices.start : indices.stop : indices.step]
        indices = as_array(indices)
    if isinstance(values, range):
        return values.start + values.step * indices
    return values[indices]


def positions_of(shape: tuple[int, ...], item) -> np.ndarray:
    """Positions, in C order, of ``x[item]`` in an ``x`` of this shape."""
    positions = np.arange(int(np.prod(shape))).reshape(shape)
    return positions if item is None else positions[item]


def covers(indices: Indices, size: int) -> bool:
    """Whether ``indices`` name each of ``size`` elements in order."""
    return isinstance(indices, range) and indices.step == 1 and len(indices) == size
