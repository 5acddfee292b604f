"""Spiking neurons in place of activations, and how fast they fire."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl import Converter
from nengo_dl.converter import rates
from nengo_dl.converter.scaling import scaled

SPIKES = {keras.activations.relu: nengo.SpikingRectifiedLinear()}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(30, activation="relu", name="first"),
            keras.layers.Dense(25, activation="relu", name="second"),
            keras.layers.Dense(4, name="last"),
        ]
    )


@pytest.fixture(scope="module")
def samples():
    return np.random.RandomState(0).uniform(-1, 1, size=(50, 20)).astype(np.float32)


def outputs(converter, samples, n_steps, **kwargs):
    """The mean output of the second half of the steps."""
    (node,), (probe,) = converter.inputs.values(), converter.outputs.values()
    with nengo_dl.Simulator(
        converter.net, minibatch_size=len(samples), progress_bar=False, **kwargs
    ) as sim:
        x = np.repeat(samples[:, None], n_steps, axis=1)
        return np.mean(sim.predict({node: x})[probe][:, n_steps // 2 :], axis=1)


@pytest.mark.core
def test_the_data_sets_the_scales(model, samples):
    expected = keras.ops.convert_to_numpy(model(samples))
    naive = Converter(model, swap_activations=SPIKES)
    auto = Converter(
        model,
        swap_activations=SPIKES,
        scale_firing_rates="auto",
        sample_inputs=samples,
        target_rate=400,
        synapse=0.005,
    )
    assert naive.firing_rates == []
    assert [rate.name for rate in auto.firing_rates] == ["first", "second"]
    hidden = keras.Model(model.inputs[0], [layer.output for layer in model.layers[:2]])(samples)
    measured = auto.measure_rates(samples, n_steps=200)
    for rate, activity, after in zip(auto.firing_rates, hidden, measured, strict=True):
        activity = keras.ops.convert_to_numpy(activity)
        assert rate.high_before == pytest.approx(np.percentile(activity, 99.9))
        assert rate.scale == pytest.approx(400 / rate.high_before)
        assert rate.high_after == pytest.approx(400)
        # the second layer follows the first one's synapse, and takes some steps to begin
        assert after.mean == pytest.approx(rate.mean_after, rel=0.15)
    errors = [
        np.sqrt(np.mean((outputs(converter, samples, 60) - expected) ** 2) / np.mean(expected**2))
        for converter in (naive, auto)
    ]
    assert errors[1] < 0.1 < 0.5 < errors[0]
    assert "second" in rates.table(auto.firing_rates)
    assert "second" in rates.table(measured)


def test_target_rates_suit_the_neurons(model, samples):
    for neurons, target in [
        (nengo.SpikingRectifiedLinear(), 1000),
        (nengo.LIF(amplitude=0.01), 250),
        (nengo.RegularSpiking(nengo.LIFRate(tau_ref=0.01)), 50),
    ]:
        converter = Converter(
            model,
            swap_activations={"relu": neurons},
            scale_firing_rates="auto",
            sample_inputs=samples,
        )
        assert [r.high_after for r in converter.firing_rates] == pytest.approx([target] * 2)


def test_a_scale_leaves_the_output_of_rate_neurons(model, samples):
    converter = Converter(model, scale_firing_rates={"first": 10, model.layers[1]: 0.5})
    assert converter.verify(inputs=samples)
    first = converter.layers["first"].ensemble.neuron_type
    assert first.amplitude == pytest.approx(0.1)
    assert converter.layers["second"].ensemble.neuron_type.amplitude == pytest.approx(2)


def test_saved_parameters_do_not_depend_on_the_scale(model, samples, tmp_path):
    plain = Converter(model, swap_activations=SPIKES)
    with nengo_dl.Simulator(plain.net, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
        sim.fit(samples[:1, None], np.ones((1, 1, 4)), epochs=2)
        sim.save_params(tmp_path / "params")
        trained = sim.data[plain.net.all_connections[0]].weights
    scaled_up = Converter(model, swap_activations=SPIKES, scale_firing_rates=50, synapse=0.01)
    with nengo_dl.Simulator(scaled_up.net, progress_bar=False) as sim:
        sim.save_params(tmp_path / "scaled")
        sim.load_params(tmp_path / "params")
        factors = [
            sim.data[conn].weights
            for conn in scaled_up.net.all_connections
            if conn.label == "first.scale"
        ]
        (kernel,) = [c for c in scaled_up.net.all_connections if c.label == "first.kernel"]
        (same,) = [c for c in plain.net.all_connections if c.label == "first.kernel"]
        loaded = sim.data[kernel].weights
    assert factors == [50]
    with nengo_dl.Simulator(plain.net, progress_bar=False) as sim:
        sim.load_params(tmp_path / "params")
        np.testing.assert_array_equal(sim.data[same].weights, loaded)
        assert np.any(loaded != same.transform.init)
        assert trained is not None
    with np.load(tmp_path / "params.npz") as a, np.load(tmp_path / "scaled.npz") as b:
        assert set(a.files) == set(b.files)


@pytest.mark.parametrize(
    "neurons",
    [
        nengo.SpikingRectifiedLinear(amplitude=0.5),
        nengo_dl.SpikingLeakyReLU(negative_slope=0.2),
        nengo.RegularSpiking(nengo_dl.ClippedReLU(max_value=6.0)),
        nengo.RegularSpiking(nengo.Tanh(tau_ref=1)),
        nengo.RegularSpiking(nengo.Sigmoid(tau_ref=1), amplitude=2),
    ],
    ids=str,
)
def test_scaled_neurons_have_the_same_output(neurons):
    """Their rates, with spikes as high as they are few."""
    faster, factor = scaled(neurons, 20.0)
    x = np.linspace(-8, 8, 33)
    dt, n = 0.001, 2000

    def mean_output(neurons, J):
        net = nengo.Network(seed=0)
        with net:
            ens = nengo.Ensemble(
                len(J),
                1,
                neuron_type=neurons,
                gain=np.ones(len(J)),
                bias=J,
                encoders=[[1]] * len(J),
            )
            probe = nengo.Probe(ens.neurons)
        with nengo.Simulator(net, dt=dt, progress_bar=False) as sim:
            sim.run_steps(n)
        spikes = sim.data[probe]
        return np.mean(spikes, axis=0), np.max(np.abs(spikes)) * dt

    slow, height = mean_output(neurons, x)
    fast, lower = mean_output(faster, factor * x)
    assert lower == pytest.approx(height / 20)
    # two spikes more or less in the two seconds, from the initial voltage up to the first
    np.testing.assert_allclose(fast, slow, atol=2.01 * (height + lower) / (n * dt))
    assert np.max(fast) > 0.9


def test_synapses_by_layer(model):
    converter = Converter(model, swap_activations=SPIKES, synapse={"first": 0.02})
    by_pre = {c.pre: c for c in converter.net.all_connections if c.label and "kernel" in c.label}
    assert by_pre[converter.layers["first"]].synapse == nengo.Lowpass(0.02)
    assert by_pre[converter.layers["second"]].synapse is None


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scale_firing_rates": "automatic"}, "'auto'"),
        ({"scale_firing_rates": 0}, "positive number"),
        ({"scale_firing_rates": {"third": 2}}, "'third' is not a layer.*'first', 'second'"),
        ({"scale_firing_rates": "auto"}, "sample_inputs"),
        ({"scale_firing_rates": "auto", "sample_inputs": np.ones((3, 7))}, r"shape \(3, 7\)"),
        ({"scale_firing_rates": np.inf}, "positive number"),
        ({"synapse": "slow"}, "time constant"),
        ({"synapse": np.nan}, "time constant"),
        ({"swap_activations": {"rely": nengo.LIF()}}, "'rely' is not an activation"),
        ({"swap_activations": {"relu": 3}}, "neither a neuron type"),
        ({"swap_activations": {"relu": "lif"}}, "'lif' is neither a neuron type"),
        ({"swap_activations": ["relu"]}, "expected a dict"),
    ],
)
def test_wrong_choices(model, kwargs, message):
    with pytest.raises(ValidationError, match=message):
        Converter(model, **kwargs)
