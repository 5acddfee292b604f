"""What a worker does: it gets points, and gives rows.

Importing this loads no backend: the process that shares the work out needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nengo_dl.process_settings import collected_later
from nengo_dl.sweeps.job import Job
from nengo_dl.sweeps.points import Point
from nengo_dl.sweeps.rows import Row, checked_values, failed

if TYPE_CHECKING:
    from nengo_dl.sweeps.members import Groups, Member


def run_points(job: Job, points: Sequence[Point]) -> list[Row]:
    """Build and simulate points, those of equal structure side by side."""
    from nengo_dl.sweeps import members  # loads the backend

    rows: list[Row] = []
    groups = members.Groups(job)
    for point in points:
        try:
            with collected_later():
                member = groups.build(point)
        except Exception as error:
            rows.append(failed(point.number, error))
        else:
            rows += _run(job, groups, groups.full_with(member))
    for group in groups.rest():
        rows += _run(job, groups, group)
    return rows


def _run(job: Job, groups: Groups, group: Sequence[Member]) -> list[Row]:
    """The rows of members that are simulated side by side; one after the other where that fails,
    so that only those raise that do so on their own.
    """
    if not group:
        return []
    try:
        recorded = groups.simulate(group)
    except Exception as error:
        if len(group) == 1:
            return [failed(group[0].point.number, error)]
        return [row for member in group for row in run_points(job, [member.point])]
    return [_row(job, m.point, values) for m, values in zip(group, recorded, strict=True)]


def _row(job: Job, point: Point, recorded: dict[str, np.ndarray]) -> Row:
    if job.analyse is None:
        return Row(point.number, recorded)
    try:
        found = job.analyse(recorded, point.parameters)
        name = getattr(job.analyse, "__name__", "result")
        return Row(point.number, checked_values(name, found))
    except Exception as error:
        return failed(point.number, error)
