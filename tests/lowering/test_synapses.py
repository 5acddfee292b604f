"""Synapses: filters of every order and form, discrete ones too."""

import nengo
import numpy as np
import pytest
from nengo.synapses import LinearFilter

import nengo_dl
from nengo_dl.lowering.synapses import TriangleKernel
from oracle import assert_matches_nengo

SYNAPSES = [
    nengo.Lowpass(0.01),
    nengo.Lowpass(0.0),
    nengo.Lowpass(0.002),
    nengo.Alpha(0.01),
    nengo.Alpha(0.0001),
    nengo.Triangle(0.01),
    LinearFilter([1], [0.03, 1]),
    LinearFilter([1, 0.5], [0.0004, 0.03, 1]),  # a zero
    LinearFilter([0.02, 1], [0.01, 1]),  # direct feed-through
    LinearFilter([1], [1e-6, 3e-4, 0.03, 1]),  # third order
    LinearFilter([1], [0.03, 1], method="euler"),
    LinearFilter([1], [0.03, 1], method="bilinear"),
    LinearFilter([0.3], [1, -0.7], analog=False),
    LinearFilter([0.1, 0.2], [1, -1.1, 0.4], analog=False),
    LinearFilter([2], [1]),  # a gain
    LinearFilter([1], [1, 0, 0], analog=False),  # a delay
]


def network_of(*synapses, sizes=(3,)):
    with nengo.Network(seed=0) as net:
        for synapse in synapses:
            for size in sizes:
                node = nengo.Node(
                    lambda t, n=size: np.sin(np.arange(1, n + 1) * 30 * t), size_out=size
                )
                out = nengo.Node(size_in=size)
                nengo.Connection(node, out, synapse=synapse)
                nengo.Probe(out)
                nengo.Probe(node, synapse=synapse)
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_all(minibatch_size):
    net = network_of(*SYNAPSES, sizes=(1, 3, 1))
    assert_matches_nengo(net, n_steps=80, minibatch_size=minibatch_size)


@pytest.mark.parametrize("dt", [0.0005, 0.01])
def test_time_step(dt):
    # a method that is unstable at a long step says nothing
    synapses = [s for s in SYNAPSES if getattr(s, "method", "zoh") == "zoh"]
    assert_matches_nengo(network_of(*synapses), n_steps=30, dt=dt)


def test_on_a_matrix():
    """A probe of weights with a synapse."""
    with nengo.Network(seed=0) as net:
        pre, post = nengo.Ensemble(10, 1), nengo.Ensemble(8, 2)
        conn = nengo.Connection(
            pre, post, function=lambda x: [0, 0], learning_rule_type=nengo.PES(1e-2)
        )
        nengo.Connection(nengo.Node([0.5, -0.5]), conn.learning_rule)
        for synapse in (None, 0.01, nengo.Alpha(0.01), nengo.Triangle(0.01)):
            nengo.Probe(conn, "weights", synapse=synapse)
    assert_matches_nengo(net, n_steps=40)
    assert_matches_nengo(net, n_steps=40, minibatch_size=2)


@pytest.mark.core
def test_as_the_output_of_a_node():
    with nengo.Network(seed=0) as net:
        source = nengo.Node(lambda t: np.sin([20 * t, 30 * t]))
        for process in (nengo.Lowpass(0.02), nengo.Alpha(0.01), LinearFilter([1, 1], [0.1, 1])):
            node = nengo.Node(process, size_in=2, size_out=2)
            nengo.Connection(source, node, synapse=None)
            nengo.Probe(node)
    assert_matches_nengo(net)


def test_equal_forms_are_one_group():
    net = network_of(nengo.Lowpass(0.01), nengo.Lowpass(0.02), nengo.Lowpass(0.03), sizes=(1, 5))
    with nengo_dl.Simulator(net) as sim:
        groups = [line.split() for line in str(sim.program).splitlines()]
    assert [words[1] for words in groups if "SimProcess" in words] == ["12"]


def test_no_synapse_runs_on_the_host():
    with nengo_dl.Simulator(network_of(*SYNAPSES), progress_bar=False) as sim:
        kernels = [getattr(step, "kernel", None) for step in sim.program.layout.instructions]
    assert not any(kernel.on_host for kernel in kernels if kernel is not None)
    assert sum(type(kernel) is TriangleKernel for kernel in kernels) == 1  # all in one group
