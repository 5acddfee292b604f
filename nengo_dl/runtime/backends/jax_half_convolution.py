"""Convolutions of operands in half precision, with sums in single precision.

JAX has such convolutions, but not their gradients, which would be convolutions of operands of
different types. So the gradients are those of the convolution in single precision, with the
operands of each convolution that JAX traces of them rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nengo_dl._private.jax import applied, is_literal


def half_convolution(function: Callable, half: str) -> Callable:
    """``function(weights, x)``, linear in both, with what it convolves in half precision."""

    def single(*values):
        return [value.astype(jnp.float32) for value in values]

    def gradients(weights, x, upstream):
        return jax.vjp(function, weights, x)[1](upstream)

    @jax.custom_vjp
    def convolve(weights, x):
        return forward(weights, x)[0]

    def forward(weights, x):
        given = weights.astype(half), x.astype(half)
        (result,) = _with_half_operands(function, half, single(*given))
        return result, given

    def backward(given, upstream):
        return tuple(_with_half_operands(gradients, half, single(*given, upstream)))

    convolve.defvjp(forward, backward)
    return convolve


def _with_half_operands(function: Callable, half: str, values: Sequence[Any]) -> list[Any]:
    """The results of a function of which the operands of all convolutions are rounded."""
    return _evaluated(jax.make_jaxpr(function)(*values), half, values)


def _evaluated(closed: Any, half: str, operands: Sequence[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(jaxpr.invars, operands, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if is_literal(atom) else values[atom]

    for eqn in jaxpr.eqns:
        given = [value(atom) for atom in eqn.invars]
        if eqn.primitive is lax.conv_general_dilated_p:
            given = [operand.astype(half) for operand in given]
            settings = {**eqn.params, "preferred_element_type": jnp.dtype("float32")}
            results = [eqn.primitive.bind(*given, **settings)]
        elif "jaxpr" in eqn.params:  # a call of what was traced before
            results = _evaluated(eqn.params["jaxpr"], half, given)
        else:
            results = applied(eqn, given)
        values.update(zip(eqn.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]
