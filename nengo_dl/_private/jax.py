"""Names that JAX keeps for itself, or had for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.interpreters import mlir

from nengo_dl._private import found, has


def lowering_rule(primitive: Any, platform: str) -> Callable | None:
    """How JAX lowers a primitive for a platform, if it does so in a way of its own and tells."""
    if not has(mlir, "_platform_specific_lowerings"):
        return None
    entry = mlir._platform_specific_lowerings.get(platform, {}).get(primitive)
    return getattr(entry, "rule", entry)


def applied(eqn: Any, operands: Sequence) -> list:
    """The results of an operation that JAX has traced."""
    parameters = eqn.primitive.get_bind_params(eqn.params)
    functions: Sequence = ()
    if isinstance(parameters, tuple):  # in versions that do not have all of it in one mapping
        functions, parameters = parameters
    results = eqn.primitive.bind(*functions, *operands, **parameters)
    return results if eqn.primitive.multiple_results else [results]


def computed(eqns: Sequence, values: dict, outputs: Sequence, results: Callable) -> list:
    """The values of ``outputs`` after operations that JAX has traced, of which
    ``results(eqn, operands)`` computes one; ``values`` are those known before, and get all others.
    """

    def value(atom: Any) -> Any:
        return np.asarray(atom.val, atom.aval.dtype) if is_literal(atom) else values[atom]

    for eqn in eqns:
        made = results(eqn, [value(atom) for atom in eqn.invars])
        values.update(zip(eqn.outvars, made, strict=True))
    return [value(atom) for atom in outputs]


def called(closed: Any, operands: Sequence, results: Callable) -> list:
    """What a function that JAX has traced computes; ``results`` as in `computed`."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(jaxpr.invars, operands, strict=True))
    return computed(jaxpr.eqns, values, jaxpr.outvars, results)


def is_literal(atom: Any) -> bool:
    """Whether an operand of an operation that JAX has traced is a number, ``atom.val``."""
    return has(atom, "val")


def has_triton() -> bool:
    """Whether JAX has the way to write kernels that is used here, which is younger than the oldest
    JAX.
    """
    names = "load", "store", "CompilerParams"
    return all(found(f"jax.experimental.pallas.triton:{name}") for name in names)


def shard_map(function: Callable, mesh: Any, in_specs: Any, out_specs: Any) -> Callable:
    """``jax.shard_map`` that does not check what is the same on all devices; before JAX 0.6 it was
    an experiment.
    """
    places = {"mesh": mesh, "in_specs": in_specs, "out_specs": out_specs}
    if hasattr(jax, "shard_map"):
        return jax.shard_map(function, **places, check_vma=False)
    return found("jax.experimental.shard_map:shard_map")(function, **places, check_rep=False)
