"""Every name that TensorFlow, Keras, JAX and Nengo keep for themselves and that is used here,
in one module for each library.

Where a version of the library does not have a name, the function that uses it does with public
names what it has to: it takes more time or memory, and gives the same.
"""

from __future__ import annotations

import importlib
from typing import Any

#: parts of Keras that it loads itself, told without loading it
KERAS_PARTS = "keras._tf_keras", "keras.src.visualization"


def found(place: str) -> Any:
    """What a library has under ``"module:name"``; None where it has no such thing."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def has(owner: Any, name: str) -> bool:
    """Whether an object of a library has an attribute."""
    return hasattr(owner, name)
