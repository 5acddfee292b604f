"""A sweep: a function that makes networks, and the points at which it is called."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressTracker

from nengo_dl.runtime import checks
from nengo_dl.sweeps.executors import Workers, done_by
from nengo_dl.sweeps.job import Job
from nengo_dl.sweeps.points import Point, Points, cut, grid_points, listed_points
from nengo_dl.sweeps.results import Results
from nengo_dl.sweeps.rows import Rows, RowsInMemory
from nengo_dl.sweeps.store import Store

logger = logging.getLogger(__name__)


def sweep(
    make: Callable[..., Any], points: Iterable[Mapping[str, Any]] | None = None, /, **grid: Any
) -> Sweep:
    """Define a sweep: a network at every point of a grid of parameters.

    Parameters
    ----------
    make
        Called with the parameters of a point as keyword arguments; returns a `nengo.Network`.
        Probes whose values are to be recorded need a label. Each call must create a new network.
    points
        A list of dicts of parameters, instead of a grid.
    **grid
        The values of each parameter. Every combination is a point; the last parameter changes
        fastest.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the grid has no values, or if both a grid and a list of points are given.

    Examples
    --------
    >>> def make(seed, tau):
    ...     with nengo.Network(seed=seed) as net:
    ...         neurons = nengo.Ensemble(50, 1)
    ...         nengo.Connection(nengo.Node(0.5), neurons, synapse=tau)
    ...         nengo.Probe(neurons, synapse=0.01, label="decoded")
    ...     return net
    >>> sweep = nengo_dl.sweep(make, seed=range(10), tau=[0.05, 0.1])
    >>> sweep
    Sweep of make at 20 points: seed (10) x tau (2)
    >>> results = sweep.run(0.5)
    >>> results["decoded"].shape  # points, steps, dimensions
    (20, 500, 1)
    """
    if not callable(make):
        raise ValidationError(
            f"expected a function that returns a network, got {make!r} of type "
            f"{type(make).__name__}",
            attr="make",
        )
    if points is None and not grid:
        raise ValidationError(
            "there are no points: give values of the parameters, as in "
            "sweep(make, seed=range(10)), or a list of dicts",
            attr="points",
        )
    if points is not None and grid:
        raise ValidationError(
            f"both a list of points and values of {', '.join(grid)} were given; put the "
            "parameters into the points, or leave out the list",
            attr="points",
        )
    return Sweep(make, grid_points(grid) if points is None else listed_points(points))


class Sweep:
    """The sweep that `nengo_dl.sweep` returns; call `run` to simulate it."""

    def __init__(self, make: Callable[..., Any], points: Points):
        self.make = make
        self._points = points

    def __len__(self) -> int:
        return len(self._points)

    def __repr__(self) -> str:
        name = getattr(self.make, "__name__", repr(self.make))
        return f"Sweep of {name} at {self._points}"

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The parameters of each point."""
        return [dict(parameters) for parameters in self._points.parameters]

    def run(
        self,
        time: float,
        data: Any = None,
        analyse: Callable[[dict[str, np.ndarray], dict[str, Any]], Any] | None = None,
        executor: Any = None,
        store: str | os.PathLike[str] | None = None,
        *,
        dt: float = 0.001,
        retry_errors: bool = False,
        progress_bar: Any = True,
    ) -> Results:
        """Simulate all points.

        Points whose networks have the same structure run side by side in one compiled program. Each
        point has the same seeds, weights and inputs as in a separate simulator, and gives the same
        results up to rounding.

        Parameters
        ----------
        time
            Simulated time of each point in seconds.
        data
            Values that replace the output of Nodes, by the labels of the Nodes: arrays of shape
            (n_steps, node.size_out), the same for all points, or (points, n_steps, node.size_out);
            or a function of the parameters of a point that returns a dict of arrays of shape
            (n_steps, node.size_out).
        analyse
            Function ``analyse(recorded, parameters)`` of the recorded values of a point, a dict of
            arrays of shape (n_steps, size) by label, and of its parameters. Its result, a number or
            a dict of numbers and arrays, replaces the recorded values. It is called in the process
            that simulated the point.
        executor
            None: simulate in this process. A number: use this many processes on this machine; if a
            process dies, its points run again. Or an object with the interface of
            ``concurrent.futures.Executor``, such as those of mpi4py, or a Dask client.
        store
            A folder in which each group of points is saved as soon as it is done. If the folder
            already contains points, the run continues with the others.
        dt
            Length of a time step in seconds.
        retry_errors
            Whether to repeat points that raised an error in an earlier run with this ``store``.
        progress_bar
            As in `nengo_dl.Simulator`; it counts points.

        Returns
        -------
        Results
            If a point raises an error, the results contain the error, and the other points
            continue.

        Raises
        ------
        nengo.exceptions.ValidationError
            For invalid arguments, and if ``store`` belongs to another sweep.
        nengo.exceptions.SimulationError
            If processes die and the run cannot continue.
        """
        checks.check_dt(dt, None)
        time = checks.checked_time("time", time)
        n_steps = int(np.round(time / dt))
        if n_steps < 1:
            raise ValidationError(
                f"{time:g} s is no step of {dt:g} s; expected a step or more", attr="time"
            )
        retry_errors = checks.checked_flag("retry_errors", retry_errors)
        progress_bar = checks.checked_progress_bar(progress_bar)
        shared, own = _split(data, len(self), n_steps)
        job = Job(self.make, n_steps, float(dt), shared, analyse)
        rows: Rows = RowsInMemory()
        done: frozenset[int] = frozenset()
        if store is not None:
            rows = stored = Store(store, job, self._points, own)
            done = stored.done.difference(stored.errors if retry_errors else ())
        points = [
            Point(number, parameters, {label: values[number] for label, values in own.items()})
            for number, parameters in enumerate(self._points.parameters)
            if number not in done
        ]
        if points:
            workers = Workers(executor)
            workers.check(job)
            progress = Progress("Simulating", "Simulation", len(points))
            with ProgressTracker(progress_bar, progress):
                for found in done_by(workers, job, list(cut(points, workers.n))):
                    rows.add(found)
                    progress.step(len(found))
        results = Results(self._points, rows, n_steps, float(dt), analyse is None)
        if results.errors:
            number, error = next(iter(results.errors.items()))
            logger.warning(
                "%d of %d points raised an error; point %d: %s",
                *(len(results.errors), len(self), number, error.splitlines()[0]),
            )
        return results


def _split(data: Any, n_points: int, n_steps: int) -> tuple[Any, dict[str, np.ndarray]]:
    """Data for all points, and arrays that have values for each."""
    if data is None or callable(data):
        return data, {}
    if not isinstance(data, Mapping):
        raise ValidationError(
            f"expected a dict of arrays by the labels of Nodes, or a function that returns one, "
            f"got {data!r} of type {type(data).__name__}",
            attr="data",
        )
    shared, own = {}, {}
    for label, values in data.items():
        values = np.asarray(values)
        if values.ndim == 2 and len(values) == n_steps:
            shared[label] = values
        elif values.ndim == 3 and values.shape[:2] == (n_points, n_steps):
            own[label] = values
        else:
            raise ValidationError(
                f"the data for {label!r} has shape {values.shape}, expected ({n_steps}, size) or "
                f"({n_points}, {n_steps}, size)",
                attr="data",
            )
    return shared or None, own
