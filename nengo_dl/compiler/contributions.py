"""What the value of each signal is the sum of, at one point of a step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import Indices, as_array, covers, signal_size, take, view_indices

#: in a contribution, where an element has nothing to add
HOLE = -1


class Contributions:
    """Of each element of each signal its *contributions*: the addresses whose sum is its value now.

    A signal without contributions is zero.
    """

    def __init__(self) -> None:
        self._contributions: dict[Signal, list[Indices]] = {}

    def __contains__(self, base: Signal) -> bool:
        return base in self._contributions

    def clear(self, base: Signal) -> None:
        """Let a base signal be zero."""
        self._contributions[base] = []

    def read(self, sig: Signal) -> list[Indices]:
        """The contributions of the elements of a signal."""
        contributions = self._contributions.get(sig.base, [])
        if not sig.is_view:
            return contributions
        indices = view_indices(sig)
        return _packed([take(contribution, indices) for contribution in contributions])

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
            contributions = [
                as_array(contribution).copy() for contribution in self._contributions.get(base, [])
            ]
            contributions = contributions or [np.full(size, HOLE)]
            positions = as_array(indices)
            for contribution in contributions:
                contribution[positions] = HOLE
            contributions[0][positions] = as_array(values)
            self._contributions[base] = _without_empty(contributions)

    def _write_whole(self, base: Signal, values: Indices, increment: bool) -> None:
        if increment:
            self._contributions.setdefault(base, []).append(values)
        else:
            self._contributions[base] = [values]

    def _increment(self, base, size, indices, values) -> None:
        contributions = self._contributions.setdefault(base, [])
        positions, values = as_array(indices), as_array(values)
        if isinstance(indices, range):
            self._place_increment(contributions, size, positions, values)
            return
        while len(positions):
            # of an element that occurs more than once, each contribution takes one occurrence
            _, first = np.unique(positions, return_index=True)
            self._place_increment(contributions, size, positions[first], values[first])
            positions, values = np.delete(positions, first), np.delete(values, first)

    def _place_increment(self, contributions: list, size: int, positions, values) -> None:
        filled = values >= 0
        if not filled.all():
            positions, values = positions[filled], values[filled]
        for i, contribution in enumerate(contributions):
            if isinstance(contribution, np.ndarray) and np.all(contribution[positions] == HOLE):
                contributions[i] = contribution.copy()
                contributions[i][positions] = values
                return
        contributions.append(np.full(size, HOLE))
        contributions[-1][positions] = values

    def operand(self, signals: Sequence[Signal], sizes: list[int]) -> list[Indices]:
        """The contributions of signals, of these sizes, side by side."""
        read = [self.read(sig) for sig in signals]
        depth = max((len(contributions) for contributions in read), default=0)
        return [
            _join(
                [contributions[i] if i < len(contributions) else None for contributions in read],
                sizes,
            )
            for i in range(depth)
        ]


def _without_empty(contributions: Sequence[np.ndarray]) -> list[Indices]:
    return [contribution for contribution in contributions if np.any(contribution != HOLE)]


def _packed(contributions: list[Indices]) -> list[Indices]:
    """The same sums in as few contributions as possible."""
    if len(contributions) < 2 or all(
        isinstance(contribution, range) for contribution in contributions
    ):
        return contributions
    matrix = np.stack([as_array(contribution) for contribution in contributions])
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
