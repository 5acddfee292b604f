"""Spiking networks whose neurons are connected among themselves, trained through time."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

STEPS, UNITS = 12, 20


def network(recurrent: bool):
    """LIF neurons, connected among themselves or not, that alone forget in a few steps."""
    rng = np.random.RandomState(0)
    orthogonal, _ = np.linalg.qr(rng.randn(UNITS, UNITS))
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(
            surrogate=nengo_dl.surrogates.fast_sigmoid(4.0), keep_history=False, trainable=None
        )
        stimulus, output = nengo.Node([0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(
            UNITS,
            1,
            neuron_type=nengo.LIF(tau_rc=0.002, tau_ref=0.001, amplitude=0.01),
            gain=np.ones(UNITS),
            bias=np.full(UNITS, 0.95),
        )
        net.config[ens].trainable = False
        nengo.Connection(stimulus, ens.neurons, transform=rng.randn(UNITS, 1), synapse=None)
        if recurrent:  # by spikes of the step before
            weights = 0.15 * orthogonal
            nengo.Connection(ens.neurons, ens.neurons, transform=weights, synapse=0)
        nengo.Connection(ens.neurons, output, transform=np.zeros((1, UNITS)), synapse=None)
        probe = nengo.Probe(output)
    return net, stimulus, probe


@pytest.mark.core
@pytest.mark.parametrize("recurrent", [True, False])
def test_first_input_is_recalled(recurrent):
    """Its sign, from the spikes nine steps after it is over: only with recurrent connections."""
    rng = np.random.RandomState(1)
    x = np.zeros((64, STEPS, 1))
    x[:, :3] = rng.uniform(1, 3, (64, 1, 1)) * rng.choice([-1, 1], (64, 1, 1))
    y = np.sign(x[:, :1])
    net, stimulus, probe = network(recurrent)
    with nengo_dl.Simulator(net, minibatch_size=32, seed=0, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), loss={probe: "mse"})
        sim.fit({stimulus: x}, {probe: y}, epochs=200, verbose=0)
        loss = sim.evaluate({stimulus: x}, {probe: y}, verbose=0)["loss"]
    assert loss < 0.2 if recurrent else loss > 0.5
