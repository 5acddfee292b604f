"""Penalties on firing rates, of Keras layers and of Nengo's probes."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import layers, regularizers
from nengo_dl.losses import FiringRates

ACTIVITY = np.random.RandomState(0).uniform(0, 100, (16, 10, 4)).astype("float32")
RATES = ACTIVITY.mean(axis=1)


@pytest.mark.core
@pytest.mark.parametrize(
    "regularizer, distance, weights",
    [
        (regularizers.L1(0.3), RATES, (0.3, 0)),
        (regularizers.L2(0.2, target=60), np.abs(RATES - 60), (0, 0.2)),
        (
            regularizers.L1L2(0.1, 0.2, target=(48, 52)),
            np.maximum(0, RATES - 52) + np.maximum(0, 48 - RATES),
            (0.1, 0.2),
        ),
        (
            regularizers.Percentile(90, l1=0.5, target=100),
            np.abs(np.percentile(RATES, 90, axis=0) - 100),
            (0.5, 0),
        ),
    ],
)
def test_penalties(regularizer, distance, weights):
    expected = weights[0] * distance.mean() + weights[1] * (distance**2).mean()
    assert float(regularizer.penalty(ACTIVITY)) == pytest.approx(expected, rel=1e-5)
    layer = keras.layers.Activation("linear", activity_regularizer=regularizer)
    layer(ACTIVITY)
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(regularizer))
    assert type(copy) is type(regularizer) and copy.get_config() == regularizer.get_config()
    loss = keras.losses.deserialize(keras.losses.serialize(FiringRates(regularizer)))
    assert float(loss(np.zeros_like(ACTIVITY), ACTIVITY)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.core
def test_sums_of_distances():
    """As Keras's own regularizers sum: over steps and units, divided by the size of the batch."""
    distance = np.maximum(0, ACTIVITY - 52) + np.maximum(0, 48 - ACTIVITY)
    ranged = regularizers.RangedRegularizer((48, 52), keras.regularizers.L2(0.2))
    highest = np.abs(np.percentile(ACTIVITY, 90, axis=(0, 1)) - 30)
    percentile = regularizers.RangedRegularizer(
        30, keras.regularizers.L1(0.5), percentile=90, axis=(0, 1)
    )
    for regularizer, expected in [
        (ranged, 0.2 * np.sum(distance**2)),
        (percentile, 0.5 * np.sum(highest)),
    ]:
        assert float(regularizer(keras.ops.convert_to_tensor(ACTIVITY))) == pytest.approx(
            expected, rel=1e-5
        )
        layer = keras.layers.Activation("linear", activity_regularizer=regularizer)
        layer(ACTIVITY)
        divisor = len(ACTIVITY) if regularizers.KERAS_DIVIDES else 1
        assert float(layer.losses[0]) == pytest.approx(expected / divisor, rel=1e-5)
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(regularizer)
        )
        assert copy.get_config() == regularizer.get_config()


@pytest.mark.core
def test_rates_of_layers_reach_their_range():
    """Each unit's highest rates, over the batch, come into the range."""
    x = np.random.RandomState(0).uniform(0, 1, (64, 1, 5)).repeat(20, axis=1).astype("float32")
    keras.utils.set_random_seed(0)
    regularizer = regularizers.Percentile(90, l2=1e-3, target=(30, 40))
    spikes = layers.SpikingActivation("relu", dt=0.01, activity_regularizer=regularizer)
    model = keras.Sequential([keras.Input((20, 5)), keras.layers.Dense(8, "relu"), spikes])
    model.layers[0].set_weights([np.abs(w) * 5 + 1 for w in model.layers[0].get_weights()])
    model.compile(optimizer=keras.optimizers.Adam(0.3), loss=lambda t, y: 0.0 * y[:, 0, 0])
    model.fit(x, x[..., :1], epochs=20, batch_size=64, verbose=0)
    rates = model.predict(x, batch_size=64, verbose=0).mean(axis=1)
    highest = np.percentile(rates, 90, axis=0)
    assert np.all((highest > 25) & (highest < 45)), highest


@pytest.mark.core
def test_rates_of_probes():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(keep_history=True)
        ens = nengo.Ensemble(20, 1, max_rates=nengo.dists.Uniform(150, 250))
        ens.intercepts = nengo.dists.Uniform(-1, 0)
        ens.encoders = np.ones((20, 1))
        nengo.Connection(nengo.Node([0.5]), ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(
            optimizer=keras.optimizers.Adam(0.1),
            loss=FiringRates(regularizers.L2(target=(20, 60))),
        )
        sim.fit(n_steps=3, y={probe: np.zeros((4, 3, 20))}, epochs=60, verbose=0)
        sim.run_steps(500)
        rates = sim.data[probe].mean(axis=(0, 1))
    assert np.mean((rates >= 15) & (rates <= 65)) > 0.7


def test_clear_errors():
    with pytest.raises(ValueError, match="target was given 'high'; expected a rate, or a pair"):
        regularizers.L1(target="high")
    with pytest.raises(ValueError, match="percentile was given 120"):
        regularizers.Percentile(120)
    with pytest.raises(ValueError, match="l1 was given -1"):
        regularizers.L1(-1)
    with pytest.raises(ValueError, match="needs return_sequences=True"):
        regularizers.L1()(np.zeros((3, 4)))
