"""Compare many random networks.

``python tests/random_networks.py --help`` shows the command line.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import nengo
import numpy as np

from oracle import Recording, assert_matches_nengo, draws_for_each_item
from random_networks import describe, has_python_state, random_network, time_step

#: seeds that one worker process compares before it is replaced, which frees what was compiled
SEEDS_PER_PROCESS = 100
SEEDS_PER_TASK = 10


def compare(seed: int, n_steps: int = 30, sim_class=None, atol: float = 1e-9) -> Recording:
    """Fail unless the network of a seed gives the same in nengo_dl (or ``sim_class``) as in Nengo.

    Every fourth network is simulated as a minibatch of two.
    """
    minibatch = sim_class is None and seed % 4 == 3 and not has_python_state(random_network(seed))
    return assert_matches_nengo(
        lambda: random_network(seed),
        n_steps=n_steps,
        dt=time_step(seed),
        seed=seed,
        minibatch_size=2 if minibatch else None,
        sim_class=sim_class,
        atol=atol,
    )


@dataclass(frozen=True)
class Outcome:
    """What came of one seed: a message if it differs, and how many of its probes show something."""

    seed: int
    message: str | None
    n_probes: int = 0
    n_nonzero: int = 0
    n_changing: int = 0


def compare_safely(seed: int, n_steps: int, backend: str) -> Outcome | None:
    """`compare`, with any error as a message; None if ``backend`` need not give the same."""
    simulators = {
        "nengo_dl": None,
        "nengo": functools.partial(nengo.Simulator, optimize=False),
        "nengo-optimized": nengo.Simulator,
    }
    if backend == "nengo-optimized" and draws_for_each_item(random_network(seed)):
        return None  # the optimizer changes who draws which random numbers
    try:
        data = compare(
            seed, n_steps, simulators[backend], atol=0 if backend == "nengo" else 1e-9
        ).data
    except Exception as error:
        return Outcome(seed, f"{type(error).__name__}: {error}")
    return Outcome(
        seed,
        None,
        n_probes=len(data),
        n_nonzero=sum(bool(np.any(values != 0)) for values in data),
        n_changing=sum(bool(np.any(values != values[:1])) for values in data),
    )


def _compare_all(seeds: list[int], n_steps: int, backend: str) -> list[Outcome | None]:
    nengo.rc.set("decoder_cache", "enabled", "False")
    return [compare_safely(seed, n_steps, backend) for seed in seeds]


def outcomes(seeds: Iterable[int], n_steps: int, backend: str, jobs: int) -> Iterator[Outcome]:
    """The outcome of each seed that can be compared, in order."""
    run = functools.partial(_compare_all, n_steps=n_steps, backend=backend)
    seeds = list(seeds)
    tasks = [seeds[i : i + SEEDS_PER_TASK] for i in range(0, len(seeds), SEEDS_PER_TASK)]
    # in another process also where it is the only one: TensorFlow keeps all that it has compiled
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, maxtasksperchild=SEEDS_PER_PROCESS // SEEDS_PER_TASK) as pool:
        for result in pool.imap(run, tasks):
            yield from (outcome for outcome in result if outcome is not None)


def main() -> None:
    """Compare random networks and print how many match, and which do not and where."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=100, help="number of networks")
    parser.add_argument("--start", type=int, default=0, help="seed of the first one")
    parser.add_argument("--steps", type=int, default=30, help="time steps of each simulation")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="number of processes")
    parser.add_argument(
        "--backend-sim",
        choices=["nengo_dl", "nengo", "nengo-optimized"],
        default="nengo_dl",
        help="the simulator to compare with nengo.Simulator; 'nengo' is that one once more",
    )
    parser.add_argument("--show", action="store_true", help="describe the networks that differ")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.backend_sim == "nengo_dl":
        import nengo_dl  # noqa: F401  (if it is missing, fail now and not for each seed)

    start = time.perf_counter()
    compared: list[Outcome] = []
    seeds = range(arguments.start, arguments.start + arguments.count)
    for outcome in outcomes(seeds, arguments.steps, arguments.backend_sim, arguments.jobs):
        compared.append(outcome)
        if outcome.message is not None:
            print(f"\nseed {outcome.seed} differs: {outcome.message}", flush=True)
            if arguments.show:
                print(describe(random_network(outcome.seed)), flush=True)
        if len(compared) % 100 == 0:
            print(f"... {len(compared)} compared", flush=True)
    _summarize(compared, arguments.count, time.perf_counter() - start)


def _summarize(compared: list[Outcome], count: int, seconds: float) -> None:
    failed = [outcome.seed for outcome in compared if outcome.message is not None]
    n_probes = max(1, sum(outcome.n_probes for outcome in compared))
    nonzero = sum(outcome.n_nonzero for outcome in compared) / n_probes
    changing = sum(outcome.n_changing for outcome in compared) / n_probes
    print(
        f"\n{len(compared) - len(failed)} of {len(compared)} networks match in {seconds:.0f} s; "
        f"{count - len(compared)} not compared\n"
        f"of their {n_probes} probes {nonzero:.1%} are not all zero, {changing:.1%} change"
    )
    if failed:
        print("differing seeds:", *failed)
        raise SystemExit(1)
