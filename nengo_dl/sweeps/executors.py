"""Groups of points, done by whatever has the interface of `concurrent.futures`."""

from __future__ import annotations

import math
import multiprocessing
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from functools import partial
from typing import Any

from nengo.exceptions import SimulationError, ValidationError

from nengo_dl import tuning
from nengo_dl.compiler.building.blas import n_cores
from nengo_dl.sweeps.job import Job
from nengo_dl.sweeps.points import Point
from nengo_dl.sweeps.rows import Row, failed
from nengo_dl.sweeps.work import run_points

Group = list[Point]

#: how often points are tried whose process died
TRIES = 3

NONE_STARTS = (
    "every process died before it was done with any point. Each of them loads the script that "
    'started it, so what runs the sweep has to be under `if __name__ == "__main__":`; and `make` '
    "has to be in a module or script, not in a notebook or at a prompt"
)


class Here(Executor):
    """Does what is submitted at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        """As `concurrent.futures.Executor.submit`; Ctrl-C is raised here."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Workers:
    """An executor, and what is known of it.

    Parameters
    ----------
    executor
        None for this process, a number of processes of this machine, or an executor.
    """

    def __init__(self, executor: Any):
        self._renew: Callable[[], Executor] | None = None
        self.n: int
        self.executor: Executor
        #: groups that are under way at once; a cluster may grow meanwhile
        self.n_ahead: float = math.inf
        if executor is None:
            self.n, self.executor, self.n_ahead = 1, Here(), 1
        elif isinstance(executor, int) and not isinstance(executor, bool) and executor > 0:
            # not forked: the threads of a backend do not survive that
            spawn = multiprocessing.get_context("spawn")
            self._renew = partial(ProcessPoolExecutor, executor, mp_context=spawn)
            self.n, self.executor = executor, self._renew()
            self.n_ahead = executor * tuning.SWEEP_GROUPS_AHEAD
        else:
            self.n, self.executor = _n_workers(executor), _with_interface(executor)

    def check(self, job: Job) -> None:
        """Whether the functions can be sent at all."""
        if not isinstance(self.executor, ProcessPoolExecutor):
            return  # nothing is sent, or who sends it has ways of its own
        try:
            pickle.dumps(job)
        except Exception as error:
            raise ValidationError(
                f"make, data and analyse cannot be sent to another process: {error}. Define them "
                "in a module, not inside of a function, and without lambda",
                attr="executor",
            ) from error

    def replace(self, n_done: int) -> None:
        """Go on with new processes, where they are ours."""
        if self._renew is None:
            raise SimulationError(
                f"a process of the executor died, and it takes no more work; {n_done} points are "
                "done. With `store=` they are on disk, and another run with a new executor goes on "
                "from there; with `executor=` a number of processes, new ones go on at once"
            )
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._renew()

    def submit(self, job: Job, group: Group) -> Future:
        """Have a group done; a pool that is broken gives a future that says so."""
        try:
            future = self.executor.submit(run_points, job, group)
        except BrokenExecutor as error:
            future = Future()
            future.set_exception(error)
        if not isinstance(future, Future):
            raise ValidationError(
                f"submit of {self.executor!r} returned {future!r}, expected a future of "
                "concurrent.futures",
                attr="executor",
            )
        return future

    def close(self) -> None:
        """End processes of our own."""
        if self._renew is not None:
            self.executor.shutdown(wait=False, cancel_futures=True)


def _n_workers(executor: Any) -> int:
    """How many groups are done at once; as many as there are cores here where that is unknown."""
    if hasattr(executor, "nthreads"):  # a client of Dask
        return max(1, sum(executor.nthreads().values()))
    return max(1, getattr(executor, "num_workers", n_cores()))  # known of MPI


def _with_interface(executor: Any) -> Executor:
    if hasattr(executor, "get_executor"):  # a client of Dask
        executor = executor.get_executor()
    if not callable(getattr(executor, "submit", None)):
        raise ValidationError(
            f"expected None, a number of processes or an executor as of concurrent.futures, got "
            f"{executor!r} of type {type(executor).__name__}",
            attr="executor",
        )
    return executor


def done_by(workers: Workers, job: Job, groups: list[Group]) -> Iterator[list[Row]]:
    """The rows of groups, in the order in which they are done.

    What was under way when a process died is done again, one group at a time, so that it is seen
    which of them a process dies of.
    """
    queue = _Queue(workers, job, groups)
    try:
        while queue:
            yield from queue.next_rows()
    finally:
        queue.cancel()
        workers.close()


class _Queue:
    """Groups that wait, and those that are under way."""

    def __init__(self, workers: Workers, job: Job, groups: list[Group]):
        self._workers, self._job = workers, job
        self._waiting, self._running = deque(groups), dict[Future, Group]()
        #: by the first point of a group, how often it came back without rows
        self._failures: Counter[int] = Counter()
        self._n_done = self._n_broken = 0

    def __bool__(self) -> bool:
        return bool(self._waiting or self._running)

    def cancel(self) -> None:
        """Give up what has not begun."""
        for future in self._running:
            future.cancel()

    def next_rows(self) -> list[list[Row]]:
        """Wait for groups to be done."""
        self._submit()
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        if any(isinstance(_error(future), BrokenExecutor) for future in done):
            done, _ = wait(self._running)  # none of them goes on
        rows, lost, broken = [], [], False
        for future in done:
            group, error = self._running.pop(future), _error(future)
            if error is None:
                rows.append(future.result())
                self._n_done, self._n_broken = self._n_done + len(group), 0
                continue
            broken = broken or isinstance(error, BrokenExecutor)
            self._failures[group[0].number] += 1
            if self._failures[group[0].number] < TRIES:
                lost.append(group)
            else:
                rows.append([failed(point.number, error, again=True) for point in group])
        self._waiting.extendleft(reversed(lost))
        if broken:
            self._n_broken += 1
            if self._n_broken > TRIES and not self._n_done:
                raise SimulationError(NONE_STARTS)
            self._workers.replace(self._n_done)
        return rows

    def _submit(self) -> None:
        while self._waiting and len(self._running) < self._workers.n_ahead:
            if self._running and any(
                self._failures[group[0].number]
                for group in (self._waiting[0], *self._running.values())
            ):
                return
            group = self._waiting.popleft()
            future = self._workers.submit(self._job, group)
            self._running[future] = group


def _error(future: Future) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:  # by somebody else
        return error
