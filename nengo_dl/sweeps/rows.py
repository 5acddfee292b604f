"""What was found at one point."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Row:
    """Arrays by name, or the error that was raised instead.

    ``again`` says of an error that it need not be the point's fault: a process died, say. It is not
    kept on disk.
    """

    number: int
    values: dict[str, np.ndarray] = field(default_factory=dict)
    error: str = ""
    again: bool = False


class Rows(Protocol):
    """The rows of a sweep, in memory or on disk."""

    @property
    def errors(self) -> Mapping[int, str]:
        """Number of the point and error, of those that raised one."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        ...

    def add(self, rows: list[Row]) -> None:
        """Take over rows."""
        ...

    def values(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        """Number of the point and array, of the points that have this."""
        ...

    def row(self, number: int) -> dict[str, np.ndarray]:
        """All arrays of a point."""
        ...


class RowsInMemory:
    """Rows as they come."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}

    def add(self, rows: list[Row]) -> None:
        self._rows.update({row.number: row for row in rows})

    @property
    def errors(self) -> Mapping[int, str]:
        return {number: row.error for number, row in sorted(self._rows.items()) if row.error}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for _, row in self._sorted() for name in row.values))

    def values(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        return ((n, row.values[name]) for n, row in self._sorted() if name in row.values)

    def row(self, number: int) -> dict[str, np.ndarray]:
        return self._rows[number].values

    def _sorted(self) -> list[tuple[int, Row]]:
        return sorted(self._rows.items())


def error_text(error: BaseException) -> str:
    """An error with its notes, and the line that raised it."""
    lines = [line.strip() for line in traceback.format_exception_only(error)]
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        lines.append(f"{frames[-1].filename}, line {frames[-1].lineno}")
    return "\n".join(lines)


def failed(number: int, error: BaseException, again: bool = False) -> Row:
    """The row of a point that raised an error."""
    return Row(number, error=error_text(error), again=again)


def checked_values(name: str, found: Any) -> dict[str, np.ndarray]:
    """What a function that analyses returned, as arrays by name; a value alone has the function's
    name.
    """
    if not isinstance(found, Mapping):
        found = {name: found}
    values = {str(key): np.asarray(value) for key, value in found.items()}
    for key, value in values.items():
        if value.dtype.hasobject:
            raise TypeError(
                f"analyse returned {found[key]!r} for {key!r}, expected numbers, arrays or text"
            )
    return values
