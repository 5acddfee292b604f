"""Losses: values against numpy, gradients where they are easily lost, and use through Keras."""

import keras
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ValidationError

from nengo_dl import losses, obj


def gradient(function, x):
    """Derivative of a scalar function of one float32 tensor."""
    x = np.asarray(x, dtype=np.float32)
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(x))
    import tensorflow as tf

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = function(variable)
    return tape.gradient(value, variable).numpy()


def value_of(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.fixture
def outputs():
    return np.random.RandomState(0).uniform(-2, 2, size=(3, 4, 5)).astype(np.float32)


@pytest.fixture
def targets():
    targets = np.random.RandomState(1).uniform(-2, 2, size=(3, 4, 5)).astype(np.float32)
    targets[0] = np.nan
    targets[1, 2, 3] = np.nan
    return targets


# -- nan_mse ---------------------------------------------------------------------------------------


def test_targets_that_are_nan_are_errors_of_zero(outputs, targets):
    expected = np.mean(np.nan_to_num(outputs - targets) ** 2)
    np.testing.assert_allclose(value_of(losses.nan_mse(targets, outputs)), expected, rtol=1e-5)
    np.testing.assert_allclose(value_of(obj.mse(outputs, targets)), expected, rtol=1e-5)


def test_without_nan_it_is_the_mean_squared_error(outputs):
    targets = outputs[::-1]
    np.testing.assert_allclose(
        value_of(losses.nan_mse(targets, outputs)),
        value_of(keras.losses.MeanSquaredError()(targets, outputs)),
        rtol=1e-5,
    )


def test_gradient_of_nan_mse(outputs, targets):
    result = gradient(lambda x: losses.nan_mse(targets, x), outputs)
    known = ~np.isnan(targets)
    expected = np.where(known, 2 * (outputs - targets) / known.size, 0)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_all_targets_nan(outputs):
    targets = np.full_like(outputs, np.nan)
    assert value_of(losses.nan_mse(targets, outputs)) == 0
    assert np.all(gradient(lambda x: losses.nan_mse(targets, x), outputs) == 0)


def test_outputs_without_a_target_may_be_anything(outputs, targets):
    expected = value_of(losses.nan_mse(targets, outputs))
    outputs[1, 2, 3] = np.inf
    outputs[0, 0, 0] = np.nan
    np.testing.assert_allclose(value_of(losses.nan_mse(targets, outputs)), expected)
    assert np.all(np.isfinite(gradient(lambda x: losses.nan_mse(targets, x), outputs)))


def test_targets_are_brought_to_the_outputs():
    outputs = np.array([[[1.0, 2.0]], [[3.0, 4.0]]], dtype=np.float32)
    targets = np.array([[[0.0]], [[np.nan]]], dtype=np.float64)
    loss = losses.nan_mse(targets, outputs)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    np.testing.assert_allclose(value_of(loss), 1.25)
    np.testing.assert_allclose(value_of(losses.nan_mse(targets, outputs.astype(int))), 1.25)


# -- Regularize ------------------------------------------------------------------------------------


#: orders that Regularize takes, and what numpy calls them
ORDERS = [(1, 1), (2, 2), ("euclidean", 2), (3, 3), (2.5, 2.5), (0.5, 0.5), (np.inf, np.inf)]
ORDERS += [("inf", np.inf)]


@pytest.mark.parametrize(("order", "numpy_order"), ORDERS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0,)])
def test_norms_of_each_item_and_step(outputs, order, numpy_order, axis):
    norms = np.linalg.norm(outputs.astype(float), ord=numpy_order, axis=-1)
    loss = losses.Regularize(order=order, axis=axis)
    np.testing.assert_allclose(value_of(loss.call(None, outputs)), norms, rtol=1e-5)
    np.testing.assert_allclose(value_of(loss(outputs, outputs)), np.mean(norms), rtol=1e-5)


@pytest.mark.parametrize(("axis", "numpy_axis"), [(0, 2), (1, 3), (-1, 3), (-2, 2)])
def test_axes_of_a_signal_with_two(axis, numpy_axis):
    images = np.random.RandomState(0).randn(2, 3, 4, 6).astype(np.float32)
    norms = np.linalg.norm(images, axis=numpy_axis)
    np.testing.assert_allclose(
        value_of(losses.Regularize(axis=axis).call(None, images)), norms, rtol=1e-5
    )
    norms = np.linalg.norm(images.reshape(2, 3, -1), axis=2)
    for both in (None, (0, 1), [1, 0], (-1, 0)):
        found = value_of(losses.Regularize(axis=both).call(None, images))
        np.testing.assert_allclose(found, norms, rtol=1e-5)


@pytest.mark.parametrize("targets", [None, np.zeros((3, 1)), np.zeros((3, 1, 0)), np.zeros(7)])
def test_targets_do_not_matter(outputs, targets):
    loss = losses.Regularize()
    assert value_of(loss(targets, outputs)) == value_of(loss(outputs, outputs))


@pytest.mark.parametrize("order", [0.5, 1, 1.5, 2, 3, "inf"])
def test_gradient_of_norms(outputs, order):
    outputs[0, 0, 0] = 0
    loss = losses.Regularize(order=order)
    result = gradient(lambda x: ops.sum(loss.call(None, x)), outputs)
    size = np.abs(outputs.astype(float))
    norms = np.linalg.norm(size, ord=float(order), axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        weights = size == norms if order == "inf" else (size / norms) ** (order - 1.0)
    weights = np.where(outputs == 0, 0, weights)
    np.testing.assert_allclose(result, np.sign(outputs) * weights, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("order", [1, 1.5, 2, 3, "inf"])
@pytest.mark.parametrize("axis", [None, -1])
def test_gradient_where_the_output_is_zero(order, axis):
    loss = losses.Regularize(order=order, axis=axis)
    silent = np.zeros((2, 3, 4), dtype=np.float32)
    assert np.all(value_of(loss.call(None, silent)) == 0)
    assert np.all(gradient(lambda x: loss(silent, x), silent) == 0)
    silent[0, 0, 0] = 2.0
    result = gradient(lambda x: ops.sum(loss.call(None, x)), silent)
    np.testing.assert_allclose(result[0, 0, 0], 1, rtol=1e-6)
    assert np.sum(np.abs(result)) == result[0, 0, 0]


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_high_orders_neither_overflow_nor_vanish(outputs, scale):
    loss = losses.Regularize(order=20)
    np.testing.assert_allclose(
        value_of(loss.call(None, outputs * np.float32(scale))) / scale,
        np.linalg.norm(outputs.astype(float), ord=20, axis=-1),
        rtol=1e-5,
    )


@pytest.mark.parametrize("order", [0, -1, -np.inf, "fro", None, float("nan")])
def test_orders_that_are_not_allowed(order):
    with pytest.raises(ValidationError, match="(?s)order.*positive number.*got"):
        losses.Regularize(order=order)


@pytest.mark.parametrize("axis", ["time", 0.5, (), (0, "time")])
def test_axes_that_are_not_allowed(axis):
    with pytest.raises(ValidationError, match="(?s)axis.*expected an integer"):
        losses.Regularize(axis=axis)


@pytest.mark.parametrize("axis", [1, -2])
def test_axes_that_the_output_does_not_have(outputs, axis):
    with pytest.raises(ValidationError, match=f"(?s)1 of them.*got {axis}"):
        losses.Regularize(axis=axis).call(None, outputs)
    with pytest.raises(ValidationError, match="(?s)batch, n_steps.*2 dimensions"):
        losses.Regularize().call(None, outputs[0])


@pytest.mark.parametrize("axis", [None, 0, (0,)])
def test_regularize_can_be_saved(outputs, axis):
    loss = losses.Regularize(order="inf", axis=axis, name="quiet", reduction="sum")
    twin = keras.losses.deserialize(keras.losses.serialize(loss))
    assert (twin.order, twin.axis, twin.name) == ("inf", loss.axis, "quiet")
    assert value_of(twin(outputs, outputs)) == value_of(loss(outputs, outputs))


# -- version 2 -------------------------------------------------------------------------------------


def test_regularize_of_version_2(outputs, targets):
    expected = np.mean(np.linalg.norm(outputs, axis=-1))
    for arguments in ((outputs,), (outputs, targets)):
        result = obj.Regularize(axis=-1)(*arguments)
        np.testing.assert_allclose(value_of(result), expected, rtol=1e-5)
        weighted = obj.Regularize(2, -1, weight=0.1)(*arguments)
        np.testing.assert_allclose(value_of(weighted), 0.1 * expected, rtol=1e-5)


# -- in Keras --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [losses.nan_mse, losses.Regularize(axis=-1)])
def test_training_a_keras_model(loss, targets):
    model = keras.Sequential([keras.Input((4, 5)), keras.layers.Dense(5, use_bias=False)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss, metrics=[losses.nan_mse])
    x = np.random.RandomState(2).normal(size=(3, 4, 5)).astype(np.float32)
    history = model.fit(x, targets, epochs=5, batch_size=3, verbose=0).history
    assert np.all(np.diff(history["loss"]) < 0)
    result = model.evaluate(x, targets, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0)
    error = np.mean(np.nan_to_num(predicted - targets) ** 2)
    norm = np.mean(np.linalg.norm(predicted, axis=-1))
    np.testing.assert_allclose(result["nan_mse"], error, rtol=1e-4)
    np.testing.assert_allclose(result["loss"], error if loss is losses.nan_mse else norm, rtol=1e-4)
