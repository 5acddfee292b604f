"""Which backend Keras has, told without loading it, and what is wrong with it."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

#: those that nengo_dl runs on
SUPPORTED = ("tensorflow", "jax")


def name() -> str:
    """The backend of Keras, or the one that it will have."""
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "backend"):
        return sys.modules["keras"].backend.backend()
    if "KERAS_BACKEND" in os.environ:
        return os.environ["KERAS_BACKEND"]
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return SUPPORTED[0]


def problem() -> str | None:
    """A sentence that says what to do where nengo_dl cannot run on Keras's backend."""
    backend = name()
    others = [other for other in SUPPORTED if other != backend]
    there = [other for other in others if _is_installed(other)] or others
    choose = f"set the environment variable KERAS_BACKEND={there[0]} before Keras is imported"
    if backend not in SUPPORTED:
        return (
            f"Keras is set to use the backend {backend!r}, but nengo_dl runs on "
            f"{' and '.join(SUPPORTED)}: {choose}"
        )
    if not _is_installed(backend):
        return (
            f"Keras is set to use the backend {backend}, which is not installed: "
            f"`pip install {backend}`, or {choose}"
        )
    return None


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # it was loaded in some other way
        return sys.modules.get(package) is not None
