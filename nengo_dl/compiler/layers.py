"""What the value of each signal is the sum of, at one point of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import Indices, as_array, covers, signal_size, take, view_indices

#: in a layer, where an element has nothing to add
HOLE = -1


class Layers:
    """Of each element of each signal its *layers*: the addresses whose sum is its present value.

    A signal without layers is zero.
    """

    def __init__(self) -> None:
        self._layers: dict[Signal, list[Indices]] = {}

    def __contains__(self, base: Signal) -> bool:
        return base in self._layers

    def clear(self, base: Signal) -> None:
        """Let a base signal be zero."""
        self._layers[base] = []

    def read(self, sig: Signal) -> list[Indices]:
        """The layers of the elements of a signal."""
        layers = self._layers.get(sig.base, [])
        if not sig.is_view:
            return layers
        indices = view_indices(sig)
        return _packed([take(layer, indices) for layer in layers])

    def place(self, sig: Signal, values: Indices, increment: bool = False) -> None:
        """Let a signal be (or be increased by) the values at these addresses."""
        if sig.is_view:
            self.write(sig, view_indices(sig), values, increment)
        else:
            self._write_whole(sig, values, increment)

    def write(self, sig: Signal, indices: Indices, values: Indices, increment: bool) -> None:
        """Let the elements ``indices`` of the base of ``sig`` be (or be increased by) the values at
        these addresses.
        """
        base, size = sig.base, signal_size(sig.base)
        if covers(indices, size):
            self._write_whole(base, values, increment)
        elif increment:
            self._increment(base, size, indices, values)
        else:
            layers = [as_array(layer).copy() for layer in self._layers.get(base, [])]
            layers = layers or [np.full(size, HOLE)]
            positions = as_array(indices)
            for layer in layers:
                layer[positions] = HOLE
            layers[0][positions] = as_array(values)
            self._layers[base] = _without_empty(layers)

    def _write_whole(self, base: Signal, values: Indices, increment: bool) -> None:
        if increment:
            self._layers.setdefault(base, []).append(values)
        else:
            self._layers[base] = [values]

    def _increment(self, base, size, indices, values) -> None:
        layers = self._layers.setdefault(base, [])
        positions, values = as_array(indices), as_array(values)
        if isinstance(indices, range):
            self._place_increment(layers, size, positions, values)
            return
        while len(positions):
            # of an element that occurs more than once, each layer takes one occurrence
            _, first = np.unique(positions, return_index=True)
            self._place_increment(layers, size, positions[first], values[first])
            positions, values = np.delete(positions, first), np.delete(values, first)

    def _place_increment(self, layers: list, size: int, positions, values) -> None:
        filled = values >= 0
        if not filled.all():
            positions, values = positions[filled], values[filled]
        for i, layer in enumerate(layers):
            if isinstance(layer, np.ndarray) and np.all(layer[positions] == HOLE):
                layers[i] = layer.copy()
                layers[i][positions] = values
                return
        layers.append(np.full(size, HOLE))
        layers[-1][positions] = values

    def operand(self, signals: Sequence[Signal], sizes: list[int]) -> list[Indices]:
        """The layers of signals, of these sizes, side by side."""
        read = [self.read(sig) for sig in signals]
        depth = max((len(layers) for layers in read), default=0)
        return [
            _join([layers[i] if i < len(layers) else None for layers in read], sizes)
            for i in range(depth)
        ]


def _without_empty(layers: Sequence[np.ndarray]) -> list[Indices]:
    return [layer for layer in layers if np.any(layer != HOLE)]


def _packed(layers: list[Indices]) -> list[Indices]:
    """The same sums in as few layers as possible."""
    if len(layers) < 2 or all(isinstance(layer, range) for layer in layers):
        return layers
    matrix = np.stack([as_array(layer) for layer in layers])
    order = np.argsort(matrix == HOLE, axis=0, kind="stable")
    return _without_empty(list(np.take_along_axis(matrix, order, axis=0)))


def _join(parts: list[Indices | None], sizes: list[int]) -> Indices:
    """Put addresses side by side, as a range where they follow one another."""
    runs = [p for p in parts if isinstance(p, range) and p.step == 1]
    if len(runs) == len(parts):
        start = stop = runs[0].start
        for run in runs:
            if run.start != stop:
                break
            stop = run.stop
        else:
            return range(start, stop)
    return np.concatenate(
        [np.full(n, HOLE) if p is None else as_array(p) for p, n in zip(parts, sizes, strict=True)]
    )
