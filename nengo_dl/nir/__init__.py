"""Networks to and from the Neuromorphic Intermediate Representation, NIR (https://neuroir.org).

Needs the package nir, which the extra ``nir`` brings.
"""

from __future__ import annotations

import importlib
from typing import Any

from nengo_dl.optional import installed

_PUBLIC = {
    "GraphNetwork": "nengo_dl.nir.reading.network",
    "from_nir": "nengo_dl.nir.reading.network",
    "to_nir": "nengo_dl.nir.writing.graph",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nengo_dl.nir' has no attribute {name!r}")
    with installed("nir"):
        return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
