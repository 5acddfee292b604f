"""Recipes: how an operand is put together from the tensors in which its values lie.

`make_recipe` takes a matrix of addresses, one row for each value that is to be added up, one column
for each element of the operand (-1: nothing to add), and picks the cheapest of: a whole tensor or
one slice, a concatenation of slices, a gather by constant indices; and of these a sum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nengo_dl import tuning

TensorKind = Literal[
    "constant", "parameter", "state", "deferred", "input", "time", "literal", "result", "sum"
]


@dataclass(frozen=True)
class Tensor:
    """A value of shape (batch, width); ``base`` is the address of its first column."""

    index: int
    name: str
    kind: TensorKind
    width: int
    base: int

    @property
    def addresses(self) -> range:
        return range(self.base, self.base + self.width)


@dataclass(frozen=True)
class Slice:
    """Columns start..stop of a tensor."""

    tensor: int
    start: int
    stop: int
    whole: bool

    @property
    def width(self) -> int:
        return self.stop - self.start

    def tensors(self) -> set[int]:
        return {self.tensor}

    def __str__(self) -> str:
        return "whole" if self.whole else "slice"


@dataclass(frozen=True)
class Zeros:
    """Nothing was added."""

    width: int

    def tensors(self) -> set[int]:
        return set()

    def __str__(self) -> str:
        return "zeros"


@dataclass(frozen=True)
class Concat:
    """Parts side by side."""

    parts: tuple[Slice | Zeros, ...]

    @property
    def width(self) -> int:
        return sum(p.width for p in self.parts)

    def tensors(self) -> set[int]:
        return set().union(*(p.tensors() for p in self.parts))

    def __str__(self) -> str:
        return f"concat of {len(self.parts)}"


@dataclass(frozen=True)
class Gather:
    """Columns ``indices`` of the concatenation of ``sources``."""

    sources: tuple[Slice | Zeros, ...]
    indices: np.ndarray

    @property
    def width(self) -> int:
        return len(self.indices)

    def tensors(self) -> set[int]:
        return set().union(*(p.tensors() for p in self.sources))

    def __str__(self) -> str:
        return f"gather of {self.width}"


#: what is taken from other tensors as it is
Columns = Slice | Concat | Gather


@dataclass(frozen=True)
class Sum:
    """Terms of equal width, added up."""

    terms: tuple

    @property
    def width(self) -> int:
        return self.terms[0].width

    def tensors(self) -> set[int]:
        return set().union(*(t.tensors() for t in self.terms))

    def __str__(self) -> str:
        return "sum of " + ", ".join(str(t) for t in self.terms)


@dataclass(frozen=True)
class RowSum:
    """``source`` read as (rows, width), added up over the rows."""

    source: Columns
    rows: int

    @property
    def width(self) -> int:
        return self.source.width // self.rows

    def tensors(self) -> set[int]:
        return self.source.tensors()

    def __str__(self) -> str:
        return f"sum of {self.rows} rows of {self.source}"


@dataclass(frozen=True)
class SegmentSum:
    """Columns of ``source`` added into those columns of the result that ``segments`` (sorted)
    names.
    """

    source: Columns
    segments: np.ndarray
    width: int

    def tensors(self) -> set[int]:
        return self.source.tensors()

    def __str__(self) -> str:
        return f"segment sum of {self.source}"


Recipe = Columns | Zeros | Sum | RowSum | SegmentSum


class Addresses:
    """Hands out addresses to tensors, and finds the tensor that an address belongs to."""

    def __init__(self):
        self.tensors: list[Tensor] = []
        self._bases: list[int] = []
        self._end = 0

    def new(self, name: str, kind: TensorKind, width: int) -> Tensor:
        tensor = Tensor(len(self.tensors), name, kind, width, self._end)
        self.tensors.append(tensor)
        self._bases.append(self._end)
        self._end += width
        return tensor

    def find(self, address: int) -> Tensor:
        index = bisect_right(self._bases, address) - 1
        while self.tensors[index].width == 0:
            index -= 1
        return self.tensors[index]

    def owners(self, addresses: np.ndarray) -> np.ndarray:
        """Index of the tensor of each address (-1 for a hole)."""
        return np.where(
            addresses < 0, -1, np.searchsorted(self._bases, addresses, side="right") - 1
        )

    def in_one_tensor(self, addresses: range) -> bool:
        """Whether consecutive addresses all belong to the tensor of the first one."""
        return addresses.stop <= self.find(addresses.start).addresses.stop

    def slice(self, start: int, length: int) -> Slice:
        """Consecutive addresses, all in one tensor."""
        tensor = self.find(start)
        start -= tensor.base
        return Slice(tensor.index, start, start + length, length == tensor.width)

    def whole(self, tensor: Tensor) -> Slice:
        return Slice(tensor.index, 0, tensor.width, True)


def make_recipe(rows: Sequence[np.ndarray | range], width: int, addresses: Addresses) -> Recipe:
    """The recipe for an operand whose elements are the sums down the columns of ``rows``."""
    if width == 0 or not rows:
        return Zeros(width)
    if len(rows) == 1:
        return _row(rows[0], addresses)
    matrix = np.stack([np.asarray(row) for row in rows])
    if len(rows) <= tuning.MOST_TERMS and not _is_run(matrix.ravel()):
        terms = tuple(_row(row, addresses) for row in matrix)
        if sum(isinstance(term, Gather) for term in terms) <= tuning.MOST_GATHERS:
            return Sum(terms)
    filled = matrix >= 0
    if filled.mean() > 0.25:
        return RowSum(_columns(matrix.ravel(), addresses), len(rows))
    by_column = matrix.T[filled.T]  # sorted by the column to which each is added
    segments = np.repeat(np.arange(width), filled.sum(axis=0))
    return SegmentSum(_columns(by_column, addresses), segments, width)


def _is_run(row: np.ndarray) -> bool:
    return row[0] >= 0 and bool(np.all(np.diff(row) == 1))


def _row(row: np.ndarray | range, addresses: Addresses) -> Columns | Zeros:
    """The recipe for one address a column."""
    if isinstance(row, range) and row.step == 1 and addresses.in_one_tensor(row):
        return addresses.slice(row.start, len(row))
    row = np.asarray(row)
    owners = addresses.owners(row)
    step = np.diff(row)
    together = (np.diff(owners) == 0) & ((step == 1) | ((step == 0) & (row[1:] < 0)))
    starts = np.flatnonzero(np.concatenate([[True], ~together]))
    if len(starts) > tuning.MOST_SLICES:
        return _gather(row, owners, addresses)
    lengths = np.diff(np.append(starts, len(row))).tolist()
    parts = tuple(
        addresses.slice(first, n) if first >= 0 else Zeros(n)
        for first, n in zip(row[starts].tolist(), lengths, strict=True)
    )
    return parts[0] if len(parts) == 1 else Concat(parts)


def _columns(row: np.ndarray, addresses: Addresses) -> Columns:
    """As `_row`, of a row that has addresses."""
    recipe = _row(row, addresses)
    assert not isinstance(recipe, Zeros)
    return recipe


def _gather(row: np.ndarray, owners: np.ndarray, addresses: Addresses) -> Gather:
    indices, offset = np.zeros(len(row), dtype=np.int32), 0
    sources: list[Slice | Zeros] = []
    for owner in np.unique(owners).tolist():
        here = owners == owner
        if owner < 0:
            sources.append(Zeros(1))
            indices[here] = offset
        else:
            first = int(row[here].min())
            sources.append(addresses.slice(first, int(row[here].max()) + 1 - first))
            indices[here] = row[here] - first + offset
        offset += sources[-1].width
    return Gather(tuple(sources), indices)
