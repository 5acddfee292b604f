"""Float64, and the layers that all have to keep the same promises."""

import keras
import pytest

from nengo_dl.runtime import backends


@pytest.fixture
def float64():
    """Layers are made and run in float64."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    with backends.active().precision("float64"):
        yield
    keras.config.set_floatx(before)
