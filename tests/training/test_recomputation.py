"""Loops that compute steps again for the gradient give what loops give that keep everything."""

from functools import partial

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime.sequences.stages import StagedNetwork

N_STEPS, BATCH = 20, 4


def network(n_in, dtype="float64"):
    """Spiking neurons with and without adaptation, synapses, a recurrent connection, an output of
    which every step is wanted and one of which the last is.
    """
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(
            dtype=dtype, surrogate=nengo_dl.surrogates.arctan(), keep_history=True
        )
        net.inp = nengo.Node(np.zeros(n_in))
        a = nengo.Ensemble(40, 1, neuron_type=nengo.LIF(amplitude=0.05))
        b = nengo.Ensemble(30, 2, neuron_type=nengo.AdaptiveLIF())
        nengo.Connection(net.inp, a.neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(a.neurons, b, transform=nengo_dl.dists.Glorot(), synapse=0.005)
        nengo.Connection(b, b, synapse=0.02)
        net.outputs = [nengo.Probe(b, synapse=0.01), nengo.Probe(a.neurons)]
        net.config[net.outputs[1]].keep_history = False
    return net


def keep_everything(monkeypatch):
    def scan(self, backend, stage):
        return lambda step, invariant, *rest: backend.scan(partial(step, invariant), *rest)

    monkeypatch.setattr(StagedNetwork, "scan", scan)


def loops(monkeypatch):
    """A list, of whether each loop that will be traced computes its steps again."""
    found, scan = [], StagedNetwork.scan

    def observed(self, backend, stage):
        chosen = scan(self, backend, stage)
        found.append(chosen is backend.recomputing_scan)
        return chosen

    monkeypatch.setattr(StagedNetwork, "scan", observed)
    return found


def train(net, n_in):
    """Losses and trained parameters."""
    rng = np.random.RandomState(0)
    x = {net.inp: rng.uniform(0, 1, (2 * BATCH, N_STEPS, n_in))}
    y = {
        net.outputs[0]: rng.uniform(0, 1, (2 * BATCH, N_STEPS, 2)),
        net.outputs[1]: rng.uniform(0, 1, (2 * BATCH, 1, 40)),
    }
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.01), loss="mse")
        losses = sim.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]
        weights = [keras.ops.convert_to_numpy(w.value) for w in sim.keras_model.trainable_weights]
    return losses, weights


@pytest.mark.core
@pytest.mark.parametrize(
    "n_in",
    [3, 300],  # one loop for everything, and one after a product of all steps at once
)
def test_same_training(n_in, monkeypatch):
    with monkeypatch.context() as patched:
        recomputes = loops(patched)
        losses, weights = train(network(n_in), n_in)
    assert any(recomputes)
    keep_everything(monkeypatch)
    kept_losses, kept_weights = train(network(n_in), n_in)
    assert losses[-1] != losses[0]
    assert losses == pytest.approx(kept_losses, rel=1e-10)
    for ours, kept in zip(weights, kept_weights, strict=True):
        np.testing.assert_allclose(ours, kept, rtol=1e-10, atol=1e-10)


def test_eager_calls_have_the_same_gradients(monkeypatch):
    """Of a single sequence, and outside of compiled functions."""
    x = np.random.RandomState(0).uniform(0, 1, (BATCH, N_STEPS, 3))

    def gradients():
        with nengo_dl.Simulator(network(3), minibatch_size=BATCH, progress_bar=False) as sim:
            model, backend = sim.keras_model, sim._engine.backend
            variables = model.trainable_variables

            def loss(tensors):
                with keras.StatelessScope(list(zip(variables, tensors, strict=True))):
                    outputs = model({"inp": x}, training=True).values()
                return sum(keras.ops.sum(value**2) for value in outputs)

            with sim._engine.scope():
                found = backend.gradients(loss, [keras.ops.copy(v.value) for v in variables])
                return [keras.ops.convert_to_numpy(g) for g in found]

    ours = gradients()
    keep_everything(monkeypatch)
    for a, b in zip(ours, gradients(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
        assert np.any(b != 0)


def test_large_products_are_computed_once(monkeypatch):
    """In a loop that has one for each step, because it is recurrent."""
    recomputes = loops(monkeypatch)
    with nengo.Network(seed=0) as net:
        net.inp = nengo.Node(np.zeros(2))
        neurons = nengo.Ensemble(100, 2).neurons
        nengo.Connection(net.inp, neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(neurons, neurons, transform=nengo_dl.dists.Glorot(), synapse=0.01)
        net.probe = nengo.Probe(neurons)
    x = np.ones((BATCH, 5, 2))
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        sim.train_on_batch({net.inp: x}, {net.probe: np.ones((BATCH, 5, 100))})
    assert recomputes and not any(recomputes)


def test_functions_of_tensors_are_computed_once(monkeypatch):
    """They may draw random numbers, which would be others when they are computed again."""
    recomputes = loops(monkeypatch)
    with nengo.Network(seed=0) as net:
        net.inp = nengo.Node(np.zeros(2))
        node = nengo_dl.TensorNode(lambda x: x + 1, shape_in=(2,), shape_out=(2,), pass_time=False)
        ens = nengo.Ensemble(10, 2)
        nengo.Connection(net.inp, node, synapse=None)
        nengo.Connection(node, ens)
        net.probe = nengo.Probe(ens)
    x = np.ones((BATCH, 5, 2))
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        sim.train_on_batch({net.inp: x}, {net.probe: x})
    assert recomputes and not any(recomputes)
