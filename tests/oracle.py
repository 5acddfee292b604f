"""The one oracle: what ``nengo.Simulator`` gives, in float64.

Other tests import `assert_matches_nengo` from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nengo
import numpy as np
from nengo import Network, Probe

#: processes that draw no random numbers
DETERMINISTIC_PROCESSES = (
    nengo.processes.PresentInput,
    nengo.processes.Piecewise,
    nengo.synapses.Synapse,
)


@dataclass(frozen=True)
class Recording:
    """What a simulation gave.

    Attributes
    ----------
    probes
        The probes, in the order of ``network.all_probes``.
    data
        For each probe an array of shape (steps, ...), or (minibatch_size, steps, ...).
    times
        For each probe the times in seconds at which it was sampled.
    trange, time, n_steps
        What the simulator says about the whole run.
    """

    probes: tuple[Probe, ...]
    data: tuple[np.ndarray, ...]
    times: tuple[np.ndarray, ...]
    trange: np.ndarray
    time: float
    n_steps: int

    def __getitem__(self, probe: Probe) -> np.ndarray:
        return self.data[self.probes.index(probe)]


@dataclass(frozen=True)
class Difference:
    """Where a probe differs first, and how to say it."""

    time: float
    text: str


def assert_matches_nengo(
    network: Network | Callable[[], Network],
    n_steps: int = 50,
    dt: float = 0.001,
    seed: int = 0,
    dtype: str = "float64",
    minibatch_size: int | None = None,
    atol: float = 1e-9,
    sim_class: Callable | None = None,
    **sim_kwargs,
) -> Recording:
    """Fail unless every probe records the same in ``nengo_dl.Simulator`` as in ``nengo.Simulator``.

    Parameters
    ----------
    network
        The network, which is left as it was. If Python functions in it keep state, a function that
        makes the network anew.
    n_steps
        Number of steps to run.
    dt
        Time step in seconds.
    seed
        The simulator's seed; also that of the network if it has none, so that it is built the same
        way twice.
    dtype
        Setting for nengo_dl. Nengo always computes in float64.
    minibatch_size
        If given, item 0 has to be what Nengo gives. So have the others, unless the network draws
        random numbers for each item.
    atol
        Largest difference allowed, relative to the largest absolute value that Nengo gives for the
        probe, or to 1 if that is smaller.
    sim_class
        What to call in place of ``nengo_dl.Simulator``; then ``dtype`` is not set.
    sim_kwargs
        Further arguments of the simulator.

    Returns
    -------
    Recording of ``nengo.Simulator``.
    """
    make = (lambda: network) if isinstance(network, Network) else network
    reference = run_reference(make(), n_steps, seed, dt)
    if minibatch_size is not None:
        sim_kwargs["minibatch_size"] = minibatch_size
    candidate_network = make()
    every_item = not draws_for_each_item(candidate_network)
    if sim_class is None:
        import nengo_dl

        with _nengo_dl_settings(candidate_network, dtype=dtype):
            result = _run(nengo_dl.Simulator, candidate_network, n_steps, seed, dt, **sim_kwargs)
    else:
        result = _run(sim_class, candidate_network, n_steps, seed, dt, **sim_kwargs)
    _compare(reference, result, minibatch_size, every_item, atol)
    return reference


def run_reference(
    network: Network, n_steps: int = 50, seed: int = 0, dt: float = 0.001
) -> Recording:
    """What ``nengo.Simulator`` gives for a network.

    It runs the operators as they are: the optimizer changes the order in which processes without a
    seed draw theirs.
    """
    return _run(nengo.Simulator, network, n_steps, seed, dt, optimize=False)


def draws_for_each_item(network: Network) -> bool:
    """Whether items of a minibatch get random numbers of their own.

    They do from processes without a seed and from neurons that fire at random.
    """
    processes = [node.output for node in network.all_nodes]
    processes += [ens.noise for ens in network.all_ensembles]
    types = [ens.neuron_type for ens in network.all_ensembles]
    return any(
        isinstance(process, nengo.Process)
        and process.seed is None
        and not isinstance(process, DETERMINISTIC_PROCESSES)
        for process in processes
    ) or any(isinstance(t, nengo.StochasticSpiking | nengo.PoissonSpiking) for t in types)


# -- running ---------------------------------------------------------------------------------------


def _run(sim_class, network, n_steps, seed, dt, **sim_kwargs) -> Recording:
    with (
        _seeded(network, seed),
        sim_class(network, dt=dt, seed=seed, progress_bar=False, **sim_kwargs) as sim,
    ):
        sim.run_steps(n_steps)
        probes = tuple(network.all_probes)
        return Recording(
            probes=probes,
            data=tuple(np.array(sim.data[probe]) for probe in probes),
            times=tuple(sim.trange(sample_every=probe.sample_every) for probe in probes),
            trange=sim.trange(),
            time=sim.time,
            n_steps=sim.n_steps,
        )


@contextmanager
def _seeded(network: Network, seed: int) -> Iterator[None]:
    before = network.seed
    network.seed = seed if before is None else before
    try:
        yield
    finally:
        network.seed = before


@contextmanager
def _nengo_dl_settings(network: Network, **settings) -> Iterator[None]:
    """Configure a network for nengo_dl, and put its configuration back afterwards."""
    import nengo_dl

    params = network.config.params
    before = dict(params)
    parameters = {
        owner: {
            key: (owner.get_param(key), key in owner, getattr(owner, key))
            for key in owner.extra_params
        }
        for cls, owner in params.items()
        if isinstance(cls, type)
    }
    try:
        with network:
            nengo_dl.configure_settings(**settings)
        yield
    finally:
        params.clear()
        params.update(before)
        for owner, earlier in parameters.items():
            owner._extra_params = {key: param for key, (param, _, _) in earlier.items()}
            for key, (_, is_set, value) in earlier.items():
                if is_set:
                    setattr(owner, key, value)
                elif key in owner:
                    delattr(owner, key)


# -- comparing -------------------------------------------------------------------------------------


def _compare(
    reference: Recording,
    result: Recording,
    minibatch_size: int | None,
    every_item: bool,
    atol: float,
) -> None:
    assert result.n_steps == reference.n_steps, (
        f"sim.n_steps is {result.n_steps}, Nengo's is {reference.n_steps}"
    )
    np.testing.assert_allclose(result.time, reference.time, rtol=1e-12, err_msg="sim.time")
    np.testing.assert_allclose(result.trange, reference.trange, rtol=1e-12, err_msg="sim.trange()")
    assert len(reference.probes) == len(result.probes), "the two networks are not the same"
    differences = [
        difference
        for i in range(len(reference.probes))
        for difference in _probe_differences(reference, result, i, minibatch_size, every_item, atol)
    ]
    if differences:
        differences.sort(key=lambda difference: difference.time)
        raise AssertionError(
            f"{len(differences)} of {len(reference.probes)} probes differ from nengo.Simulator, "
            "the earliest first:\n" + "\n".join(difference.text for difference in differences)
        )


def _probe_differences(
    reference: Recording,
    result: Recording,
    i: int,
    minibatch_size: int | None,
    every_item: bool,
    atol: float,
) -> Iterator[Difference]:
    """At most one difference for probe ``i``, in the first item that has one."""
    name = f"probe {i}, {reference.probes[i]}"
    expected, actual, times = reference.data[i], result.data[i], reference.times[i]
    shape = expected.shape if minibatch_size is None else (minibatch_size, *expected.shape)
    if actual.shape != shape:
        yield Difference(0, f"{name}: shape {actual.shape}, expected {shape}")
        return
    if len(times) != len(result.times[i]) or not np.allclose(times, result.times[i]):
        yield Difference(0, f"{name}: sim.trange(sample_every) differs from Nengo's")
        return
    items = actual[None] if minibatch_size is None else actual
    for item, values in enumerate(items if every_item else items[:1]):
        text = _first_difference(expected, values, atol)
        if text is not None:
            row, details = text
            which = "" if minibatch_size is None else f"item {item}, "
            step = round(times[row] / reference.time * reference.n_steps)
            yield Difference(
                times[row], f"{name}: {which}step {step} (t={times[row]:g}), {details}"
            )
            return


def _first_difference(
    expected: np.ndarray, actual: np.ndarray, atol: float
) -> tuple[int, str] | None:
    """Row of the first difference between two arrays of the same shape, and a description."""
    if expected.size == 0:
        return None
    finite = np.abs(expected[np.isfinite(expected)])
    allowed = atol * max(1.0, finite.max(initial=0.0))
    with np.errstate(invalid="ignore"):
        distance = np.abs(actual - expected)
    same = (distance <= allowed) | (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    if same.all():
        return None
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    column = ", ".join(map(str, where[1:]))
    return where[0], (
        f"column {column}: {actual[where].item()!r} instead of {expected[where].item()!r} "
        f"(difference {distance[where]:.3g}, allowed {allowed:.3g}); {np.sum(~same)} of "
        f"{same.size} values differ, by at most {distance[~same].max():.3g}"
    )
