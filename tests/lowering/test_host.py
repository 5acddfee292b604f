"""Python code in the loop: Nodes, connections, processes and operators unknown to nengo_dl."""

import nengo
import numpy as np
import pytest
from nengo.processes import Process

import nengo_dl
from oracle import assert_matches_nengo


class Accumulator(Process):
    """Has an input, a state that Nengo knows of, and one that it does not."""

    def __init__(self, leak=0.1):
        super().__init__(default_size_in=2, default_size_out=2)
        self.leak = leak

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total, calls = state["total"], []

        def step(t, x):
            calls.append(t)
            total[...] = (1 - self.leak) * total + x
            return total + len(calls) * dt

        return step


class Jitter(Process):
    """Random, with an input."""

    def __init__(self, **kwargs):
        super().__init__(default_size_in=2, default_size_out=2, **kwargs)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t, x: x + rng.normal(size=shape_out)


def through(*outputs):
    with nengo.Network(seed=0) as net:
        source = nengo.Node(lambda t: np.sin([20 * t, 30 * t]))
        for output in outputs:
            node = nengo.Node(output, size_in=2, size_out=2)
            nengo.Connection(source, node, synapse=None)
            nengo.Probe(node)
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_processes_with_input(minibatch_size):
    net = through(Accumulator(), Accumulator(0.5), Jitter(seed=3))
    assert_matches_nengo(net, minibatch_size=minibatch_size)


@pytest.mark.core
def test_seeds_are_drawn_in_nengos_order():
    net = through(Jitter(), nengo.Lowpass(0.01), Jitter())
    with net:
        for process in (nengo.processes.WhiteNoise(), nengo.processes.FilteredNoise()):
            nengo.Probe(nengo.Node(process))
        noise = nengo.processes.WhiteSignal(1, 10)
        nengo.Probe(nengo.Ensemble(5, 1, noise=nengo.processes.BrownNoise()))
        nengo.Probe(nengo.Node(noise))
    assert_matches_nengo(net)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_functions(minibatch_size):
    with nengo.Network(seed=0) as net:
        source = nengo.Node(lambda t: np.sin([20 * t, 30 * t]))
        node = nengo.Node(lambda t, x: [t * x[0], x[1] ** 2, 1.0], size_in=2)
        nengo.Connection(source, node, synapse=None)
        direct = nengo.Ensemble(1, 3, neuron_type=nengo.Direct())
        nengo.Connection(node, direct, synapse=None, function=np.sin)
        out = nengo.Node(size_in=2)
        nengo.Connection(direct[[2, 0]], out, function=lambda x: x[::-1] + 1)
        nengo.Connection(source, out, function=lambda x: -x)
        for obj in (node, direct, out):
            nengo.Probe(obj)
    assert_matches_nengo(net, minibatch_size=minibatch_size)


def test_items_of_a_random_process_differ():
    net = through(Jitter())
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        sim.run_steps(5)
        items = sim.data[net.probes[0]]
    assert not np.allclose(items[0], items[1])


def test_the_users_arrays_are_not_shared():
    """A function that keeps what it is given must not see it change."""
    kept = []

    def keep(t, x):
        kept.append(x)
        return x

    net = through(keep)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(5)
        data = sim.data[net.probes[0]]
    np.testing.assert_allclose(kept[-5:], data, rtol=1e-6)


def test_an_error_names_the_node():
    def fail(t, x):
        if t > 0.0025:
            raise ZeroDivisionError("on purpose")
        return x

    net = through(fail)
    net.nodes[1].label = "the broken one"
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(ZeroDivisionError, match="on purpose") as error:
            sim.run_steps(10)
        assert sim.n_steps == 2
    notes = getattr(error.value, "__notes__", ["the broken one"])
    assert "the broken one" in notes[0]
