"""Cases of simulation, of building, of memory, and of how they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nengo_dl.benchmarks.cases import Case
from nengo_dl.benchmarks.peers.process import Job

MODULE = "peers.simulators"
BATCHES = 1, 16
BYTES_PER_LIF = 24  # input, voltage and refractory time are read; voltage, time, spike written


@dataclass(frozen=True)
class Simulated:
    """A network that is simulated.

    Attributes
    ----------
    network
        Name of a function of `networks`.
    n_steps
        The most steps of a run.
    arguments
        Arguments of the function.
    minibatch_size
        The only size of minibatch; None for all that are asked for.
    quick
        Whether it is measured when nothing is asked for.
    nengo
        Whether `nengo.Simulator` can run it.
    """

    network: str
    n_steps: int = 1000
    arguments: dict[str, Any] = field(default_factory=dict)
    minibatch_size: int | None = None
    quick: bool = False
    nengo: bool = True


SIMULATION = {
    "tutorial": Simulated("tutorial", n_steps=10_000, quick=True),
    "tutorial-minibatch": Simulated("tutorial", minibatch_size=64),
    "cconv": Simulated("cconv", quick=True),
    "integrator": Simulated("integrator"),
    "basal-ganglia": Simulated("basal_ganglia"),
    "random-network": Simulated("random_network"),
    "pes": Simulated("pes"),
    "closed-loop": Simulated("closed_loop", minibatch_size=1),
    "lmu": Simulated("lmu"),
    "mnist": Simulated("mnist", arguments={"use_tensor_layer": False}),
    "mnist-layers": Simulated("mnist", nengo=False),
    "spaun": Simulated("spaun"),
}
BUILDING = {
    "tutorial-build": Simulated("tutorial"),
    "cconv-build": Simulated("cconv", quick=True),
    "random-network-build": Simulated("random_network"),
    "spaun-build": Simulated("spaun"),
}
#: networks whose decoders are solved for anew: the first four without any steps
BUILDING_COLD = {
    "products-cold": Simulated("products", n_steps=0),
    "two-ensembles-cold": Simulated("two_ensembles", n_steps=0),
    "connected-cold": Simulated("connected", n_steps=0),
    "ring-cold": Simulated("ring", n_steps=0),
    "spaun-cold": Simulated("spaun"),
}
N_LIF = 500_000


def quick() -> set[str]:
    """Names of what is measured when nothing is asked for."""
    return {name for name, case in {**SIMULATION, **BUILDING}.items() if case.quick}


def simulation(batches: Sequence[int] = BATCHES, dtypes: Sequence[str] = ("float32",)):
    """Time of a step of one item, in each network, size of minibatch and precision."""
    return [
        _steps(name, simulated, batch, dtype)
        for name, simulated in SIMULATION.items()
        for batch in ([simulated.minibatch_size] if simulated.minibatch_size else batches)
        for dtype in dtypes
    ] + [lif()]


def _steps(name: str, simulated: Simulated, batch: int, dtype: str = "float32") -> Case:
    ours, peers = _jobs("simulate", simulated, batch, dtype)
    parameters = {"minibatch_size": batch, "dtype": dtype}
    return Case(name, "simulation", ours, peers, n=simulated.n_steps, parameters=parameters)


def _jobs(
    function: str, simulated: Simulated, batch: int = 1, dtype: str = "float32", **arguments: Any
) -> tuple[Job, dict[str, Job]]:
    """Our job, and that of each peer."""
    arguments = {
        "network": simulated.network,
        "network_arguments": simulated.arguments,
        **arguments,
    }
    # a minibatch of one is what a simulator has without being asked
    batched = {"minibatch_size": None if batch == 1 else batch, "dtype": dtype}
    ours = Job(MODULE, function, {"simulator": "nengo_dl", **arguments, **batched}, batch)
    peers = {"nengo-dl-3": replace(ours, arguments={**ours.arguments, "simulator": "nengo_dl_3"})}
    if simulated.nengo:
        for peer, simulator in (("nengo", "nengo"), ("nengo-ocl", "nengo_ocl")):
            peers[peer] = Job(MODULE, function, {"simulator": simulator, **arguments})
    return ours, dict(sorted(peers.items()))


def lif(n_neurons: int = N_LIF) -> Case:
    """Time of LIF neurons on one core, against the time in which their memory is copied."""
    ours = Job(
        MODULE,
        "simulate",
        {
            "simulator": "nengo_dl",
            "network": "lif",
            "network_arguments": {"n_neurons": n_neurons},
        },
        cores=1,
    )
    # a copy moves each byte twice
    copied = Job(MODULE, "copy", {"n_bytes": n_neurons * BYTES_PER_LIF // 2}, cores=1)
    parameters = {"minibatch_size": 1, "dtype": "float32"}
    return Case("lif", "simulation", ours, {"copy": copied}, n=500, parameters=parameters)


def interactive() -> list[Case]:
    """Time of a single step: without data, with data, and in a loop that the program closes."""
    sizes = {
        "200": {"n_ensembles": 1, "n_neurons": 200},
        "2000": {"n_ensembles": 20, "n_neurons": 100},
    }
    return [
        _interactive(f"{how}-{name}", how, arguments)
        for how in ("step", "data", "loop")
        for name, arguments in sizes.items()
    ]


def _interactive(name: str, how: str, size: dict[str, int]) -> Case:
    arguments = {"network": "controlled", "network_arguments": size, "how": how}
    jobs = {
        simulator: Job(MODULE, "interact", {"simulator": simulator, **arguments})
        for simulator in ("nengo_dl", "nengo_dl_3", "nengo")
    }
    peers = {"nengo": jobs["nengo"], "nengo-dl-3": jobs["nengo_dl_3"]}
    parameters = {"minibatch_size": 1, "dtype": "float32"}
    return Case(name, "interactive", jobs["nengo_dl"], peers, n=2000, parameters=parameters)


def building() -> list[Case]:
    """Time to build a network, and of its first second; of a small one also if another simulator of
    its structure has run; of some with an empty cache of decoders.
    """
    first = [_build(name, simulated) for name, simulated in BUILDING.items()]
    again = _build("tutorial-again", BUILDING["tutorial-build"], again=True)
    cold = [_build(name, simulated, cached=False) for name, simulated in BUILDING_COLD.items()]
    return [*first, again, *cold]


def _build(name: str, simulated: Simulated, **arguments) -> Case:
    return Case(
        name,
        "building",
        *_jobs("build", simulated, **arguments),
        n=simulated.n_steps,
        calibrate=False,
        parameters={"minibatch_size": 1, "dtype": "float32"}
        | ({} if simulated.n_steps else {"n_steps": 0}),
    )


def memory(n_steps: int = 1_000_000) -> list[Case]:
    """Largest resident set of a long simulation."""
    found = []
    for name, sample_every in (("memory", None), ("memory-sampled", 0.1)):
        ours, peers = _jobs(
            "simulate", SIMULATION["tutorial"], sample_every=sample_every, keep=True
        )
        parameters = {"n_steps": n_steps, "sample_every": sample_every}
        found.append(
            Case(
                name,
                "memory",
                ours,
                {"nengo": peers["nengo"]},
                n=n_steps,
                calibrate=False,
                warm_up=1000,
                repeats=1,
                parameters=parameters,
                apart=True,
            )
        )
    return found


# -- curves ----------------------------------------------------------------------------------------


def scaling() -> list[Case]:
    """Points of curves: time of a step against neurons and minibatch, of a run against steps, and
    of building against operators.
    """
    return [*_neurons(), *_minibatches(), *_lengths(), *_operators()]


def _neurons() -> list[Case]:
    return [
        replace(
            _steps("scaling", Simulated("integrator", arguments={"dimensions": dimensions}), 1),
            set="scaling",
            series="neurons",
        )
        for dimensions in (2, 8, 32, 128, 512)
    ]


def _minibatches() -> list[Case]:
    return [
        replace(
            _steps("scaling", SIMULATION["cconv"], batch), set="scaling", series="minibatch_size"
        )
        for batch in (1, 2, 4, 16, 64, 128)
    ]


def _lengths() -> list[Case]:
    return [
        replace(
            _steps("scaling", SIMULATION["tutorial"], 1),
            set="scaling",
            series="steps",
            n=n_steps,
            calibrate=False,
        )
        for n_steps in (10, 100, 1_000, 10_000, 100_000)
    ]


def _operators() -> list[Case]:
    return [
        replace(
            _build("scaling", Simulated("random_network", arguments={"n_ensembles": n_ensembles})),
            set="scaling",
            series="operators",
            n=0,
            repeats=3,
        )
        for n_ensembles in (10, 50, 200, 800)
    ]
