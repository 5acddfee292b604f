"""Gain, encoders and rates of ensembles whose parameters have changed."""

import pickle

import keras
import nengo
import numpy as np
import pytest
from nengo.builder.ensemble import BuiltEnsemble
from nengo.utils.ensemble import response_curves, tuning_curves

import nengo_dl
from nengo_dl.runtime.parameters.ensembles import (
    encoder_lengths,
    gain_and_encoders,
    present_ensemble,
)
from runtime.parameter_networks import change_parameters

LONG_AND_SHORT = np.tile([[0.5, 0], [0, 2]], (4, 1))
FIELDS = ("encoders", "scaled_encoders", "gain", "bias", "max_rates", "intercepts")


def built(gain, encoders, bias=0.0, radius=2.0):
    gain, encoders = np.asarray(gain, dtype=float), np.asarray(encoders, dtype=float)
    bias = np.full(len(gain), bias)
    scaled = encoders * (gain / radius)[:, None]
    nothing = np.full(len(gain), np.nan)
    return BuiltEnsemble(None, encoders, nothing, nothing, scaled, gain, bias)


@pytest.mark.parametrize(
    "gain, encoder, scaled, expected",
    [
        (3, [1, 0], [0, 6], (12, [0, 1])),  # encoders turn, the gain grows
        (3, [0.5, 0], [0, 6], (24, [0, 0.5])),  # not normalized
        (-3, [1, 0], [-3, 0], (-6, [1, 0])),  # of the sign that was given
        (3, [1, 0], [0, 0], (0, [1, 0])),  # what does not listen any more
        (3, [0, 0], [0, 0], (3, [0, 0])),  # what never did
        (3, [0, 0], [0, 6], (3, [0, 4])),  # without a length to keep
        (0, [0, 0], [0, 6], (12, [0, 1])),
        (0, [1, 0], [0, 0], (0, [1, 0])),  # unchanged
        (0, [1, 0], [0, 6], (12, [0, 1])),
    ],
)
def test_encoders_keep_their_length(gain, encoder, scaled, expected):
    before = built([gain, 1.1], [encoder, [0.6, 0.8]])
    scaled = np.array([scaled, before.scaled_encoders[1]])
    for items in (scaled, np.stack([scaled, before.scaled_encoders])):
        gains, encoders = gain_and_encoders(before, 2.0, items)
        np.testing.assert_allclose(gains.reshape(-1, 2)[0], [expected[0], 1.1])
        np.testing.assert_allclose(encoders.reshape(-1, 2, 2)[0], [expected[1], [0.6, 0.8]])
        np.testing.assert_allclose(gains[..., None] * encoders / 2, items, atol=1e-15)
    # what did not change is exactly as it was
    assert gains[0, 1] == 1.1 and np.array_equal(gains[1], before.gain)
    assert np.array_equal(encoders[1], before.encoders)


def test_lengths_come_from_elsewhere():
    before, there = built([2, 3], [[1, 0], [0.6, 0.8]]), built([5, -0.5], [[0, 0.2], [3, 4]])
    lengths = encoder_lengths(there.scaled_encoders, there.gain, 2.0, otherwise=np.ones(2))
    np.testing.assert_allclose(lengths, [0.2, 5])
    gain, encoders = gain_and_encoders(before, 2.0, there.scaled_encoders, lengths)
    np.testing.assert_allclose(gain, [5, 0.5])
    np.testing.assert_allclose(encoders, [[0, 0.2], [-3, -4]])
    lengths = encoder_lengths(np.zeros((2, 2)), np.zeros(2), 2.0, otherwise=np.array([1, 7]))
    np.testing.assert_array_equal(lengths, [1, 7])


class WithoutRates(nengo.RectifiedLinear):
    """A neuron type that cannot say how fast it fires."""

    def max_rates_intercepts(self, gain, bias):
        raise NotImplementedError


class Nothing(nengo.RectifiedLinear):
    def max_rates_intercepts(self, gain, bias):
        return None, None


def test_rates_of_each_item():
    with nengo.Network():
        ens = nengo.Ensemble(2, 2, radius=2.0, neuron_type=nengo.Tanh())
        silent = [
            nengo.Ensemble(2, 2, radius=2.0, neuron_type=kind()) for kind in (WithoutRates, Nothing)
        ]
    before = built([2, 3], [[1, 0], [0.6, 0.8]])
    scaled = np.stack([before.scaled_encoders, 2 * before.scaled_encoders])
    now = present_ensemble(ens, before, scaled, before.bias)
    assert now.gain.shape == now.max_rates.shape == now.intercepts.shape == (2, 2)
    for item, gain in enumerate(now.gain):
        rates, intercepts = nengo.Tanh().max_rates_intercepts(gain, before.bias)
        np.testing.assert_array_equal(now.max_rates[item], rates)
        np.testing.assert_array_equal(now.intercepts[item], intercepts)
    for other in silent:
        now = present_ensemble(other, before, scaled, before.bias)
        assert now.max_rates is None and now.intercepts is None and now.gain.shape == (2, 2)
    assert present_ensemble(ens, before, before.scaled_encoders.copy(), before.bias) is before


@pytest.mark.core
def test_curves_are_those_of_the_simulated_neurons():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node(np.zeros(2))
        a = nengo.Ensemble(12, 2, radius=1.5, neuron_type=nengo.LIFRate(amplitude=0.5))
        rates = nengo.dists.Uniform(300, 400)
        b = nengo.Ensemble(9, 1, neuron_type=nengo.Sigmoid(0.002), max_rates=rates)
        c = nengo.Ensemble(
            8, 2, neuron_type=nengo.Tanh(), normalize_encoders=False, encoders=LONG_AND_SHORT
        )
        probes = []
        for ens in (a, b, c):
            nengo.Connection(node[: ens.dimensions], ens, synapse=None)
            probes.append(nengo.Probe(ens.neurons))
    points = np.random.RandomState(0).uniform(-1, 1, (1, 30, 2))
    with nengo_dl.Simulator(net, minibatch_size=1, progress_bar=False) as sim:
        change_parameters(sim, scale=0.4)
        simulated = sim.predict({node: points})
        for ens, probe in zip((a, b, c), probes, strict=True):
            _, curves = tuning_curves(ens, sim, points[0, :, : ens.dimensions])
            np.testing.assert_allclose(curves, simulated[probe][0], rtol=1e-9, atol=1e-9)
            data, original = sim.data[ens], sim.model.params[ens]
            lengths = np.linalg.norm(original.encoders, axis=1)
            np.testing.assert_allclose(np.linalg.norm(data.encoders, axis=1), lengths)
            fastest, intercepts = ens.neuron_type.max_rates_intercepts(data.gain, data.bias)
            np.testing.assert_allclose(data.max_rates, fastest)
            np.testing.assert_allclose(data.intercepts, intercepts)
            x, responses = response_curves(ens, sim)
            current = x[:, None] * data.gain + data.bias
            n = ens.n_neurons
            expected = ens.neuron_type.rates(current, np.ones(n), np.zeros(n))
            np.testing.assert_allclose(responses, expected)


def test_encoders_that_each_item_learned():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(2))
        ens = nengo.Ensemble(10, 2, radius=1.5)
        nengo.Connection(node, ens, synapse=None, learning_rule_type=nengo.Voja(0.1))
    x = np.random.RandomState(0).uniform(-1, 1, (3, 1, 2)).repeat(30, axis=1)
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.run_steps(30, data={node: x})
        data = sim.data[ens]
        assert data.encoders.shape == (3, 10, 2) and data.gain.shape == (3, 10)
        assert np.abs(data.gain[0] - data.gain[1]).max() > 1e-3
        scale = data.gain[..., None] / ens.radius
        np.testing.assert_allclose(scale * data.encoders, data.scaled_encoders, rtol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(data.encoders, axis=-1), 1, rtol=1e-6)
        for item in range(3):
            rates, _ = ens.neuron_type.max_rates_intercepts(data.gain[item], data.bias)
            np.testing.assert_array_equal(data.max_rates[item], rates)


def test_rates_follow_trained_attributes():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=False, trainable_attributes=["tau_rc"])
        ens = nengo.Ensemble(10, 1)
        nengo.Probe(ens)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        np.testing.assert_array_equal(sim.data[ens].max_rates, sim.model.params[ens].max_rates)
        with sim._engine.scope():
            sim.keras_model.trainable_weights[0].assign([[0.5]])
        data = sim.data[ens]
        neuron_type = nengo.LIF(tau_rc=0.02 * np.exp(0.5))
        rates, intercepts = neuron_type.max_rates_intercepts(data.gain, data.bias)
        np.testing.assert_allclose(data.max_rates, rates, rtol=1e-6)
        np.testing.assert_allclose(data.intercepts, intercepts, rtol=1e-6)
        assert np.all(rates < sim.model.params[ens].max_rates)
        sim.freeze_params(net)
    with nengo.Simulator(net, progress_bar=False) as frozen:
        np.testing.assert_allclose(frozen.data[ens].max_rates, rates, rtol=1e-6)


def varied(seed):
    """Two ensembles, of which one has encoders of random lengths."""
    with nengo.Network(seed=seed) as net:
        node = nengo.Node([0.5, 0.1])
        a = nengo.Ensemble(12, 2, label="a", radius=2)
        uniform = nengo.dists.Uniform(-1, 1)
        b = nengo.Ensemble(12, 2, label="b", encoders=uniform, normalize_encoders=False)
        for ens in (a, b):
            nengo.Connection(node, ens, synapse=None)
        nengo.Connection(b, a)
        nengo.Probe(a.neurons)
    return net


def differing(data, net, expected, rtol=1e-4):
    return [
        f"{field} of {ens.label}"
        for ens, values in zip(net.ensembles, expected, strict=True)
        for field, value in zip(FIELDS, values, strict=True)
        if not np.allclose(getattr(data[ens], field), value, rtol, 1e-4, equal_nan=True)
    ]


@pytest.mark.core
def test_a_file_of_another_seed_says_the_same_everywhere(tmp_path):
    first, second, third = varied(1), varied(2), varied(3)
    with nengo_dl.Simulator(first, progress_bar=False) as sim:
        change_parameters(sim, scale=0.3)
        saved = [[np.array(getattr(sim.data[e], f)) for f in FIELDS] for e in first.ensembles]
        sim.save_params(tmp_path / "p")
        sim.freeze_params(first)
    with nengo_dl.Simulator(second, progress_bar=False) as sim:
        built = [[np.array(getattr(sim.data[e], f)) for f in FIELDS] for e in second.ensembles]
        sim.load_params(tmp_path / "p")
        assert differing(sim.data, second, saved) == []
        again = pickle.loads(pickle.dumps(sim))
        assert differing(again.data, again.model.toplevel, saved) == []
        again.close()
        sim.reset(include_trainable=False)
        assert differing(sim.data, second, saved) == []
        sim.save_params(tmp_path / "again")
        sim.reset()
        assert differing(sim.data, second, built, rtol=0) == []
        sim.load_params(tmp_path / "again")
        sim.freeze_params(second)
    nengo_dl.load_params_into(third, tmp_path / "p")
    for net in (first, second, third):
        with nengo.Simulator(net, progress_bar=False) as reference:
            assert differing(reference.data, net, saved) == []


@pytest.mark.core
def test_training_is_seen():
    net = varied(0)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.5), "mse")
        sim.fit(n_steps=3, y=np.zeros((1, 3, 12)), epochs=5, verbose=0)
        a = net.ensembles[0]
        data = sim.data[a]
        gain = a.radius * np.linalg.norm(data.scaled_encoders, axis=1)
        np.testing.assert_allclose(data.gain, gain)
        assert np.abs(gain - sim.model.params[a].gain).max() > 1
        params = sim.get_nengo_params(a)
        np.testing.assert_array_equal(params["gain"], data.gain)
        np.testing.assert_array_equal(params["encoders"], data.encoders)
