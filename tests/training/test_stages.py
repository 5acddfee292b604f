"""Sequences in stages give what one loop gives."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.compiler import distribute
from nengo_dl.runtime.sequences.stages import StagedNetwork
from nengo_dl.synapses import Delay

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
        delay = Delay([0.001, 0.005], then=0.005)
        nengo.Connection(b, c, transform=nengo_dl.dists.Glorot(), synapse=delay)
        nengo.Connection(net.drive, c[0], synapse=None)
        nengo.Connection(c, c, synapse=Delay(0.002, then=0.02))
        nengo.Connection(c.neurons[:10], d, transform=nengo_dl.dists.He(), synapse=None)
        net.last = nengo.Probe(d)
        net.all = [
            nengo.Probe(c, synapse=Delay(0.003)),
            nengo.Probe(b, "voltage"),
            nengo.Probe(a[3:6]),
        ]
        nengo_dl.configure_settings(keep_history=True)
        net.config[net.last].keep_history = False
    return net


def run(monkeypatch, in_stages, stateful=False, **settings):
    """The outputs after some training, and the parameters."""
    monkeypatch.setattr(distribute, "HEAVY", 1)
    if not in_stages:
        monkeypatch.setattr(StagedNetwork, "is_split", False)
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
    "options",
    [{}, {"stateful": True}, {"surrogate": nengo_dl.surrogates.arctan()}],
    ids=["plain", "stateful", "surrogate"],
)
def test_stages_equal_one_loop(monkeypatch, options):
    n_stages, losses, final, parameters = run(monkeypatch, True, **options)
    _, whole_losses, whole_final, whole_parameters = run(monkeypatch, False, **options)
    assert n_stages >= 3
    assert losses == pytest.approx(whole_losses, rel=1e-9)
    assert final == pytest.approx(whole_final, rel=1e-9)
    assert losses[1] != losses[0]
    for ours, whole in zip(parameters, whole_parameters, strict=True):
        assert np.allclose(ours, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("size", "n_stages"), [(10, 1), (300, 2)])
def test_small_products_stay_in_the_loop(size, n_stages):
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(size))
        neurons = nengo.Ensemble(100, 1).neurons
        nengo.Connection(node, neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Probe(neurons)
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        model = sim.keras_model
        staged = StagedNetwork(model.lowered, list(model.network_inputs.values()), True)
    assert len(staged.stages) == n_stages


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


@pytest.mark.core
def test_keras_layers_without_state_are_called_for_all_steps_at_once(monkeypatch):
    rng = np.random.RandomState(0)
    x, y = rng.rand(4, 5, 36), rng.rand(4, 5, 3)
    results = {}
    for in_stages in (True, False):
        if not in_stages:
            monkeypatch.setattr(StagedNetwork, "is_split", False)
        keras.utils.set_random_seed(0)
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="float64", surrogate="fast_sigmoid")
            image = nengo.Node(np.zeros(36))
            conv = keras.layers.Conv2D(2, 3)
            hidden = nengo_dl.Layer(conv)(image, shape_in=(6, 6, 1))
            spikes = nengo_dl.Layer(nengo.LIF(amplitude=0.01))(hidden)
            nengo.Probe(nengo_dl.Layer(keras.layers.Dense(3))(spikes))
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            model = sim.keras_model
            staged = StagedNetwork(model.lowered, list(model.network_inputs.values()), True)
            assert len(staged.stages) == 3
            sim.compile(keras.optimizers.SGD(0.1), loss="mse")
            losses = sim.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]
            results[in_stages] = (losses, keras.ops.convert_to_numpy(conv.kernel))
    assert results[True][0] == pytest.approx(results[False][0], rel=1e-5)
    assert np.allclose(results[True][1], results[False][1], atol=1e-5)
    assert results[True][0][2] < results[True][0][0]


def test_layers_that_look_at_the_batch_see_one_step_after_the_other():
    with nengo.Network(seed=0) as net:
        image = nengo.Node(np.zeros(4))
        hidden = nengo_dl.Layer(keras.layers.Dense(3))(image)
        nengo.Probe(nengo_dl.Layer(keras.layers.BatchNormalization())(hidden))
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        model = sim.keras_model
        staged = StagedNetwork(model.lowered, list(model.network_inputs.values()), True)
    assert not staged.is_split
