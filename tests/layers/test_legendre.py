"""The Legendre memory: what it remembers, all steps at once, and how much faster that is."""

import time

import keras
import numpy as np
import pytest
from numpy.polynomial import Legendre

from layers.reference import values
from nengo_dl import layers
from nengo_dl.layers.legendre_matrices import Discretization, legendre_matrices

N_STEPS = 784


def test_matrices():
    signal = pytest.importorskip("scipy.signal")
    a, b = legendre_matrices(3)
    np.testing.assert_array_equal(a, [[-1, -1, -1], [3, -3, -3], [-5, 5, -5]])
    np.testing.assert_array_equal(b, [1, -3, 5])
    for order, theta, dt in [(1, 0.1, 0.001), (6, 0.05, 0.001), (12, 0.02, 0.01), (256, 784, 1)]:
        a, b = legendre_matrices(order)
        system = (a / theta, b[:, None] / theta, np.zeros((1, order)), np.zeros((1, 1)))
        expected = signal.cont2discrete(system, dt, method="zoh")
        given = Discretization(order, theta, dt)
        np.testing.assert_allclose(given.a, expected[0], atol=1e-12)
        np.testing.assert_allclose(given.b, expected[1][:, 0], atol=1e-12)


@pytest.mark.core
def test_remembers_a_window():
    """The coefficients are those of shifted Legendre polynomials over the last theta seconds."""
    theta, dt = 0.2, 0.001
    t = dt * np.arange(1, 601)
    u = np.sin(20 * t) + 0.3 * np.sin(47 * t)
    memory = values(layers.LegendreMemory(16, theta)(u[None, :, None].astype("float32")))[0]
    for delay in (0.0, 0.05, 0.1, 0.2):
        position = 2 * delay / theta - 1  # of the polynomials, defined from -1 to 1
        decoded = memory @ [Legendre.basis(i)(position) for i in range(16)]
        assert decoded == pytest.approx(np.interp(t[-1] - delay + dt / 2, t, u), abs=0.02)


def models(order=256, **kwargs):
    """A model for all steps at once, and one step by step."""
    made = []
    for parallel in (True, False):
        layer = layers.LegendreMemory(order, N_STEPS, dt=1, parallel=parallel, **kwargs)
        made.append(keras.Sequential([keras.Input((N_STEPS, 1)), layer]))
        made[-1].compile()
    return made


@pytest.mark.core
def test_as_step_by_step():
    x = np.random.RandomState(0).uniform(0, 1, (4, N_STEPS, 1)).astype("float32")
    for kwargs in ({}, {"return_sequences": True}, {"order": 64, "trainable_attributes": "theta"}):
        at_once, by_step = (model.predict_on_batch(x) for model in models(**kwargs))
        assert np.abs(by_step).max() > 0.5
        np.testing.assert_allclose(at_once, by_step, atol=1e-5)


@pytest.mark.core
def test_ten_times_faster():
    x = np.random.RandomState(0).uniform(0, 1, (32, N_STEPS, 1)).astype("float32")
    times = []
    for model in models():
        model.predict_on_batch(x)
        samples = []
        for _ in range(5):
            start = time.perf_counter()
            model.predict_on_batch(x)
            samples.append(time.perf_counter() - start)
        times.append(min(samples))
    at_once, by_step = times
    assert by_step > 10 * at_once


@pytest.mark.parametrize("parallel", [True, False])
def test_window_is_recovered(parallel):
    x = np.random.RandomState(0).uniform(-1, 1, (32, 50, 1)).astype("float32")
    y = values(layers.LegendreMemory(6, 0.03)(x))
    layer = layers.LegendreMemory(6, 0.05, trainable_attributes="theta", parallel=parallel)
    model = keras.Sequential([keras.Input((50, 1)), layer])
    model.compile(optimizer=keras.optimizers.Adam(0.03), loss="mse")
    model.fit(np.tile(x, (8, 1, 1)), np.tile(y, (8, 1)), epochs=8, verbose=0)
    assert layer.attribute("theta") == pytest.approx(0.03, rel=0.05)


KINDS = {
    "at once": {},
    "step by step": {"parallel": False},
    "every step": {"return_sequences": True},
    "trained": {"trainable_attributes": "theta"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_time_step_can_change(kind, tmp_path):
    x = np.random.RandomState(0).uniform(-1, 1, (2, 20, 3)).astype("float32")

    def make(dt):
        layer = layers.LegendreMemory(6, 0.3, dt=dt, **KINDS[kind])
        return keras.Sequential([keras.Input((20, 3)), layer])

    model, expected = make(0.02), make(0.005).predict_on_batch(x)
    before = model.predict_on_batch(x)
    model.save(tmp_path / "model.keras")
    model.layers[0].dt = 0.005
    assert model.layers[0].dt == model.layers[0].get_config()["dt"] == 0.005
    assert np.abs(expected - before).max() > 0.1
    np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-5)
    np.testing.assert_allclose(values(model.layers[0](x)), expected, atol=1e-5)
    # the time step, but nothing that follows from it, is in files and among the weights
    assert model.count_params() == (kind == "trained")
    model.save_weights(tmp_path / "changed.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict_on_batch(x), before, atol=1e-5)
    loaded.load_weights(tmp_path / "changed.weights.h5")
    assert loaded.layers[0].dt == 0.005
    np.testing.assert_allclose(loaded.predict_on_batch(x), expected, atol=1e-5)


def test_other_lengths_than_at_first():
    """Steps at once where the response to an impulse is known for fewer, or more, of them."""
    x = np.random.RandomState(0).uniform(-1, 1, (2, 20, 3)).astype("float32")
    layer = layers.LegendreMemory(6, 0.3, dt=0.02)
    for steps in (10, 20, 5):
        step_by_step = layers.LegendreMemory(6, 0.3, dt=0.02, parallel=False)
        expected = values(step_by_step(x[:, :steps]))
        np.testing.assert_allclose(values(layer(x[:, :steps])), expected, atol=1e-5)


def test_time_step_with_trained_theta_becomes_shorter_only():
    layer = layers.LegendreMemory(6, 0.3, trainable_attributes="theta")
    layer.dt = 0.02
    layer(np.zeros((2, 5, 1), dtype="float32"))
    with pytest.raises(ValueError, match="dt was given 0.03, but .* was built with 0.02"):
        layer.dt = 0.03
    assert layer.dt == 0.02


def test_time_step_of_lmu_can_change():
    x = np.random.RandomState(0).uniform(-1, 1, (2, 20, 3)).astype("float32")
    made = [layers.LMU(4, 6, 0.3, dt=dt) for dt in (0.02, 0.005)]
    before, _ = (values(layer(x)) for layer in made)
    for mine, other in zip(made[0].weights, made[1].weights, strict=True):
        other.assign(mine)
    expected = values(made[1](x))
    made[0].dt = 0.005
    np.testing.assert_allclose(values(made[0](x)), expected, atol=1e-5)
    assert np.abs(expected - before).max() > 1e-3
