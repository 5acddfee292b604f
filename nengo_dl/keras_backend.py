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
    backend, there = name(), installed()
    if backend in there:
        return None
    have = f"installed {'are' if len(there) > 1 else 'is'} {' and '.join(there) or 'neither'}"
    if there:
        remedy = f"set the environment variable KERAS_BACKEND={there[0]} before Keras is imported"
    else:
        remedy = "run `pip install tensorflow` or `pip install jax`"
    if backend in SUPPORTED:
        wrong = f"the backend {backend}, which is not installed"
    else:
        wrong = f"the backend {backend!r}, but nengo_dl runs on {' and '.join(SUPPORTED)}"
    return f"Keras is set to use {wrong} ({have}): {remedy}"


def installed() -> list[str]:
    """Those of `SUPPORTED` that are installed."""
    return [package for package in SUPPORTED if _is_installed(package)]


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # something that finds modules refuses this one
        return False
    except ValueError:  # it was loaded in some other way
        return sys.modules.get(package) is not None
