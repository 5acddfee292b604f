"""`Lowpass` and `Alpha`: Nengo's filters, with time constants that are recovered."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from layers.reference import values
from nengo_dl import layers

FILTERS = {"lowpass": (layers.Lowpass, nengo.Lowpass), "alpha": (layers.Alpha, nengo.Alpha)}
every_filter = pytest.mark.parametrize("name", FILTERS)


@pytest.mark.core
@every_filter
@pytest.mark.parametrize("parallel", [True, False])
def test_filters_are_those_of_nengo(float64, name, parallel):
    make, synapse = FILTERS[name]
    x = np.random.RandomState(0).uniform(-1, 1, (200, 3))
    tau, level = np.array([0.0004, 0.01, 0.3]), np.array([0.5, 0.0, -2.0])
    layer = make(tau, initial_level=level, parallel=parallel, dtype="float64")
    given = values(layer(x[None]))[0]
    for k in range(3):
        expected = synapse(tau[k]).filt(x[:, [k]], dt=0.001, y0=level[k])
        np.testing.assert_allclose(given[:, [k]], expected, atol=1e-10)


@every_filter
def test_long_time_constants_are_precise(name):
    """In float32, a filter that hardly changes in a step comes to rest where it should."""
    make, synapse = FILTERS[name]
    x = np.ones((1, 2000, 1), dtype="float32")
    expected = synapse(0.5).filt(x[0], dt=0.001)
    model = keras.Sequential([keras.Input(x.shape[1:]), make(0.5, parallel=False)])
    for layer in (make(0.5), model.predict_on_batch):
        np.testing.assert_allclose(values(layer(x))[0], expected, atol=2e-5)


@pytest.mark.core
@every_filter
def test_time_constants_and_levels_are_recovered(name):
    make, _ = FILTERS[name]
    tau, level = np.array([0.005, 0.02, 0.08]), np.array([0.5, -1.0, 0.2])
    x = np.random.RandomState(0).uniform(-1, 1, (64, 60, 3)).astype("float32")
    y = values(make(tau, initial_level=level)(x))
    layer = make(0.02)
    model = keras.Sequential([keras.Input((60, 3)), layer])
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
    model.fit(np.tile(x, (4, 1, 1)), np.tile(y, (4, 1, 1)), epochs=8, batch_size=16, verbose=0)
    model.optimizer.learning_rate = 0.02
    model.fit(np.tile(x, (4, 1, 1)), np.tile(y, (4, 1, 1)), epochs=8, batch_size=16, verbose=0)
    np.testing.assert_allclose(layer.attribute("tau"), tau, rtol=0.05)
    np.testing.assert_allclose(layer.attribute("initial_level"), level, atol=0.05)


def test_not_in_training():
    x = np.random.RandomState(0).uniform(-1, 1, (2, 5, 3)).astype("float32")
    layer = layers.Lowpass(0.1, apply_during_training=False)
    np.testing.assert_array_equal(values(layer(x, training=True)), x)
    assert np.abs(values(layer(x)) - x).max() > 0.1


def test_what_is_trained():
    layer = layers.Alpha(0.1, trainable_attributes="tau")
    layer.build((None, 5, 4))
    assert [w.name for w in layer.trainable_weights] == ["trained_tau"]
    layer = layers.Alpha(0.1, trainable_attributes=())
    layer.build((None, 5, 4))
    assert layer.trainable_weights == []


@pytest.mark.core
@every_filter
def test_initializers_and_constraints(name, tmp_path):
    """Drawn time constants and levels, which training keeps equal, in files too."""
    x = np.random.RandomState(0).uniform(-1, 1, (4, 6, 3)).astype("float32")
    layer = FILTERS[name][0](
        tau_initializer=keras.initializers.RandomUniform(0.01, 0.1, seed=1),
        level_initializer="ones",
        tau_constraint=nengo_dl.constraints.Mean(),
        initial_level_constraint="non_neg",
    )
    with pytest.raises(ValueError, match="its initializer draws them when the layer is built"):
        layer.attribute("tau")
    model = keras.Sequential([keras.Input((6, 3)), layer])
    drawn = layer.attribute("tau")
    assert np.all((drawn >= 0.01) & (drawn <= 0.1)) and np.ptp(drawn) > 0.001
    np.testing.assert_array_equal(layer.attribute("initial_level"), 1)
    model.compile(optimizer=keras.optimizers.SGD(5.0), loss="mse")
    model.fit(x, x, verbose=0)
    tau = layer.attribute("tau")
    assert np.ptp(tau) < 1e-8 < abs(tau[0] - drawn.mean())
    assert np.all(layer.attribute("initial_level") >= 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    assert isinstance(loaded.layers[0].cell.attributes["tau"].constraint, nengo_dl.constraints.Mean)


def test_drawn_values_that_are_not_trained():
    layer = layers.Lowpass(keras.initializers.Constant(0.03), trainable_attributes=())
    output = values(layer(np.ones((1, 4, 2), dtype="float32")))
    assert layer.trainable_weights == []
    np.testing.assert_allclose(output, values(layers.Lowpass(0.03)(np.ones((1, 4, 2)))), rtol=1e-5)
