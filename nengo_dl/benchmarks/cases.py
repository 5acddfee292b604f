"""What is compared with what: `Case`, and what was measured of it, `Result`."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from nengo_dl.benchmarks.peers.process import Job

SETS = "simulation", "interactive", "training", "kernels", "building", "memory", "scaling"
OURS = "nengo_dl"  # with a stroke and the backend after it, where a peer is named
TITLES = {
    "nengo": "nengo.Simulator",
    "nengo-dl-3": "NengoDL",
    "nengo-ocl": "nengo_ocl",
    "copy": "copying memory",
    "loops": "nengo_dl, loops in place of kernels",
    "keras": "Keras",
    "keras-fast": "Keras, 25 batches a call",
    "torch": "PyTorch",
    "snntorch": "snnTorch",
    "norse": "Norse",
    "spikingjelly": "SpikingJelly",
    "spyx": "Spyx",
}


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name
        What it is called on the command line.
    set
        One of `SETS`.
    ours
        Our job; each backend does it.
    peers
        Those of others, by a key of `TITLES`.
    n
        Units of a run; the most, where ``calibrate``.
    unit
        What a unit is: "steps", "updates" or "epochs".
    calibrate
        Whether a run has as many units as fit a given time, in each peer.
    warm_up
        Units of an untimed run at the beginning.
    repeats
        Number of runs; None for the number that is asked for.
    parameters
        What else is told about it: minibatch_size, dtype.
    series
        The curve that it is a point of, by what is on the abscissa: "neurons", "minibatch_size",
        "steps" or "operators".
    apart
        Whether the peers are measured one after the other: where memory is what matters, or they
        do not fit into it together.
    """

    name: str
    set: str
    ours: Job
    peers: dict[str, Job]
    n: int = 1000
    unit: str = "steps"
    calibrate: bool = True
    warm_up: int | None = None
    repeats: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    series: str | None = None
    apart: bool = False


@dataclass(frozen=True)
class Times:
    """What was measured of one peer.

    Attributes
    ----------
    n
        Units of a run.
    work
        How much is done in a unit; see `Job`.
    seconds
        Times of the runs.
    peaks_mb
        Largest resident set, in mebibytes: when prepared, after the first run, at the end.
    facts
        What the job told: versions, numbers of neurons and operators, time of building.
    user_seconds
        Times of the runs on all cores together.
    """

    n: int
    work: float
    seconds: tuple[float, ...]
    peaks_mb: tuple[float, float, float]
    facts: dict[str, Any]
    user_seconds: tuple[float, ...] = ()

    @property
    def seconds_per_work(self) -> list[float]:
        """Time of a unit of one item, in seconds, in each run."""
        return [seconds / (self.n * self.work) if self.n else seconds for seconds in self.seconds]


@dataclass(frozen=True)
class Result:
    """A case and what was measured of it.

    Attributes
    ----------
    name, set, unit, parameters, series
        As in `Case`.
    times
        What was measured of each peer.
    missing
        Why a peer was not measured.
    """

    name: str
    set: str
    unit: str
    parameters: dict[str, Any]
    series: str | None
    times: dict[str, Times]
    missing: dict[str, str]

    @property
    def ours(self) -> list[str]:
        """Which of the peers are ours."""
        return [peer for peer in (*self.times, *self.missing) if peer.startswith(OURS + "/")]

    @property
    def others(self) -> list[str]:
        """Which are not."""
        ours = self.ours
        return [peer for peer in (*self.times, *self.missing) if peer not in ours]

    def ratios(self, ours: str, other: str) -> list[float]:
        """How many times faster ours is than the other, in each repetition.

        For memory it is the share of ours in what we may need: what the other needs, and what our
        libraries need for a short run over what the other's need for it.
        """
        mine, its = self.times[ours], self.times[other]
        if self.set == "memory":
            return [mine.peaks_mb[2] / (its.peaks_mb[2] + mine.peaks_mb[1] - its.peaks_mb[1])]
        pairs = zip(mine.seconds_per_work, its.seconds_per_work, strict=True)
        return [theirs / ours for ours, theirs in pairs]

    def ratio(self, ours: str, other: str) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios(ours, other))

    def to_json(self) -> dict[str, Any]:
        """As JSON's objects; with the ratios, for readers."""
        record = asdict(self)
        record["ratios"] = {
            ours: {other: self.ratios(ours, other) for other in self.others if other in self.times}
            for ours in self.ours
            if ours in self.times
        }
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Result:
        """What `to_json` wrote."""
        record = {key: value for key, value in record.items() if key != "ratios"}
        record["times"] = {
            peer: Times(
                **{
                    **times,
                    "seconds": tuple(times["seconds"]),
                    "peaks_mb": tuple(times["peaks_mb"]),
                    "user_seconds": tuple(times.get("user_seconds", ())),
                }
            )
            for peer, times in record["times"].items()
        }
        return cls(**record)
