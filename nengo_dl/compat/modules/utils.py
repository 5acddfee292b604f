"""Some of the helpers that NengoDL 3 had here."""

from __future__ import annotations

import re
from typing import Any

from nengo_dl.compat.arguments import warn

__all__ = ["function_name", "sanitize_name"]


def sanitize_name(name: str | None) -> str | None:
    """Deprecated: a name without the characters that TensorFlow does not take."""
    warn("nengo_dl.utils.sanitize_name", "Simulator.get_name")
    return None if name is None else _sanitized(name)


def function_name(func: Any, sanitize: bool = True) -> str:
    """Deprecated: the name of a function, or of the class of what is called like one."""
    warn("nengo_dl.utils.function_name", "the function's __name__")
    name = getattr(func, "__name__", type(func).__name__)
    return _sanitized(name) if sanitize else name


def _sanitized(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.\\/>-]", "", name.replace(" ", "_").replace(":", "_"))


def __getattr__(name: str) -> Any:
    if name != "tf_gpu_installed":
        raise AttributeError(f"module 'nengo_dl.utils' has no attribute {name!r}")
    import keras

    warn("nengo_dl.utils.tf_gpu_installed", "keras.distribution.list_devices()")
    # those of the best kind there is; JAX raises an error for a kind that there is not
    return any("gpu" in name.lower() for name in keras.distribution.list_devices())
