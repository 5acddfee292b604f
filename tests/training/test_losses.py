"""Loss functions."""

import numpy as np
import pytest
from keras import ops

import nengo_dl
from nengo_dl.runtime import backends


def number(tensor):
    return float(ops.convert_to_tensor(tensor))


@pytest.mark.core
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_nan_mse_takes_unknown_targets_for_errors_of_zero(dtype):
    rng = np.random.RandomState(0)
    outputs = rng.normal(size=(3, 4, 2)).astype(np.float32)
    targets = np.round(3 * rng.normal(size=(3, 4, 2)))
    known = np.ones(targets.shape, bool)
    if dtype != "int64":
        known = rng.uniform(size=targets.shape) < 0.5
        targets[~known] = np.nan
    targets = targets.astype(dtype)
    expected = np.mean(np.where(known, targets - outputs, 0) ** 2)
    assert number(nengo_dl.losses.nan_mse(targets, outputs)) == pytest.approx(expected, rel=1e-5)
    assert number(nengo_dl.obj.mse(outputs, targets)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.core
def test_gradient_of_nan_mse_is_finite():
    targets = np.array([[[1.0, np.nan]], [[np.nan, np.nan]]], dtype=np.float32)
    outputs = ops.convert_to_tensor(np.ones((2, 1, 2), dtype=np.float32) * 3)
    (gradient,) = backends.active().gradients(
        lambda tensors: nengo_dl.losses.nan_mse(targets, *tensors), [outputs]
    )
    np.testing.assert_allclose(gradient, [[[1, 0]], [[0, 0]]])
    (gradient,) = backends.active().gradients(
        lambda tensors: nengo_dl.losses.nan_mse(targets * np.nan, *tensors), [outputs]
    )
    np.testing.assert_array_equal(gradient, np.zeros((2, 1, 2)))
    assert number(nengo_dl.losses.nan_mse(targets * np.nan, np.ones((2, 1, 2), np.float32))) == 0
