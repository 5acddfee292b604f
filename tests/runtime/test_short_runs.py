"""Runs of a few steps, with values from outside and a look at a probe in between."""

import pickle
from importlib.metadata import version

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime.simulation.short_runs import PackedState, ShortRuns
from nengo_dl.tuning import SHORT_RUN_STEPS
from runtime.networks import small

N_STEPS = 60
OLD_JAX = keras.backend.backend() == "jax" and version("jax").startswith(("0.6.", "0.7."))


def sine(t):
    return np.sin(30 * t)


def product(x):
    return x[0] * x[1]


def network(dtype="float32", in_loop=False, learning=True):
    """Inputs of all kinds, learning, and probes that sample."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        given = nengo.Node([0.3, -0.2])
        function = nengo.Node(sine)
        process = nengo.Node(nengo.processes.WhiteSignal(0.05, high=30, seed=1))
        a, b = nengo.Ensemble(20, 2), nengo.Ensemble(15, 1)
        nengo.Connection(given, a)
        nengo.Connection(function, a[0], synapse=None)
        nengo.Connection(process, b)
        learned = nengo.Connection(a, b, function=product)
        if learning:
            learned.learning_rule_type = nengo.PES()
            nengo.Connection(process, learned.learning_rule, synapse=0.01)
        if in_loop:
            count = nengo.Node(lambda t, x: [x[0] ** 2, t], size_in=1, size_out=2)
            nengo.Connection(b, count)
            nengo.Connection(count, a, synapse=0.01)
        nengo.Probe(b, synapse=0.01)
        nengo.Probe(a, sample_every=0.003)
        nengo.Probe(b.neurons)
    return net, given


def pieces(rng):
    """Numbers of steps that are `N_STEPS` together."""
    left = N_STEPS
    while left:
        n = min(int(rng.choice([1, 1, 1, 2, SHORT_RUN_STEPS + 8])), left)
        yield n
        left -= n


def recorded(sim):
    return [sim.data[probe].copy() for probe in sim.model.probes]


def assert_same(sim, expected):
    for values, wanted in zip(recorded(sim), expected, strict=True):
        if OLD_JAX:  # whose XLA makes other sums of few steps
            np.testing.assert_allclose(values, wanted, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(values, wanted)


def inputs(batch=1):
    return np.random.RandomState(0).uniform(-1, 1, (batch, N_STEPS, 2))


@pytest.mark.core
@pytest.mark.parametrize(
    ("in_loop", "minibatch_size"),
    [(False, None), (False, 3), (True, None)],
    ids=["compiled", "minibatch", "Python in the loop"],
)
def test_any_order_of_short_and_long_runs(in_loop, minibatch_size):
    """The same numbers, to the last bit, as in one run; also after a reset and a copy."""
    rng = np.random.RandomState(int(in_loop))
    net, node = network(in_loop=in_loop)
    data = inputs(minibatch_size or 1)
    kwargs = {"minibatch_size": minibatch_size, "progress_bar": False}
    with nengo_dl.Simulator(net, **kwargs) as sim:
        sim.run_steps(N_STEPS, data={node: data})
        with_data = recorded(sim)
        sim.reset()
        sim.run_steps(N_STEPS)
        without = recorded(sim)
        for _ in range(2):
            sim.reset()
            done = 0
            for n in pieces(rng):
                sim.run_steps(n, data={node: data[:, done : done + n]})
                done += n
            assert_same(sim, with_data)
        sim.reset()
        for n in pieces(rng):
            sim.step() if n == 1 else sim.run_steps(n)
        assert_same(sim, without)


@pytest.mark.core
def test_single_steps_equal_nengos():
    net, _ = network("float64")
    with nengo.Simulator(net, progress_bar=False) as theirs:
        theirs.run_steps(40)
    with nengo_dl.Simulator(net) as sim:
        for _ in range(40):
            sim.step()
        for probe in net.all_probes:
            np.testing.assert_allclose(sim.data[probe], theirs.data[probe], atol=1e-9)


@pytest.mark.core
def test_what_others_do_to_the_state_between_steps():
    """Short runs leave the state as they need it; all that reads or changes it has to see it."""
    net, node = network(learning=False)
    data = inputs()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(N_STEPS, data={node: data})
        expected = recorded(sim)
        sim.reset()
        for i in range(20):
            sim.run_steps(1, data={node: data[:, i : i + 1]})
        assert isinstance(sim._state.tensors, PackedState)
        sim.run_steps(1, data={node: data[:, :1]}, stateful=False)
        sim.predict({node: data[:, :3]})
        sim.run_steps(3, data={node: data[:, :3]}, stateful=False)
        with pickle.loads(pickle.dumps(sim)) as copy:
            copied = copy.model.toplevel.nodes[0]
            copy.clear_probes()
            for i in range(20, 30):
                copy.run_steps(1, data={copied: data[:, i : i + 1]})
            spikes = expected[2][20:30]
            np.testing.assert_array_equal(copy.data[copy.model.probes[2]], spikes)
        sim.clear_probes()
        for i in range(20, 30):
            sim.run_steps(1, data={node: data[:, i : i + 1]})
        np.testing.assert_array_equal(sim.data[net.probes[2]], spikes)


@pytest.mark.core
def test_parameters_that_change_between_steps():
    """What was prepared of the parameters is prepared anew when one of them has another value."""
    net, node, probes = small(stimulus=lambda t: 0.5)
    with nengo_dl.Simulator(net) as sim, nengo_dl.Simulator(net) as other:
        for _ in range(5):
            sim.step()
        for simulator in (sim, other):
            for variable in simulator.keras_model.trainable_variables:
                variable.assign(variable + 0.1)
        other.run_steps(5)
        sim.reset(include_trainable=False)
        for _ in range(5):
            sim.step()
        assert_same(sim, recorded(other))
        sim.reset()
        other.reset()
        other.run_steps(5)
        for _ in range(5):
            sim.step()
        assert_same(sim, recorded(other))


@pytest.mark.core
def test_inputs_are_read_when_a_step_is_run():
    """An array that the user fills again is a new input, and no earlier result changes."""
    net, node, probes = small(stimulus=[0.0])
    given, seen = np.zeros((1, 1, 1)), []
    with nengo_dl.Simulator(net) as sim:
        for i in range(6):
            given[...] = i
            sim.run_steps(1, data={node: given})
            seen.append(sim.data[probes[0]][-1])
        np.testing.assert_array_equal(np.ravel(seen), np.arange(6))
        np.testing.assert_array_equal(sim.data[probes[0]].ravel(), np.arange(6))


def test_reading_a_probe_copies_nothing():
    net, _, probes = small()
    with nengo_dl.Simulator(net) as sim:
        for _ in range(3):
            sim.step()
        assert np.shares_memory(sim.data[probes[0]], sim.data[probes[0]])


@pytest.mark.core
def test_few_functions_are_compiled():
    """One for each power of two; a long run before does not keep steps in a row from theirs."""
    net, _, _ = small()
    with nengo_dl.Simulator(net) as sim:
        for n in (1, 1, 2, 3, 4, 5, 8, 7):
            sim.run_steps(n)
        assert sorted(capacity for _, capacity in sim._engine.chunks.functions) == [1, 2, 4, 8]
        assert all(isinstance(run, ShortRuns) for run in sim._engine.chunks.functions.values())
        traces = sim._engine.chunks.n_traces
        for n in (1, 2, 4, 8, 6):
            sim.run_steps(n)
        assert sim._engine.chunks.n_traces == traces
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(SHORT_RUN_STEPS + 1)
        for _ in range(2):
            sim.step()
        assert len(sim._engine.chunks.functions) == 1
        sim.step()
        assert len(sim._engine.chunks.functions) == 2


def test_no_bar_for_single_steps(capsys):
    net, _, _ = small()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.progress_bar = True
        sim.step()
        sim.run_steps(1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("n_before", [2**16 - 2, 2**20 - 2])
def test_steps_are_counted_far(n_before):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo_dl.TensorNode(lambda t: t[None], pass_time=True))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim._state = sim._state._replace(n_steps=n_before)
        for _ in range(4):
            sim.step()
        times = (n_before + 1 + np.arange(4)) * sim.dt
        np.testing.assert_allclose(sim.data[probe].ravel(), times, rtol=1e-7)
