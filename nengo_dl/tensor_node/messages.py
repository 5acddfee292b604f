"""What the errors of TensorNodes say."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable
from typing import Any

import keras

#: the package whose tensors a backend of Keras cannot compute with
_FOREIGN = {"tensorflow": "jax", "jax": "tensorflow"}


def describe(function: Any) -> str:
    """A function or layer, so that a user finds it."""
    if isinstance(function, functools.partial):
        return describe(function.func)
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "__name__", None) or repr(function)
    place = f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}"
    return f"function {function.__name__!r} ({place})"


def describe_node(label: str | None, function: Any) -> str:
    """A TensorNode that may have no label."""
    name = f"TensorNode {label!r}" if isinstance(label, str) else "TensorNode without a label"
    return f"{name}, {describe(function)}"


def foreign_hint(function: Callable, error: BaseException | None = None, result: Any = None) -> str:
    """A sentence for code of TensorFlow under JAX, or of JAX under TensorFlow; else nothing."""
    backend = keras.backend.backend()
    foreign = _FOREIGN[backend]
    module = type(result).__module__.split(".")[0].replace("jaxlib", "jax")
    frames = [] if error is None else traceback.extract_tb(error.__traceback__)
    within = any(f"{os.sep}{foreign}{os.sep}" in frame.filename for frame in frames)
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    named = foreign in names or (foreign == "tensorflow" and "tf" in names)
    if module != foreign and not within and not named:
        return ""
    return (
        f". It seems to use {foreign}, but Keras runs on {backend}: write it with keras.ops, which "
        f"runs on both, or set the environment variable KERAS_BACKEND={foreign}"
    )
