"""Hyperparameters that change while a model is trained."""

import keras
import numpy as np
import pytest

from nengo_dl import layers, regularizers
from nengo_dl.callbacks import HyperparameterScheduler
from nengo_dl.layers.legendre_matrices import Discretization


class Seen(keras.callbacks.Callback):
    """The time step that training used, from the height of the spikes."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])


def output_itself(target, output):
    return output[:, 0, 0]


keras.saving.register_keras_serializable(package="test")(output_itself)


@pytest.mark.core
def test_time_step_changes_in_training(tmp_path):
    """The output of a filter after one step of ones is ``1 - exp(-dt / tau)``."""
    layer = layers.Lowpass(0.1, trainable_attributes=())
    scale = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", trainable=True)
    model = keras.Sequential([keras.Input((1, 1)), layer, scale])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=output_itself)
    seen = Seen()
    steps = [0.1, 0.05, 0.05, 0.02]
    x = np.ones((8, 1, 1), dtype="float32")
    schedule = HyperparameterScheduler(lambda epoch: steps[epoch])
    model.fit(x, x, epochs=4, callbacks=[schedule, seen], verbose=0)
    np.testing.assert_allclose(seen.losses, 1 - np.exp(-np.array(steps) / 0.1), rtol=1e-5)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").layers[0].dt == 0.02


@pytest.mark.core
@pytest.mark.parametrize("trained", [(), "theta"])
def test_time_step_of_a_memory_changes_in_training(trained):
    """After steps of ones the memory is what ``dt`` makes of it."""
    steps, n_steps = [0.1, 0.05, 0.05, 0.02], 3
    layer = layers.LegendreMemory(4, 0.5, dt=0.2, trainable_attributes=trained)
    scale = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((n_steps, 1)), layer, scale])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=lambda target, output: output[:, 0])
    seen = Seen()
    x = np.ones((8, n_steps, 1), dtype="float32")
    schedule = HyperparameterScheduler(lambda epoch: steps[epoch])
    model.fit(x, x[:, 0], epochs=4, callbacks=[schedule, seen], verbose=0)
    expected = [Discretization(4, 0.5, dt).impulse_response(n_steps).sum() for dt in steps]
    np.testing.assert_allclose(seen.losses, expected, rtol=1e-4)
    assert np.ptp(expected) > 0.1 and layer.dt == 0.02


@pytest.mark.core
def test_any_hyperparameter():
    regularizer = regularizers.L1(1.0)
    layer = keras.layers.Dense(
        1, kernel_initializer="ones", use_bias=False, activity_regularizer=regularizer
    )
    model = keras.Sequential([keras.Input((2, 1)), layer])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=lambda t, y: 0.0 * y[:, 0, 0])
    seen = Seen()
    schedule = HyperparameterScheduler(
        lambda epoch: 1.0 + epoch, "l1", objects=[regularizer], compile_again=True
    )
    x = np.ones((8, 2, 1), dtype="float32")
    model.fit(x, x, epochs=3, callbacks=[schedule, seen], verbose=0)
    np.testing.assert_allclose(seen.losses, [1.0, 2.0, 3.0], rtol=1e-5)


def test_clear_errors():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.raises(ValueError, match="no layer of the model has an attribute 'dt'"):
        model.fit(
            np.ones((2, 1)),
            np.ones((2, 1)),
            callbacks=[HyperparameterScheduler(lambda epoch: 0.1)],
            verbose=0,
        )
