"""Constraints on what training changes."""

import keras
import numpy as np

from nengo_dl import constraints


def test_mean():
    w = np.random.RandomState(0).uniform(size=(3, 4)).astype("float32")
    for axis in (-1, 0):
        constraint = constraints.Mean(axis=axis)
        given = keras.ops.convert_to_numpy(constraint(w))
        expected = np.broadcast_to(w.mean(axis=axis, keepdims=True), w.shape)
        np.testing.assert_allclose(given, expected, rtol=1e-6)
        copy = keras.constraints.deserialize(keras.constraints.serialize(constraint))
        assert type(copy) is constraints.Mean and copy.axis == axis
