"""Sequences in stages give what one loop gives."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime import stages
from nengo_dl.runtime.stages import StagedNetwork

N_STEPS, BATCH = 7, 2


def network(surrogate=None):
    """Layers with and without synapses, a recurrent one, a convolution and several probes."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", surrogate=surrogate, keep_history=True)
        net.image = nengo.Node(np.zeros(16))
        net.drive = nengo.Node(lambda t: np.sin(20 * t))
        conv = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2))
        neurons = {"gain": nengo.dists.Choice([1]), "bias": nengo.dists.Choice([0.5])}
        a = nengo.Ensemble(18, 1, neuron_type=nengo.RectifiedLinear(), **neurons).neurons
        b = nengo.Ensemble(8, 1, neuron_type=nengo.LIF(amplitude=0.05), **neurons).neurons
        c = nengo.Ensemble(20, 2)
        d = nengo.Ensemble(6, 1, neuron_type=nengo.Sigmoid(), **neurons).neurons
        nengo.Connection(net.image, a, transform=conv, synapse=None)
        nengo.Connection(a, b, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(b, c, transform=nengo_dl.dists.Glorot(), synapse=0.005)
        nengo.Connection(net.drive, c[0], synapse=None)
        nengo.Connection(c, c, synapse=0.02)
        nengo.Connection(c.neurons[:10], d, transform=nengo_dl.dists.He(), synapse=None)
        net.last = nengo.Probe(d)
        net.all = [nengo.Probe(c, synapse=0.01), nengo.Probe(b, "voltage"), nengo.Probe(a[3:6])]
        nengo_dl.configure_settings(keep_history=True)
        net.config[net.last].keep_history = False
    return net


def run(monkeypatch, heavy, stateful=False, **settings):
    """The outputs after some training, and the parameters."""
    monkeypatch.setattr(stages, "HEAVY", heavy)
    net = network(**settings)
    rng = np.random.RandomState(1)
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        probes = [net.last, *net.all]
        x = {net.image: rng.uniform(0, 1, size=(2 * BATCH, N_STEPS, 16))}
        y = {p: rng.uniform(0, 1, size=(2 * BATCH, N_STEPS, p.size_in)) for p in probes}
        y[net.last] = y[net.last][:, -1:]
        sim.compile(keras.optimizers.Adam(0.01), loss="mse")
        losses = sim.fit(x, y, epochs=2, shuffle=False, stateful=stateful, verbose=0)
        final = sim.evaluate(x, y, verbose=0)
        model = sim.keras_model
        changing = list(model.network_inputs.values())
        count = len(StagedNetwork(model.lowered, changing, True).stages)
        parameters = [keras.ops.convert_to_numpy(w.value) for w in model.trainable_weights]
    return count, losses.history["loss"], final, parameters


@pytest.mark.core
@pytest.mark.parametrize(
    "options", [{}, {"stateful": True}, {"surrogate": nengo_dl.surrogates.arctan()}], ids=str
)
def test_stages_equal_one_loop(monkeypatch, options):
    n_stages, losses, final, parameters = run(monkeypatch, 1, **options)
    n_whole, whole_losses, whole_final, whole_parameters = run(monkeypatch, 1e18, **options)
    assert n_whole == 1
    assert n_stages >= 3
    assert losses == pytest.approx(whole_losses, rel=1e-9)
    assert final == pytest.approx(whole_final, rel=1e-9)
    assert losses[1] != losses[0]
    for ours, whole in zip(parameters, whole_parameters, strict=True):
        assert np.allclose(ours, whole, rtol=0, atol=1e-10)


def test_small_products_stay_in_the_loop():
    with nengo_dl.Simulator(network(), minibatch_size=BATCH, progress_bar=False) as sim:
        model = sim.keras_model
        staged = StagedNetwork(model.lowered, list(model.network_inputs.values()), True)
    assert not staged.is_split


def test_python_code_sees_one_step_after_the_other():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(300))
        python = nengo.Node(lambda t, x: x, size_in=200)
        nengo.Connection(node, python, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Probe(python)
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        model = sim.keras_model
        staged = StagedNetwork(model.lowered, list(model.network_inputs.values()), True)
    assert not staged.is_split
