"""Steps that call Python, cut into compiled pieces."""

import keras
import keras.ops as ops
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler.cut import cut_at_host_calls
from nengo_dl.runtime.simulation.packing import Packing
from nengo_dl.tuning import PACKED_ELEMENTS
from oracle import assert_matches_nengo


def chain(calls=None):
    """Python Nodes that are called in turn in each step, with neurons between them."""

    def function(name, factor):
        def run(t, x):
            if calls is not None:
                calls.append((name, round(t / 0.001)))
            return factor * x + t

        return run

    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        first = nengo.Node(function("first", 0.5), size_in=1)
        neurons = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear())
        second = nengo.Node(function("second", 0.1), size_in=10)
        alone = nengo.Node(function("alone", 2), size_in=1)
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(stimulus, first, synapse=None)
        nengo.Connection(first, neurons, synapse=None)
        nengo.Connection(neurons.neurons, second, synapse=None)
        nengo.Connection(second[:1], ensemble, synapse=None)
        nengo.Connection(ensemble, first, synapse=0.01)
        nengo.Connection(ensemble, alone)
        learned = nengo.Connection(ensemble, alone, learning_rule_type=nengo.PES())
        nengo.Connection(second[0], learned.learning_rule)
        for target in (first, second, alone, ensemble, ensemble.neurons):
            nengo.Probe(target)
        nengo.Probe(first, sample_every=0.003)
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_calls_that_wait_for_others(minibatch_size):
    assert_matches_nengo(chain, n_steps=60, minibatch_size=minibatch_size)


@pytest.mark.core
def test_random_spikes_are_drawn_once_a_step():
    """However many runs there are, and whether or not a Node calls Python meanwhile."""
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        called = nengo.Node(lambda t, x: 2 * x, size_in=1)
        nengo.Connection(stimulus, called, synapse=None)
        probes = []
        for neurons in (
            nengo.PoissonSpiking(nengo.LIFRate()),
            nengo.StochasticSpiking(nengo.Tanh()),
        ):
            ensemble = nengo.Ensemble(20, 1, neuron_type=neurons)
            nengo.Connection(called, ensemble, synapse=None)
            probes.append(nengo.Probe(ensemble.neurons))
    with nengo.Simulator(net, progress_bar=False) as expected:
        expected.run_steps(30)
    with net:
        nengo_dl.configure_settings(dtype="float64")
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for n_steps in (12, 1, 17):
            sim.run_steps(n_steps)
        for probe in probes:
            assert np.any(expected.data[probe])
            np.testing.assert_allclose(sim.data[probe], expected.data[probe])


def test_each_function_is_called_once_a_step():
    calls = []
    with nengo_dl.Simulator(chain(calls), progress_bar=False) as sim:
        calls.clear()
        sim.run_steps(4)
        sim.run_steps(3)
    assert sorted(calls) == [(n, i) for n in ("alone", "first", "second") for i in range(1, 8)]
    order = [name for name, _ in calls]
    assert all(order[i : i + 3] == order[:3] for i in range(0, 21, 3))
    assert order.index("first") < order.index("second")


def test_calls_that_need_not_wait_are_made_together():
    with nengo_dl.Simulator(chain(), progress_bar=False) as sim:
        lowered = sim._engine.lowered
        pieces = cut_at_host_calls(lowered.schedule(()))
    counts = [len(piece.calls) for piece in pieces]
    # the stimulus, what it is given to, and what that is given to; the fourth waits for none
    assert len(counts) == 4
    assert sum(counts) == 4
    assert counts[-1] == 0
    with nengo.Network(seed=0) as net:
        nodes = [nengo.Node(lambda t, x: x, size_in=1) for _ in range(3)]
        for a, b in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
            nengo.Connection(a, b)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        lowered = sim._engine.lowered
        pieces = cut_at_host_calls(lowered.schedule(()))
    assert [len(piece.calls) for piece in pieces] == [3, 0]


@pytest.mark.core
def test_a_state_too_large_to_be_packed():
    def network():
        with nengo.Network(seed=0) as net:
            ensemble = nengo.Ensemble(PACKED_ELEMENTS + 4, 1)
            node = nengo.Node(lambda t, x: -x, size_in=1)
            nengo.Connection(ensemble, node)
            nengo.Connection(node, ensemble)
            nengo.Probe(node)
        return net

    assert_matches_nengo(network, n_steps=20)


def loop(constant):
    """A Python Node in a loop, and perhaps one whose output is constant."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(lambda t, x: 0.5 * x[0] + t, size_in=1)
        net.ensemble = nengo.Ensemble(50, 1)
        nengo.Connection(node, net.ensemble)
        nengo.Connection(net.ensemble, node)
        if constant:
            nengo.Connection(nengo.Node([0.2]), net.ensemble)
        net.p = nengo.Probe(net.ensemble.neurons)
        net.q = nengo.Probe(node)
    return net


@pytest.mark.core
@pytest.mark.parametrize("constant", [False, True])
def test_a_run_goes_on_where_the_last_one_ended(constant):
    """... also where parameters, states or all are others by then."""
    recorded = []
    for simulator in (nengo.Simulator, nengo_dl.Simulator):
        net, data = loop(constant), []
        with simulator(net, progress_bar=False) as sim:
            signals = sim.model.sig[net.ensemble.neurons]
            for k in range(80):
                if k % 20 == 10:
                    bias = sim.signals[signals["bias"]]
                    bias.setflags(write=True)
                    bias[k // 4 : k // 4 + 5] = -100
                if k % 15 == 7:
                    sim.signals[signals["voltage"]] = 0.25
                if k == 50:
                    data += [np.array(sim.data[net.p]), np.array(sim.data[net.q])]
                    bias[...] = 1.0
                    sim.reset()
                    bias = sim.signals[signals["bias"]]
                    bias.setflags(write=True)
                    bias[...] = 1.0
                if k % 10 == 3:
                    sim.run_steps(40)
                else:
                    sim.step()
            recorded.append([*data, np.array(sim.data[net.p]), np.array(sim.data[net.q])])
    for found, expected in zip(*recorded, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [1, 2])
def test_runs_of_any_length_are_one_function(minibatch_size):
    """Rows of a process come with the results of the calls; all steps have the same roundings."""
    with nengo.Network(seed=0) as net:
        noise = nengo.Node(nengo.processes.WhiteNoise(seed=1), size_out=2)
        ensemble = nengo.Ensemble(20, 2, noise=nengo.processes.WhiteNoise())
        nengo.Connection(noise, ensemble, synapse=None)
        node = nengo.Node(lambda t, x: -x, size_in=2)
        nengo.Connection(ensemble, node)
        nengo.Connection(node, ensemble)
        nengo.Connection(noise, node, synapse=None)  # read on both sides of the call
        probes = [nengo.Probe(ensemble.neurons), nengo.Probe(node)]
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, seed=0) as sim:
        sim.run_steps(40)
        expected = [np.array(sim.data[probe]) for probe in probes]
        sim.reset(seed=0)
        for n_steps in (1, 3, 36):
            sim.run_steps(n_steps)
        assert sim._engine.chunks.n_traces == 1
        for probe, values in zip(probes, expected, strict=True):
            np.testing.assert_array_equal(sim.data[probe], values)


@pytest.mark.core
def test_packing():
    rng = np.random.RandomState(0)
    shapes = [(2, 3), (PACKED_ELEMENTS + 1,), (), (1, PACKED_ELEMENTS), (4,)]
    arrays = [rng.normal(size=shape).astype("float32") for shape in shapes]
    arrays.insert(2, np.arange(5, dtype="int32"))
    tensors = [ops.convert_to_tensor(array) for array in arrays]
    packing = Packing(tensors)
    packed = packing.pack(tensors)
    assert packing.n_packed == len(packed) == 3
    for tensor, array in zip(packing.unpack(packed), arrays, strict=True):
        assert keras.backend.standardize_dtype(tensor.dtype) == str(array.dtype)
        np.testing.assert_array_equal(ops.convert_to_numpy(tensor), array)
