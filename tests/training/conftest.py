"""Small networks and data for training."""

from dataclasses import dataclass

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

MINIBATCH = 4


@dataclass(frozen=True)
class Regression:
    """Two inputs, rate neurons, and two outputs, of 2 and 3 values."""

    net: nengo.Network
    left: nengo.Node
    right: nengo.Node
    first: nengo.Probe
    second: nengo.Probe


def regression(seed=0, keep_history=None, **settings):
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(**settings)
        if keep_history is not None:
            nengo_dl.configure_settings(keep_history=keep_history)
        left = nengo.Node(np.zeros(2), label="left")
        right = nengo.Node(lambda t: np.sin(100 * t), label="right")
        rates = nengo.dists.Uniform(0.5, 1)
        ens = nengo.Ensemble(10, 3, neuron_type=nengo.RectifiedLinear(), max_rates=rates)
        nengo.Connection(left, ens[:2], synapse=None)
        nengo.Connection(right, ens[2], synapse=None)
        out = [nengo.Node(size_in=size) for size in (2, 3)]
        for node in out:
            nengo.Connection(
                ens.neurons, node, transform=nengo_dl.dists.Glorot(), synapse=None, seed=1
            )
        first = nengo.Probe(out[0], label="first")
        second = nengo.Probe(out[1], label="second")
    return Regression(net, left, right, first, second)


def simulator(model, minibatch_size=MINIBATCH, **kwargs):
    return nengo_dl.Simulator(
        model.net, minibatch_size=minibatch_size, seed=0, progress_bar=False, **kwargs
    )


@pytest.fixture(scope="module")
def model():
    return regression()


@pytest.fixture(scope="module")
def arrays():
    """left, right, first, second: 16 items of 3 steps."""
    rng = np.random.RandomState(0)
    return tuple(rng.uniform(-1, 1, size=(16, 3, size)) for size in (2, 1, 2, 3))


def parameters(sim):
    return [np.asarray(keras.ops.convert_to_tensor(v)) for v in sim.keras_model.trainable_variables]
