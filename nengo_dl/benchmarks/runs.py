"""Measuring a `Case`: a process for each peer, and turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from nengo_dl.benchmarks.cases import OURS, Case, Result, Times
from nengo_dl.benchmarks.peers.process import Job, NotMeasured, Worker

# peers that need an interpreter of their own
ELSEWHERE = {"nengo-dl-3": "--old-nengo-dl"}


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes
    ----------
    backends
        Keras backends in which we take part.
    peers
        With whom to compare, keys of `TITLES`; None for all.
    interpreters
        Path of the Python of a peer that is not in ours.
    repeats
        Number of timed runs of each.
    seconds
        Least time of a run, about.
    """

    backends: Sequence[str]
    peers: Sequence[str] | None = None
    interpreters: dict[str, str] = field(default_factory=dict)
    repeats: int = 5
    seconds: float = 0.5


def measure(case: Case, settings: Settings) -> Result:
    """Measure one case; all peers take turns, so that other load meets all alike."""
    jobs: dict[str, Job] = {f"{OURS}/{backend}": case.ours for backend in settings.backends}
    for peer, job in case.peers.items():
        if settings.peers is None or peer in settings.peers:
            jobs[peer] = job
    missing: dict[str, str] = {}
    times: dict[str, Times] = {}
    for group in [[peer] for peer in jobs] if case.apart else [list(jobs)]:
        with ExitStack() as stack:
            turns = {}
            for peer in group:
                try:
                    worker = stack.enter_context(_start(peer, jobs[peer], settings))
                    turns[peer] = _Turns(case, worker, settings)
                except NotMeasured as reason:
                    missing[peer] = str(reason)
            for _ in range(case.repeats or settings.repeats):
                for peer in list(turns):
                    try:
                        turns[peer].take()
                    except NotMeasured as reason:
                        missing[peer] = str(reason)
                        del turns[peer]
            times.update({peer: turn.times for peer, turn in turns.items()})
    return Result(
        case.name, case.set, case.unit, dict(case.parameters), case.series, times, missing
    )


def _start(peer: str, job: Job, settings: Settings) -> Worker:
    if peer in ELSEWHERE and peer not in settings.interpreters:
        raise NotMeasured(f"not installed (its Python is given by {ELSEWHERE[peer]})")
    environment = {}
    if peer.startswith(OURS + "/"):
        environment["KERAS_BACKEND"] = peer.partition("/")[2]
    elif peer.startswith(("keras", "loops")):
        environment["KERAS_BACKEND"] = settings.backends[0]
    return Worker(job, settings.interpreters.get(peer), environment)


class _Turns:
    """The runs of one peer."""

    def __init__(self, case: Case, worker: Worker, settings: Settings) -> None:
        self.worker, self.n = worker, case.n
        self.seconds: list[float] = []
        self.user_seconds: list[float] = []
        self.peaks = [worker.peak_mb]
        first = case.warm_up if case.warm_up is not None else max(1, case.n // 20)
        worker.run(first)
        self.peaks.append(worker.peak_mb)
        if case.calibrate:
            fitting = int(first * settings.seconds / worker.run(first))
            self.n = min(max(fitting, 1), case.n)
            worker.run(self.n)

    def take(self) -> None:
        self.seconds.append(self.worker.run(self.n))
        self.user_seconds.append(self.worker.user_seconds)

    @property
    def times(self) -> Times:
        worker = self.worker
        return Times(
            n=self.n,
            work=worker.job.work,
            seconds=tuple(self.seconds),
            peaks_mb=(self.peaks[0], self.peaks[1], worker.peak_mb),
            facts=worker.facts,
            user_seconds=tuple(self.user_seconds),
        )
