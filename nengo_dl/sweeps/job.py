"""What all points of a sweep have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.sweeps.points import Point


@dataclass(frozen=True)
class Job:
    """It is sent to the workers with the points."""

    make: Callable[..., Any]
    n_steps: int
    dt: float
    #: values for Nodes by label, or a function of the parameters that gives some
    data: Callable[..., Mapping[str, Any]] | dict[str, np.ndarray] | None = None
    analyse: Callable[..., Any] | None = None


def data_of(job: Job, point: Point) -> dict[str, np.ndarray]:
    """Values for the Nodes of a point, by label, each of shape (n_steps, size)."""
    shared = job.data(**point.parameters) if callable(job.data) else job.data
    if shared is None:
        return dict(point.data)
    if not isinstance(shared, Mapping):
        raise ValidationError(
            f"data(**parameters) returned {shared!r}, expected a dict of arrays by the labels of "
            "Nodes",
            attr="data",
        )
    return {**{label: np.asarray(values) for label, values in shared.items()}, **point.data}
