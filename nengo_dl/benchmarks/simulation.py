"""Speed of simulation, as ratios to nengo.Simulator measured in the same run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import nengo

from nengo_dl.benchmarks import networks
from nengo_dl.benchmarks.measure import Comparison, compare


@dataclass(frozen=True)
class Benchmark:
    """One comparison with nengo.Simulator.

    Attributes
    ----------
    name
        What it is called on the command line.
    network
        Makes the network; see `nengo_dl.benchmarks.networks`.
    n_steps
        Timesteps in each repetition.
    minibatch_size
        Size of our minibatch; nengo.Simulator has none. None for a simulator without one.
    build
        Whether building the simulator and its first run are timed, instead of later runs.
    """

    name: str
    network: Callable[[], nengo.Network]
    n_steps: int
    minibatch_size: int | None = None
    build: bool = False

    @property
    def description(self) -> str:
        """What is timed, for a reader."""
        run = f"{self.n_steps:,} steps"
        if self.minibatch_size is not None:
            run = f"{run}, minibatch {self.minibatch_size}"
        return f"build + first run of {run}" if self.build else run


@dataclass(frozen=True)
class Result:
    """A benchmark and what it measured."""

    benchmark: Benchmark
    backend: str
    n_neurons: int
    comparison: Comparison


BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark("tutorial", networks.tutorial, n_steps=10_000),
        Benchmark("tutorial-minibatch", networks.tutorial, n_steps=1_000, minibatch_size=64),
        Benchmark("cconv", networks.cconv, n_steps=1_000),
        Benchmark("cconv-build", networks.cconv, n_steps=1_000, build=True),
        Benchmark("integrator", networks.integrator, n_steps=1_000),
        Benchmark("pes", networks.pes, n_steps=200),
        Benchmark("basal-ganglia", networks.basal_ganglia, n_steps=1_000),
        Benchmark("random-network", networks.random_network, n_steps=500),
        Benchmark("closed-loop", networks.closed_loop, n_steps=1_000),
    )
}
DEFAULT = ("tutorial", "tutorial-minibatch", "cconv", "cconv-build")


def run(benchmark: Benchmark, repeats: int = 5) -> Result:
    """Measure one benchmark.

    Parameters
    ----------
    benchmark
        What to measure.
    repeats
        How many times each simulator is timed, after one untimed run of each.
    """
    import keras

    net = benchmark.network()
    measure = _compare_builds if benchmark.build else _compare_runs
    comparison = measure(net, benchmark, repeats)
    return Result(benchmark, keras.backend.backend(), net.n_neurons, comparison)


def _compare_runs(net: nengo.Network, benchmark: Benchmark, repeats: int) -> Comparison:
    def run_steps(sim):
        sim.clear_probes()
        sim.run_steps(benchmark.n_steps, progress_bar=False)

    with _ours(net, benchmark) as ours, nengo.Simulator(net, progress_bar=False) as theirs:
        return compare(
            lambda: run_steps(ours),
            lambda: run_steps(theirs),
            repeats,
            work=benchmark.minibatch_size or 1,
        )


def _compare_builds(net: nengo.Network, benchmark: Benchmark, repeats: int) -> Comparison:
    def build_and_run(simulator):
        with simulator() as sim:
            sim.run_steps(benchmark.n_steps, progress_bar=False)

    return compare(
        lambda: build_and_run(lambda: _ours(net, benchmark)),
        lambda: build_and_run(lambda: nengo.Simulator(net, progress_bar=False)),
        repeats,
        work=benchmark.minibatch_size or 1,
    )


def _ours(net: nengo.Network, benchmark: Benchmark):
    import nengo_dl

    return nengo_dl.Simulator(net, minibatch_size=benchmark.minibatch_size, progress_bar=False)


COLUMNS = "{:<20} {:<12} {:>8}  {:<42} {:>12} {:>12}  {}"
HEADER = COLUMNS.format(
    "benchmark", "backend", "neurons", "timed", "nengo", "nengo_dl", "times as fast as nengo"
)


def row(result: Result) -> str:
    """One line of the table: a ratio with its spread, and the times that it comes from."""
    comparison, benchmark = result.comparison, result.benchmark
    low, high = min(comparison.ratios), max(comparison.ratios)
    return COLUMNS.format(
        benchmark.name,
        result.backend,
        f"{result.n_neurons:,}",
        benchmark.description,
        _milliseconds(comparison.theirs),
        _milliseconds(comparison.ours),
        f"{comparison.ratio:.3g} ({low:.3g} to {high:.3g})",
    )


def _milliseconds(times: Iterable[float]) -> str:
    return f"{median(times) * 1e3:,.1f} ms"


def to_json(results: Iterable[Result], path: str | Path) -> None:
    """Write results to a file, all times of all repetitions included.

    Parameters
    ----------
    results
        What to write.
    path
        Name of the file; an existing one is replaced.
    """
    records = [
        {
            "name": result.benchmark.name,
            "timed": result.benchmark.description,
            "backend": result.backend,
            "neurons": result.n_neurons,
            "minibatch_size": result.benchmark.minibatch_size,
            "n_steps": result.benchmark.n_steps,
            "ratio": result.comparison.ratio,
            "ratios": result.comparison.ratios,
            "nengo_dl_seconds": result.comparison.ours,
            "nengo_seconds": result.comparison.theirs,
        }
        for result in results
    ]
    Path(path).write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
