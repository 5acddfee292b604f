"""Networks that see an input for some steps: spikes chosen from data, and trained."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl import Converter, IntegratedSpiking
from nengo_dl.converter import rates
from oracle import assert_matches_nengo

L = keras.layers
STEPS = 20


def dense_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((20,), name="in"),
            L.Dense(30, activation="relu", name="first"),
            L.Dense(25, activation="relu", name="second"),
            L.Dense(4, name="last"),
        ]
    )


def converted(model, **options):
    """A conversion whose simulators do not compile with XLA, which takes longer than these few
    steps; JAX without it takes longer still."""
    converter = Converter(model, **options)
    with converter.net:
        nengo_dl.configure_settings(jit_compile=None if keras.backend.backend() == "jax" else False)
    return converter


@pytest.fixture(scope="module")
def model():
    return dense_model()


@pytest.fixture(scope="module")
def samples():
    return np.random.RandomState(0).uniform(-1, 1, size=(40, 20)).astype(np.float32)


def runs_in_nengo(converter, model, item, n_steps, atol=1e-9):
    """The network with an input as a source gives the same in both simulators; its last output."""
    node = converter.inputs[model.inputs]
    node.output = np.ravel(item)
    try:
        recording = assert_matches_nengo(converter.net, n_steps=n_steps, atol=atol)
    finally:
        node.output = None
    return recording[converter.outputs[model.outputs]][-1]


@pytest.mark.core
def test_few_steps_say_what_the_model_does(model, samples):
    converter = converted(model)
    before = [conn.transform for conn in converter.net.all_connections]
    report = converter.calibrate(samples, steps=STEPS)
    assert [conn.transform for conn in converter.net.all_connections] == before
    assert [layer.name for layer in report] == ["first", "second"]
    assert all(layer.error < 0.1 for layer in report)
    assert report.errors["last"] < 0.1
    assert all(isinstance(ens.neuron_type, IntegratedSpiking) for ens in converter.net.ensembles)
    # what it would be without: nothing spikes in so few steps
    naive = converted(model, swap_activations={"relu": nengo.SpikingRectifiedLinear()})
    with pytest.warns(UserWarning, match=r"less than once: first \(.*, second"):
        assert naive.measure_rates(samples, n_steps=STEPS).errors["last"] > 0.5
    with nengo_dl.Simulator(converter.net, minibatch_size=40, progress_bar=False) as sim:
        shown = np.repeat(samples[:, None], STEPS, axis=1)
        output = sim.predict(shown)[converter.outputs[model.outputs]][:, -1]
    expected = keras.ops.convert_to_numpy(model(samples))
    distance = np.sqrt(np.mean((output - expected) ** 2) / np.mean(expected**2))
    assert distance == pytest.approx(report.errors["last"], rel=1e-3)
    last = runs_in_nengo(converter, model, samples[0], STEPS)
    np.testing.assert_allclose(last, output[0], atol=1e-3)


def test_every_neuron_rounds_what_it_is_to_say(model, samples):
    """The first layer's spikes are the activations, in whole spikes of its channels' heights."""
    converter = converted(model, sample_inputs=samples, steps=STEPS, target_rate=500)
    ens = converter.net.ensembles[0]
    height = ens.neuron_type.amplitude / (STEPS * 0.001)
    activity = keras.ops.convert_to_numpy(
        keras.Model(model.inputs[0], model.layers[0].output)(samples)
    )
    high = np.percentile(activity, rates.PERCENTILE, axis=0)
    np.testing.assert_allclose(ens.neuron_type.amplitude, high / 500, rtol=1e-6)
    with converter.net:
        probe = nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(converter.net, minibatch_size=40, progress_bar=False) as sim:
        spikes = sim.predict(np.repeat(samples[:, None], STEPS, axis=1))[probe]
    mean = np.mean(spikes, axis=1)
    assert np.max(np.abs(mean - activity) / height) < 0.501
    np.testing.assert_allclose(mean / height, np.round(mean / height), atol=1e-3)


def test_all_kinds_of_layers_spike(samples):
    """Maximum pooling, smooth activations, normalization and softmax, without a TensorNode."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(4, 3, activation="silu"),
            L.MaxPooling2D(2),
            L.Flatten(),
            L.LayerNormalization(),
            L.Dense(6, activation="tanh"),
            L.Dense(5, activation="gelu"),
            L.Dense(4, activation="elu"),
            L.Dense(3, activation="softmax"),
        ]
    )
    images = np.random.RandomState(0).rand(20, 6, 6, 1).astype(np.float32)
    converter = converted(model, allow_fallback=False)
    report = converter.calibrate(images, steps=60)
    assert report.errors[model.layers[-1].name] < 0.02
    last = runs_in_nengo(converter, model, images[0], 60)
    expected = keras.ops.convert_to_numpy(model(images[:1]))[0]
    np.testing.assert_allclose(last, expected, atol=0.03)


@pytest.mark.core
def test_spikes_have_the_maximum_of_their_windows():
    """Exactly: heights are those of the spikes that come in, and what came too early is taken
    back."""
    x = keras.Input((4, 4, 2))
    pooled = L.MaxPooling2D(3, strides=1, padding="same")(L.ReLU(name="relu")(x))
    model = keras.Model(x, pooled)
    images = np.random.RandomState(0).rand(5, 4, 4, 2).astype(np.float32) * [1.0, 0.3]
    converter = converted(model, allow_fallback=False)
    report = converter.calibrate(images, steps=13)
    assert len(report) == 1 + 4  # nine elements: four rounds
    with converter.net:
        probe = nengo.Probe(converter.layers["relu"])
    with nengo_dl.Simulator(converter.net, minibatch_size=5, progress_bar=False) as sim:
        output = sim.predict(np.repeat(images.reshape(5, 1, 32), 13, axis=1))
    counted = np.mean(output[probe], axis=1).reshape(5, 4, 4, 2)
    expected = keras.ops.convert_to_numpy(model(counted))
    last = output[converter.outputs[model.outputs]][:, -1]
    np.testing.assert_allclose(last, expected.reshape(5, -1), atol=1e-5)
    runs_in_nengo(converter, model, images[0], 13)


def test_plain_nengo_neurons_pool_too():
    """The maximum of filtered rates, with types that every Nengo backend has."""
    model = keras.Sequential([keras.Input((4, 1)), L.ReLU(), L.MaxPooling1D(2)])
    x = np.array([[[0.9], [0.5], [0.2], [0.8]]])
    converter = Converter(
        model,
        allow_fallback=False,
        swap_activations={"relu": nengo.SpikingRectifiedLinear()},
        scale_firing_rates=1000,
        synapse=0.02,
    )
    assert {type(e.neuron_type) for e in converter.net.ensembles} == {nengo.SpikingRectifiedLinear}
    last = runs_in_nengo(converter, model, x, 300)
    np.testing.assert_allclose(last, [0.9, 0.8], atol=0.05)
    # neurons of another curve would not give differences
    lif = converted(model, swap_activations={"relu": nengo.LIF()})
    assert nengo.RectifiedLinear() in [ens.neuron_type for ens in lif.net.ensembles]


def test_the_user_is_told_before_the_run(model, samples):
    with pytest.warns(UserWarning, match=r"20 steps of 1 ms, .* less than once: first \(0\.[56]"):
        converted(model).calibrate(samples, steps=STEPS, target_rate=30)


def test_neurons_that_were_chosen_become_their_rates(model, samples):
    swapped = {
        "relu": nengo.SpikingRectifiedLinear(),
        "tanh": nengo.RegularSpiking(nengo.Tanh(tau_ref=1)),
    }
    x = keras.Input((20,))
    both = keras.Model(x, L.Dense(4, activation="relu")(L.Dense(5, activation="tanh")(x)))
    converter = converted(both, swap_activations=swapped, scale_firing_rates=100)
    report = converter.calibrate(samples, steps=100)
    bases = [ens.neuron_type.base_type for ens in converter.net.ensembles]
    assert [type(base) for base in bases] == [nengo.Tanh, nengo.RectifiedLinear]
    # the output is that of neurons, of which a probe misses the last step
    assert next(iter(report.errors.values())) < 0.05
    assert [round(rate.high_after) for rate in converter.firing_rates] == [1000, 1000]


@pytest.mark.core
def test_training_with_spikes_brings_the_model_back(samples):
    """From a network whose spikes are too few, with the model's own outputs as targets."""
    model = dense_model()
    converter = converted(model)
    before = converter.calibrate(samples, steps=4, target_rate=300)
    weights = [keras.ops.convert_to_numpy(w) for w in model.weights]
    adam = keras.optimizers.Adam(0.01)
    after = converter.fine_tune(samples, steps=4, updates=40, batch_size=20, optimizer=adam)
    assert after.errors["last"] < 0.7 * before.errors["last"]
    for weight, old in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), old)
    with nengo_dl.Simulator(converter.net, minibatch_size=40, progress_bar=False) as sim:
        output = sim.predict(np.repeat(samples[:, None], 4, axis=1))
    last = runs_in_nengo(converter, model, samples[0], 4)
    np.testing.assert_allclose(output[converter.outputs[model.outputs]][0, -1], last, atol=1e-3)


def test_training_keeps_a_target_rate(samples):
    model = dense_model()
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.argmax(keras.ops.convert_to_numpy(model(samples)), axis=1)
    converter = converted(model)
    before = converter.calibrate(samples, steps=5)
    after = converter.fine_tune(
        samples,
        labels,
        steps=5,
        updates=40,
        batch_size=20,
        target_rate=100,
        optimizer=keras.optimizers.Adam(0.02),
    )
    assert before.mean > 150
    assert all(layer.mean < 130 for layer in after), [layer.mean for layer in after]
    with nengo_dl.Simulator(converter.net, minibatch_size=40, progress_bar=False) as sim:
        output = sim.predict(np.repeat(samples[:, None], 5, axis=1))
    last = output[converter.outputs[model.outputs]][:, -1]
    assert np.mean(np.argmax(last, axis=1) == labels) > 0.8


def test_reports_are_printed_and_drawn(model, samples):
    pytest.importorskip("matplotlib")
    from nengo_dl import viz

    converter = converted(model)
    report = converter.calibrate(samples, steps=10)
    n_spikes = sum(layer.spikes for layer in report)
    assert report.spikes == pytest.approx(n_spikes)
    assert report.mean == pytest.approx(n_spikes / (55 * 0.01))
    text = str(report)
    assert "second" in text and f"10 steps of 1 ms: {n_spikes:.0f} spikes an input" in text
    figure = viz.conversion(report)
    means = [bar.get_width() for bar in figure.axes[0].containers[1]]
    assert means == pytest.approx([layer.mean for layer in report])
    assert [bar.get_width() for bar in figure.axes[2].containers[0]] == pytest.approx(
        [layer.spikes for layer in report]
    )
    linear = converted(keras.Sequential([keras.Input((20,)), L.Dense(2)]))
    with pytest.raises(ValidationError, match="no layers of neurons"):
        viz.conversion(linear.measure_rates(samples, 2))


def test_what_cannot_be_calibrated(model, samples):
    with pytest.raises(ValidationError, match=r"call converter.calibrate\(data, steps=7\) first"):
        converted(model).fine_tune(samples, steps=7)
    with pytest.raises(ValidationError, match="give some inputs of the model"):
        converted(model, steps=7)
    with pytest.raises(ValidationError, match="positive number of hertz"):
        converted(model).calibrate(samples, steps=7, target_rate=-1)
    izhikevich = converted(model, swap_activations={"relu": nengo.Izhikevich()})
    with pytest.raises(ValidationError, match="'first' are Izhikevich.*no rate type"):
        izhikevich.calibrate(samples, steps=7)
    temporal = keras.Sequential([keras.Input((3, 2)), L.Dense(2, activation="relu")])
    with pytest.raises(ValidationError, match="the input differs from step to step"):
        Converter(temporal, temporal_model=True).calibrate(np.ones((1, 3, 2)), steps=7)
    converter = converted(dense_model())
    converter.calibrate(samples, steps=7)
    with pytest.raises(ValidationError, match="not compiled with a loss"):
        converter.fine_tune(samples, np.zeros(40), steps=7)
