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

from nengo_dl._private.jax import applied, called


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

    def results(eqn: Any, operands: list) -> list:
        if eqn.primitive is lax.conv_general_dilated_p:
            settings = {**eqn.params, "preferred_element_type": jnp.dtype("float32")}
            return [eqn.primitive.bind(*(x.astype(half) for x in operands), **settings)]
        if "jaxpr" in eqn.params:  # a call of what was traced before
            return called(eqn.params["jaxpr"], operands, results)
        return applied(eqn, operands)

    return called(jax.make_jaxpr(function)(*values), values, results)
