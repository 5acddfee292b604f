"""What a connection does to a vector, as a list of operations, and how such a list gets shorter.

Vectors have Nengo's order of elements throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from nengo.transforms import ChannelShape, Convolution


@dataclass(frozen=True, eq=False)
class Dense:
    """``y = matrix @ x``; matrix is (size_out, size_in)."""

    matrix: np.ndarray


@dataclass(frozen=True, eq=False)
class Elementwise:
    """``y = factors * x``"""

    factors: np.ndarray


@dataclass(frozen=True, eq=False)
class Shift:
    """``y = x + values``"""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Convolve:
    """A convolution.

    Attributes
    ----------
    transform
        Its shapes, strides and padding.
    kernel
        (*kernel_size, channels_in / groups, channels_out)
    bias
        Added to each channel, (channels_out,).
    around
        Zeros before and after each axis of the image that an input gets before ``transform``, with
        padding "valid"; None for none.
    """

    transform: Convolution
    kernel: np.ndarray
    bias: np.ndarray
    around: tuple[tuple[int, int], ...] | None = None

    @property
    def input_shape(self) -> ChannelShape:
        """Shape of the input."""
        shape = self.transform.input_shape
        if self.around is None:
            return shape
        inner = [n - sum(pair) for n, pair in zip(shape.spatial_shape, self.around, strict=True)]
        return ChannelShape.from_space_and_channels(
            tuple(inner), shape.n_channels, shape.channels_last
        )

    def channels(self, values: np.ndarray) -> np.ndarray | None:
        """One value for each output channel, if ``values`` has only that many."""
        shape = self.transform.output_shape
        axis = 0 if not shape.channels_last else -1
        grid = np.moveaxis(np.reshape(values, shape.shape), axis, -1)
        first = grid.reshape(-1, shape.n_channels)[0]
        return first if np.all(grid == first) else None


@dataclass(frozen=True)
class LeakyFilter:
    """A lowpass.

    Attributes
    ----------
    tau
        Time constant in seconds.
    gain
        Factor.
    joined
        Whether Nengo solves it together with the filter before it, as one of a higher order.
    """

    tau: float
    gain: float = 1.0
    joined: bool = False


@dataclass(frozen=True)
class Integrate:
    """``dy/dt = gain * x``"""

    gain: float


@dataclass(frozen=True)
class Wait:
    """The value some steps ago, of all elements as many or of each its own number."""

    steps: int | tuple[int, ...]


Operation = Dense | Elementwise | Shift | Convolve | LeakyFilter | Integrate | Wait
Operations = tuple[Operation, ...]

#: linear, with a state, and of each element for itself
FILTERS = (LeakyFilter, Integrate, Wait)


def simplify(operations: Sequence[Operation]) -> Operations:
    """The same with fewer operations: neighbours are joined, and what does nothing is left out."""
    result = [op for op in operations if not _does_nothing(op)]
    changed = True
    while changed:
        changed = False
        for i in range(len(result) - 1):
            joined = _join(result[i], result[i + 1])
            if joined is not None:
                result[i : i + 2] = [op for op in joined if not _does_nothing(op)]
                changed = True
                break
    return tuple(_factors_into_weights(result))


def _does_nothing(op: Operation) -> bool:
    if isinstance(op, Elementwise):
        return bool(np.all(op.factors == 1))
    if isinstance(op, Shift):
        return not np.any(op.values)
    if isinstance(op, Wait):
        return not np.any(op.steps)
    return isinstance(op, Dense) and is_identity(op.matrix)


def is_identity(matrix: np.ndarray) -> bool:
    """Whether a matrix changes nothing."""
    return matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))


def _join(a: Operation, b: Operation) -> list[Operation] | None:
    """The same as ``a`` and then ``b`` in a simpler form; None where there is none."""
    if isinstance(b, Dense):
        if isinstance(a, Dense) and _product_size(a, b) <= a.matrix.size + b.matrix.size:
            return [Dense(b.matrix @ a.matrix)]
        if isinstance(a, Elementwise):
            return [Dense(b.matrix * a.factors)]
        if isinstance(a, Shift):
            return [b, Shift(b.matrix @ a.values)]
    elif isinstance(b, Elementwise):
        if isinstance(a, Elementwise):
            return [Elementwise(b.factors * a.factors)]
        if isinstance(a, Dense):
            return [Dense(b.factors[:, None] * a.matrix)]
        if isinstance(a, Shift):
            return [b, Shift(b.factors * a.values)]
        if isinstance(a, Convolve):
            factors = a.channels(b.factors)
            if factors is not None:
                return [replace(a, kernel=a.kernel * factors, bias=a.bias * factors)]
    elif isinstance(b, Shift):
        if isinstance(a, Shift):
            return [Shift(a.values + b.values)]
        if isinstance(a, Convolve):
            values = a.channels(b.values)
            if values is not None:
                return [replace(a, bias=a.bias + values)]
    elif isinstance(b, Convolve):
        if isinstance(a, Elementwise) and np.ptp(a.factors) == 0:
            return [replace(b, kernel=b.kernel * a.factors[0])]
        if isinstance(a, Dense):
            around = _zeros_around(a.matrix, b)
            return None if around is None else [replace(b, around=around)]
    return None


def _zeros_around(matrix: np.ndarray, op: Convolve) -> tuple[tuple[int, int], ...] | None:
    """The zeros that a matrix puts around an image; None where it does anything else."""
    shape, transform = op.transform.input_shape, op.transform
    rows = np.argmax(matrix, axis=0)
    copies = np.zeros_like(matrix)
    copies[rows, np.arange(matrix.shape[1])] = 1.0
    if op.around is not None or transform.padding != "valid" or not np.array_equal(matrix, copies):
        return None
    places = np.array(np.unravel_index(rows, shape.shape))
    first, last = places.min(axis=1), places.max(axis=1)
    box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
    if not np.array_equal(np.arange(shape.size).reshape(shape.shape)[box].ravel(), rows):
        return None
    pairs = [(int(a), int(n - 1 - b)) for a, b, n in zip(first, last, shape.shape, strict=True)]
    channels = pairs.pop(-1 if shape.channels_last else 0)
    return None if any(channels) else tuple(pairs)


def _product_size(a: Dense, b: Dense) -> int:
    """Encoders times decoders may be much larger than both."""
    return b.matrix.shape[0] * a.matrix.shape[1]


def _factors_into_weights(operations: Sequence[Operation]) -> list[Operation]:
    """Move factors across filters to weights that can hold them."""
    result = list(operations)
    for i, op in enumerate(result):
        if not isinstance(op, Elementwise):
            continue
        for direction in (1, -1):
            k = i + direction
            while 0 <= k < len(result) and isinstance(result[k], FILTERS):
                k += direction
            if not 0 <= k < len(result) or abs(k - i) == 1:
                continue
            pair = (op, result[k]) if direction == 1 else (result[k], op)
            joined = _join(*pair)
            if joined is not None and len(joined) == 1:
                result[k] = joined[0]
                del result[i]
                return _factors_into_weights(result)
    return result


def apply(operations: Sequence[Operation], vector: np.ndarray) -> np.ndarray | None:
    """The result for a vector that never changes; None where there is a state or a convolution."""
    for op in operations:
        if isinstance(op, Dense):
            vector = op.matrix @ vector
        elif isinstance(op, Elementwise):
            vector = op.factors * vector
        elif isinstance(op, Shift):
            vector = op.values + vector
        else:
            return None
    return vector
