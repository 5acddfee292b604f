"""Names that JAX keeps for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax.interpreters import mlir

from nengo_dl._private import has


def lowering_rule(primitive: Any, platform: str) -> Callable | None:
    """How JAX lowers a primitive for a platform, if it does so in a way of its own and tells."""
    if not has(mlir, "_platform_specific_lowerings"):
        return None
    entry = mlir._platform_specific_lowerings.get(platform, {}).get(primitive)
    return getattr(entry, "rule", entry)
