"""LIF and adaptive LIF layers: Nengo's spikes, surrogate derivatives, trained attributes."""

import keras
import nengo
import numpy as np
import pytest

from layers.reference import in_nengo, values
from nengo_dl import layers
from nengo_dl.runtime import backends

AT_REST = {"voltage": nengo.dists.Choice([0])}
TYPES = {
    "lif": (layers.LIF, nengo.LIF, {"tau_rc": 0.015, "tau_ref": 0.001, "amplitude": 0.5}),
    "below": (layers.LIF, nengo.LIF, {"min_voltage": -0.5}),
    "no refractory period": (layers.LIF, nengo.LIF, {"tau_ref": 0, "amplitude": 0.5}),
    "adaptive": (layers.AdaptiveLIF, nengo.AdaptiveLIF, {"tau_n": 0.1, "inc_n": 0.02}),
}


@pytest.mark.core
@pytest.mark.parametrize("name", TYPES)
def test_spikes_are_those_of_nengo(float64, name):
    make, neuron_type, parameters = TYPES[name]
    currents = np.random.RandomState(0).uniform(-2, 6, (120, 20))
    given = values(make(**parameters, dtype="float64")(currents[None]))[0]
    expected = in_nengo(neuron_type(**parameters, initial_state=AT_REST), currents)
    assert 0.01 < np.mean(expected > 0) < 0.5
    np.testing.assert_array_equal(given, expected)


def test_each_unit_has_its_own_parameters(float64):
    currents = np.random.RandomState(0).uniform(0, 4, (100, 3))
    tau_rc, threshold = np.array([0.01, 0.02, 0.05]), np.array([1.0, 0.5, 2.0])
    layer = layers.LIF(tau_rc=tau_rc, threshold=threshold, dtype="float64")
    given = values(layer(currents[None]))[0]
    for k in range(3):
        neuron_type = nengo.LIF(tau_rc=tau_rc[k], initial_state=AT_REST)
        expected = in_nengo(neuron_type, currents[:, k : k + 1] / threshold[k])
        np.testing.assert_array_equal(given[:, k : k + 1], expected)


@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "triangle", "softlif", None])
def test_derivatives(surrogate):
    """Training has spikes, and a derivative; without a surrogate it has rates."""
    x = np.full((1, 40, 4), 1.5, dtype="float32")
    layer = layers.LIF(surrogate=surrogate, lif_smoothing=0.1)
    output = values(layer(x, training=True))
    spiking = np.isclose(output, 0) | np.isclose(output, 1000)
    assert np.all(spiking) if surrogate else not np.any(spiking)
    (gradient,) = backends.active().gradients(
        lambda tensors: keras.ops.sum(layer(*tensors, training=True)),
        [keras.ops.convert_to_tensor(x)],
    )
    assert np.all(np.isfinite(values(gradient))) and np.all(values(gradient)[0, 0] > 0)


@pytest.mark.core
def test_attributes_are_recovered():
    """Time constants of firing rates, each unit's own."""
    true = {"tau_rc": np.array([0.01, 0.03, 0.06])}
    x = np.random.RandomState(0).uniform(1.2, 4, (256, 1, 3)).astype("float32")
    y = values(layers.LIF(**true, surrogate=None)(x, training=True))
    layer = layers.LIF(surrogate=None, trainable_attributes=["tau_rc"])
    model = keras.Sequential([keras.Input((1, 3)), layer])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
    for rate in (0.1, 0.02):
        model.optimizer.learning_rate = rate
        model.fit(np.tile(x, (8, 1, 1)), np.tile(y, (8, 1, 1)), epochs=5, verbose=0)
    for name, wanted in true.items():
        np.testing.assert_allclose(layer.attribute(name), wanted, rtol=0.05)


def test_spiking_network_learns():
    """Thresholds and weights of spiking neurons are trained through the surrogate."""
    rng = np.random.RandomState(0)
    x = rng.uniform(0, 1, (64, 1, 2)).repeat(12, axis=1).astype("float32")
    y = (x[:, 0, :1] > x[:, 0, 1:]).astype("float32")
    keras.utils.set_random_seed(0)
    neurons = layers.LIF(amplitude=0.01, trainable_attributes=["threshold", "tau_rc"])
    model = keras.Sequential(
        [
            keras.Input((12, 2)),
            keras.layers.Dense(20, kernel_initializer="he_normal"),
            neurons,
            layers.Lowpass(0.02, return_sequences=False),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy")
    history = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.6 * history[0]
    assert np.ptp(neurons.attribute("threshold")) > 0.01
    assert np.all(neurons.attribute("tau_rc") > 0)


def scaled(x):
    return keras.ops.exp(-keras.ops.abs(x))


keras.saving.register_keras_serializable(package="test")(scaled)


def test_surrogate_function_is_saved():
    layer = layers.LIF(surrogate=scaled)
    assert layers.LIF.from_config(layer.get_config()).cell.surrogate is scaled
