"""Float64 for layers."""

import keras
import pytest

from nengo_dl.runtime import backends


@pytest.fixture
def float64():
    """Layers are made and run in float64."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with backends.active().precision("float64"):
        yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
