"""The points of a sweep: what they are, and what of them belongs together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl import tuning


@dataclass(frozen=True)
class Point:
    """Parameters of one network, and values for its Nodes that are given for this point alone."""

    number: int
    parameters: dict[str, Any]
    data: dict[str, np.ndarray] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())


@dataclass(frozen=True)
class Points:
    """All points in their order: the last parameter of a grid changes first."""

    parameters: tuple[dict[str, Any], ...]
    #: the values of each parameter of a grid; None for a list of points
    axes: dict[str, tuple[Any, ...]] | None

    def __len__(self) -> int:
        return len(self.parameters)

    def __str__(self) -> str:
        shape = "" if self.axes is None else " x ".join(f"{k} ({len(v)})" for k, v in self._axes())
        return f"{len(self):,} point{'' if len(self) == 1 else 's'}{shape and f': {shape}'}"

    def _axes(self) -> Iterable[tuple[str, tuple[Any, ...]]]:
        return () if self.axes is None else self.axes.items()


def grid_points(grid: Mapping[str, Any]) -> Points:
    """Every combination of the values of some parameters."""
    axes = {name: _values(name, values) for name, values in grid.items()}
    combinations = itertools.product(*axes.values())
    return Points(tuple(dict(zip(axes, values, strict=True)) for values in combinations), axes)


def listed_points(points: Any) -> Points:
    """Points that are given one by one."""
    if isinstance(points, Mapping) or not isinstance(points, Iterable):
        raise ValidationError(
            f"expected a list of dicts, one for each point, got {points!r}; the values of a grid "
            "are keyword arguments: sweep(make, seed=range(10), tau=[0.05, 0.1])",
            attr="points",
        )
    found = []
    for number, parameters in enumerate(points):
        if not isinstance(parameters, Mapping):
            raise ValidationError(
                f"point {number} is {parameters!r}, expected a dict of parameters", attr="points"
            )
        found.append({name: _plain(value) for name, value in parameters.items()})
    if not found:
        raise ValidationError("the list of points is empty", attr="points")
    return Points(tuple(found), None)


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ValidationError(
            f"expected the values of the parameter {name!r}, got {values!r}; for one value, a list "
            f"of one: {name}=[{values!r}]",
            attr=name,
        )
    found = tuple(map(_plain, values))
    if not found:
        raise ValidationError(f"the parameter {name!r} has no values", attr=name)
    return found


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def cut(points: Sequence[Point], n_workers: int) -> Iterator[list[Point]]:
    """Points that are sent together: not more than are simulated side by side, and some for each
    of several workers, so that none waits for long at the end.
    """
    n = math.ceil(len(points) / tuning.SWEEP_GROUP_POINTS)
    if n_workers > 1:
        n = max(n, min(len(points), n_workers * tuning.SWEEP_GROUPS_PER_WORKER))
    size = math.ceil(len(points) / max(n, 1))
    for first in range(0, len(points), max(size, 1)):
        yield list(points[first : first + size])
