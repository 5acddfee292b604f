"""`SpikingActivation`: Nengo's spikes, and training that knows of them."""

import os

import keras
import nengo
import numpy as np
import pytest

from layers.reference import in_nengo, values
from nengo_dl import layers
from nengo_dl.benchmarks.digits import load_digits
from nengo_dl.benchmarks.spiking_activation import compare
from nengo_dl.runtime import backends


@pytest.mark.core
@pytest.mark.parametrize("parallel", [True, False])
def test_spikes_are_those_of_nengo(float64, parallel):
    currents = np.random.RandomState(0).uniform(-2, 5, (300, 20))
    layer = layers.SpikingActivation(lif_rate, parallel=parallel, dtype="float64")
    given = values(layer(currents[None]))[0]
    voltage = values(layer.cell.initial_voltage)
    neuron_type = nengo.RegularSpiking(nengo.LIFRate(), initial_state={"voltage": voltage})
    expected = in_nengo(neuron_type, currents)
    assert 0.02 < np.mean(expected > 0) < 0.5 and np.ptp(voltage) > 0.5
    np.testing.assert_array_equal(given, expected)


def lif_rate(J):
    ops = keras.ops
    above = J > 1
    log = ops.log1p(1 / ops.where(above, J - 1, 1))
    return ops.where(above, 1 / (0.002 + 0.02 * log), 0)


@pytest.mark.core
def test_mean_and_derivative_are_those_of_the_activation(float64):
    x = np.random.RandomState(0).uniform(-1, 1, (1, 1, 5)).repeat(2000, axis=1)
    layer = layers.SpikingActivation("softplus", dt=0.5, dtype="float64")
    spikes = values(layer(x))
    np.testing.assert_allclose(spikes.mean(1), np.log1p(np.exp(x[:, 0])), atol=1.01 / 1000)
    assert set(np.unique(spikes)) <= {0.0, 2.0, 4.0}
    gradient = backends.active().gradients
    current = keras.ops.convert_to_tensor(x[:, :3], dtype="float64")
    given, expected = (
        values(gradient(lambda tensors, f=f: keras.ops.sum(f(*tensors)), [current])[0])
        for f in (layer, keras.activations.softplus)
    )
    np.testing.assert_allclose(given, expected, rtol=1e-12)


def test_training_without_spikes():
    x = np.random.RandomState(0).uniform(-1, 1, (2, 5, 3)).astype("float32")
    layer = layers.SpikingActivation("relu", spiking_aware_training=False)
    np.testing.assert_array_equal(values(layer(x, training=True)), np.maximum(x, 0))
    assert set(np.unique(values(layer(x)))) <= {0.0, 1000.0}
    aware = layers.SpikingActivation("relu", seed=3)
    assert set(np.unique(values(aware(x, training=True)))) <= {0.0, 1000.0}


def test_seed():
    x = np.full((1, 20, 4), 100.0, dtype="float32")
    same = [values(layers.SpikingActivation("relu", seed=2)(x)) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert np.any(values(layers.SpikingActivation("relu", seed=3)(x)) != same[0])


@pytest.mark.core
def test_digits():
    """Spiking-aware training comes within 2 points of the model without spikes; to put spikes into
    that one falls far short.
    """
    data = pytest.importorskip("sklearn.datasets").load_digits()
    order = np.random.RandomState(0).permutation(len(data.target))
    x, y = (data.data / 16).astype("float32")[order], data.target[order]
    plain, naive, aware = compare(
        (x[:1297], y[:1297]),
        (x[1297:], y[1297:]),
        dt=0.015,
        epochs=(15, 80),
        learning_rates=(0.005, 0.02),
        batch_size=64,
    ).values()
    assert plain > 0.95
    assert aware > plain - 0.02
    assert naive < plain - 0.15


@pytest.mark.slow
def test_mnist():
    """The same at full length."""
    if "NENGO_DL_MNIST" not in os.environ:
        pytest.skip("NENGO_DL_MNIST does not name an mnist.npz")
    plain, naive, aware = compare(*load_digits()).values()
    assert plain > 0.97
    assert aware > plain - 0.02
    assert naive < plain - 0.15
