"""Inputs that are computed ahead: the numbers of nengo.Simulator, whatever is run when."""

import nengo
import numpy as np
import pytest
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)

import nengo_dl
from runtime.networks import reference

N_STEPS = 45


class Counter(nengo.Process):
    """Counts its steps, from a random start, in state that Nengo holds."""

    def __init__(self, seed=None):
        super().__init__(default_size_in=0, default_size_out=2, seed=seed)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"count": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        start = rng.uniform(size=shape_out)

        def step(t):
            state["count"] += 1
            return start + state["count"]

        return step


PROCESSES = {
    "WhiteNoise": lambda seed: WhiteNoise(default_size_out=2, seed=seed),
    "unscaled WhiteNoise": lambda seed: WhiteNoise(scale=False, default_size_out=1, seed=seed),
    "WhiteSignal": lambda seed: WhiteSignal(0.03, 50, default_size_out=2, seed=seed),
    "odd WhiteSignal": lambda seed: WhiteSignal(0.0151, 80, seed=seed),
    "FilteredNoise": lambda seed: FilteredNoise(synapse=0.01, seed=seed, default_size_out=2),
    "BrownNoise": lambda seed: BrownNoise(seed=seed),
    "Piecewise": lambda seed: Piecewise({0: 1, 0.01: 2, 0.02: -1}),
    "PresentInput": lambda seed: PresentInput(np.arange(6).reshape(3, 2), 0.004),
    "PresentInput that does not fit the step": lambda seed: PresentInput([[1], [2]], 0.0037),
    "own": Counter,
}


def all_processes(seed):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        nodes = [nengo.Node(make(seed), label=name) for name, make in PROCESSES.items()]
        probes = [nengo.Probe(node) for node in nodes]
        # one of them in the middle of the network, where it draws in between the others
        ensemble = nengo.Ensemble(5, 1, noise=WhiteNoise(seed=seed))
        nengo.Connection(nodes[0][0], ensemble)
        nengo.Probe(ensemble)
    return net, probes


@pytest.fixture(scope="module")
def unseeded():
    net, probes = all_processes(None)
    with nengo_dl.Simulator(net, seed=3) as sim:
        yield net, probes, sim


@pytest.fixture(scope="module")
def expected(unseeded):
    return reference(unseeded[0], N_STEPS, seed=3)


@pytest.mark.core
def test_processes_without_a_seed(unseeded, expected):
    """All of them draw from one random state, so this holds only in Nengo's own order."""
    net, _, sim = unseeded
    sim.reset(seed=3)
    sim.run_steps(N_STEPS)
    for probe, values in zip(net.probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-9, err_msg=str(probe))


def test_another_seed(unseeded, expected):
    net, probes, sim = unseeded
    sim.reset(seed=4)
    sim.run_steps(N_STEPS)
    for probe, values in zip(net.probes, reference(net, N_STEPS, seed=4), strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-9, err_msg=str(probe))
    assert not np.allclose(sim.data[probes[0]], expected[0])


def test_step_by_step_with_predictions_between(unseeded, expected):
    net, probes, sim = unseeded
    sim.reset(seed=3)
    for n_steps in (1, 10, 4, N_STEPS - 15):
        before = sim.n_steps
        ahead = sim.predict(n_steps=7)
        for probe, values in zip(probes, expected, strict=False):
            np.testing.assert_allclose(
                ahead[probe][0, : N_STEPS - before], values[before : before + 7], atol=1e-9
            )
        sim.run_steps(n_steps)
    for probe, values in zip(net.probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-9, err_msg=str(probe))


def test_runs_without_state_repeat_themselves(unseeded, expected):
    net, probes, sim = unseeded
    sim.reset(seed=3)
    sim.run_steps(5)
    for _ in range(2):
        sim.clear_probes()
        sim.run_steps(6, stateful=False)
        for probe, values in zip(probes, expected, strict=False):
            np.testing.assert_allclose(sim.data[probe], values[5:11], atol=1e-9)


def test_reset_that_keeps_the_processes(unseeded, expected):
    """The simulation starts again, random processes go on."""
    net, probes, sim = unseeded
    sim.reset(seed=3)
    sim.run_steps(20)
    sim.reset(include_processes=False)
    assert sim.n_steps == 0
    for _ in range(2):
        ahead = sim.predict(n_steps=10)
    sim.run_steps(10)
    for name in ("WhiteNoise", "FilteredNoise", "own"):
        index = list(PROCESSES).index(name)
        for values in (ahead[probes[index]][0], sim.data[probes[index]]):
            np.testing.assert_allclose(values, expected[index][20:30], atol=1e-9, err_msg=name)
    sim.reset()
    sim.run_steps(10)
    np.testing.assert_allclose(sim.data[probes[0]], expected[0][:10], atol=1e-9)


@pytest.mark.core
@pytest.mark.parametrize("seed", [None, 5], ids=["unseeded", "seeded"])
def test_items_of_a_minibatch(seed):
    net, probes = all_processes(seed)
    expected = reference(net, N_STEPS, seed=3)
    with nengo_dl.Simulator(net, seed=3, minibatch_size=3) as sim:
        sim.run_steps(N_STEPS)
    for probe, name, values in zip(probes, PROCESSES, expected, strict=False):
        recorded = sim.data[probe]
        np.testing.assert_allclose(recorded[0], values, atol=1e-9, err_msg=name)
        random = "Present" not in name and name != "Piecewise"
        for item in (1, 2):
            same = np.allclose(recorded[item], recorded[item - 1])
            assert same == (seed is not None or not random), name


def test_longer_than_a_chunk():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(FilteredNoise(synapse=0.01))
        signal = nengo.Node(WhiteSignal(0.7, 10))
        probes = [nengo.Probe(node), nengo.Probe(signal), nengo.Probe(node, sample_every=0.003)]
    expected = reference(net, 2100)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(1700)
        sim.run_steps(400)
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_allclose(sim.data[probe], values, atol=1e-9)


def test_data_in_place_of_a_process():
    """The process is where it would be without the data."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(WhiteNoise(), size_out=1)
        probe = nengo.Probe(node)
    (expected,) = reference(net, 30)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(10)
        sim.run_steps(10, data={node: np.zeros((1, 10, 1))})
        sim.run_steps(10)
        recorded = sim.data[probe]
    np.testing.assert_array_equal(recorded[10:20], 0)
    np.testing.assert_allclose(recorded[20:], expected[20:], rtol=1e-5)


def test_functions_of_time():
    calls = []

    def function(t):
        calls.append(t)
        return [t, np.sin(t)]

    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(function)
        probe = nengo.Probe(node)
    (expected,) = reference(net, 20)
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        calls.clear()
        sim.run_steps(20)
        assert len(calls) == 20
        assert all(isinstance(t, float) for t in calls)
    np.testing.assert_array_equal(sim.data[probe], [expected] * 2)


def test_functions_that_return_what_they_keep():
    """One array, changed and returned again and again; lists, tuples, numbers of other types."""
    kept = np.zeros(2)

    def keeps(t):
        kept[:] = t, -t
        return kept

    functions = {
        keeps: 2,
        lambda t: [t, [1][0]]: 2,
        lambda t: (np.float32(t), True): 2,
        lambda t: np.float64(t): 1,
        lambda t: int(1000 * t): 1,
        lambda t: np.array(t): 3,
        lambda t: t: 3,
        lambda t: np.array([t]): 3,
    }
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        probes = [nengo.Probe(nengo.Node(f, size_out=size)) for f, size in functions.items()]
    expected = reference(net, 12)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(5)
        sim.run_steps(7)
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_array_equal(sim.data[probe], values)


def test_array_changed_after_the_build():
    """As in Nengo, the value is that of the build."""
    value = np.array([1.0, 2.0])
    with nengo.Network() as net:
        node = nengo.Node(value)
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(2)
        with net:
            node.output = [5.0, 6.0]
        sim.run_steps(2)
    np.testing.assert_array_equal(sim.data[probe], [[1, 2]] * 4)
