"""One simulator for all pictures."""

from dataclasses import dataclass

import keras
import nengo
import numpy as np
import pytest

import nengo_dl


@dataclass(frozen=True)
class Run:
    """A network that was run, with a batch of 2, and trained."""

    sim: nengo_dl.Simulator
    net: nengo.Network
    stim: nengo.Node
    a: nengo.Ensemble
    b: nengo.Ensemble
    learned: nengo.Connection
    square: nengo_dl.TensorNode
    value: nengo.Probe
    sparse: nengo.Probe
    spikes: nengo.Probe
    rates: nengo.Probe
    inputs: np.ndarray


@pytest.fixture(scope="package")
def run():
    with nengo.Network(seed=0, label="two ensembles") as net:
        nengo_dl.configure_settings(trainable=True)
        stim = nengo.Node(np.zeros(2), label="stim")
        a = nengo.Ensemble(30, 2, label="a")
        nengo.Connection(stim, a)
        nengo.Connection(a, a, synapse=0.1)
        with nengo.Network(label="inner"):
            b = nengo.Ensemble(20, 1, neuron_type=nengo.LIFRate(amplitude=0.5), label="b")
        learned = nengo.Connection(
            a, b, function=lambda x: x[0] * x[1], learning_rule_type=nengo.PES()
        )
        error = nengo.Node(size_in=1, label="error")
        nengo.Connection(b, error)
        nengo.Connection(error, learned.learning_rule)
        square = nengo_dl.TensorNode(
            keras.layers.Dense(3), shape_in=(2,), pass_time=False, label="dense"
        )
        nengo.Connection(a, square)
        value = nengo.Probe(a, synapse=0.01, label="value")
        sparse = nengo.Probe(a, synapse=0.01, sample_every=0.01, label="sparse")
        spikes = nengo.Probe(a.neurons, label="spikes")
        rates = nengo.Probe(b.neurons, label="rates")
    inputs = np.random.RandomState(0).uniform(-1, 1, size=(2, 1, 2)).repeat(100, axis=1)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.run_steps(100, data={stim: inputs})
        yield Run(sim, net, stim, a, b, learned, square, value, sparse, spikes, rates, inputs)
