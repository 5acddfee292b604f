"""What differs between the backends: a `Backend` in a module each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import keras

from nengo_dl import keras_backend
from nengo_dl.runtime.backends.protocol import Backend

if TYPE_CHECKING:
    from nengo_dl.runtime.backends import jax, tensorflow

    _all: tuple[Backend, ...] = (jax, tensorflow)


def active() -> Backend:
    """The module of Keras's backend."""
    name = keras.backend.backend()
    if name not in keras_backend.SUPPORTED:
        raise ImportError(keras_backend.problem())
    module: Any = importlib.import_module(f"nengo_dl.runtime.backends.{name}")
    return module
