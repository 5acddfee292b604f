"""Networks to and from the Neuromorphic Intermediate Representation, NIR (https://neuroir.org).

Needs the package nir: ``pip install nengo-dl[nir]``.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "GraphNetwork": "nengo_dl.nir.reading.network",
    "from_nir": "nengo_dl.nir.reading.network",
    "to_nir": "nengo_dl.nir.writing.graph",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nengo_dl.nir' has no attribute {name!r}")
    try:
        module = importlib.import_module(_PUBLIC[name])
    except ModuleNotFoundError as error:
        if error.name != "nir":
            raise
        raise ImportError(
            f"nengo_dl.nir.{name} needs the package nir; install it with "
            "`pip install nengo-dl[nir]`"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
