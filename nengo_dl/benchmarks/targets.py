"""How fast we want to be, on a processor of two cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nengo_dl.benchmarks.cases import OURS, Result


@dataclass(frozen=True)
class Target:
    """A ratio that is wanted.

    Attributes
    ----------
    name, set, parameters
        The case; of its parameters those that are given.
    peer
        With whom we compare.
    tensorflow, jax
        Least ratio in each backend; None for no target.
    most
        Whether the ratio is to be at most this, as with memory.
    """

    name: str
    peer: str
    tensorflow: float | None
    jax: float | None
    set: str = "simulation"
    parameters: dict[str, Any] = field(default_factory=lambda: {"dtype": "float32"})
    most: bool = False

    def wanted(self, ours: str) -> float | None:
        """The ratio that is wanted of one of our backends."""
        return {f"{OURS}/tensorflow": self.tensorflow, f"{OURS}/jax": self.jax}.get(ours)

    def concerns(self, result: Result) -> bool:
        """Whether this is about what was measured."""
        return (
            (self.name, self.set) == (result.name, result.set)
            and self.peer in result.others
            and all(result.parameters.get(key) == value for key, value in self.parameters.items())
        )

    def met(self, ratio: float, ours: str) -> bool | None:
        """Whether a ratio is as wanted; None where nothing is."""
        wanted = self.wanted(ours)
        if wanted is None:
            return None
        return ratio <= wanted if self.most else ratio >= wanted


def _simulation(name: str, peer: str, tensorflow: float | None, jax: float | None, batch: int = 1):
    parameters = {"minibatch_size": batch, "dtype": "float32"}
    return Target(name, peer, tensorflow, jax, parameters=parameters)


def _both(name: str, nengo: float, nengo_dl_3: float) -> list[Target]:
    """The same in both backends, against both peers."""
    peers = {"nengo": nengo, "nengo-dl-3": nengo_dl_3}
    return [_simulation(name, peer, ratio, ratio) for peer, ratio in peers.items()]


TARGETS = [
    _simulation("tutorial", "nengo", 40, 100),
    _simulation("tutorial", "nengo-dl-3", 150, 400),
    *_both("cconv", 10, 15),
    *_both("integrator", 10, 18),
    *_both("basal-ganglia", 8, 35),
    *_both("random-network", 30, 10),
    *_both("pes", 2.5, 5),
    *(
        _simulation(name, "nengo-dl-3", ratio, ratio, batch=16)
        for name, ratio in {
            "tutorial": 10,
            "cconv": 10,
            "integrator": 10,
            "basal-ganglia": 10,
            "random-network": 10,
            "pes": 4,
        }.items()
    ),
    _simulation("closed-loop", "nengo", None, 1),
    _simulation("closed-loop", "nengo-dl-3", 2.5, 1),
    _simulation("lif", "copy", 0.5, 0.5),
    *(
        Target(f"{how}-{size}", "nengo", tensorflow, jax, set="interactive")
        for how in ("step", "data")
        for size, tensorflow, jax in ((200, 0.67, 1), (2000, 1.25, 2))
    ),
    Target("spaun-build", "nengo", 3, 3, set="building"),
    *(
        Target(f"{name}-cold", "nengo", ratio, ratio, set="building")
        for name, ratio in {
            "products": 5,
            "two-ensembles": 4,
            "connected": 5,
            "ring": 4,
            "spaun": 6,
        }.items()
    ),
    *(
        Target("spiking-training", peer, ratio, ratio, set="training", parameters={})
        for peer, ratio in {"snntorch": 15, "torch": 7, "norse": 5, "spikingjelly": 5}.items()
    ),
    *(
        Target("layer-16000", peer, 1, 1, set="training", parameters={})
        for peer in ("snntorch", "torch", "norse", "spikingjelly")
    ),
    *(
        Target(name, "nengo", 1.5, 1.5, set="memory", parameters={}, most=True)
        for name in ("memory", "memory-sampled")
    ),
]


def target(result: Result, peer: str) -> Target | None:
    """What is wanted of a result, against a peer."""
    for found in TARGETS:
        if found.peer == peer and found.concerns(result):
            return found
    return None
