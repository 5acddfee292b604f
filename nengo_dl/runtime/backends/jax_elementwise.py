"""A step of a loop as a function of single elements, where it computes each element by itself.

What JAX traces of a step tells: where all operations on what changes from step to step are
elementwise, they can be applied to any block of elements, in the loop of one kernel
(`jax_sequence_kernels`). The operations are those of the step, so its numbers are, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import numpy as np

from nengo_dl._private.jax import applied, called, computed, is_literal

#: operations on each element that kernels can make
_ELEMENTWISE = frozenset(
    "abs add add_any and ceil clamp convert_element_type cos cosh div eq exp exp2 expm1 floor ge gt"
    " integer_pow is_finite le log log1p logistic lt max min mul ne neg not or pow rsqrt select_n"
    " sign sin sinh sqrt square stop_gradient sub tan tanh xor".split()
)
#: operations that only change the shape: nothing, for an element
_SHAPES = frozenset(["broadcast_in_dim", "copy", "expand_dims", "reshape", "squeeze"])
#: calls of what was traced before
_CALLS = frozenset(["closed_call", "jit", "pjit"])
_DTYPES = frozenset(map(np.dtype, ("float32", "int32", "bool")))


@dataclass(frozen=True)
class ElementwiseStep:
    """A step, for blocks of elements.

    Attributes
    ----------
    function
        ``function(fixed, state, rows, i) -> (state, outputs)``, of lists of blocks of one shape.
    fixed
        What is the same in each step: numbers, or arrays that broadcast to ``shape``.
    shape
        Of the states, and of the rows and outputs of a step: (batch, width).
    """

    function: Callable[[Sequence, Sequence, Sequence, Any], tuple[list, list]]
    fixed: list
    shape: tuple[int, int]


def elementwise_step(step: Callable, state: Sequence, rows: Sequence) -> ElementwiseStep | None:
    """The step of a loop over ``rows``, (n_steps, batch, width), for blocks of elements; None where
    it is not elementwise, or not in single precision.

    Parameters
    ----------
    step
        ``step(state, rows_now, i) -> (state, outputs)``.
    """
    n_outputs = 0

    def flat(state, now, i):
        nonlocal n_outputs
        state, outputs = step(state, now, i)
        n_outputs = len(outputs)
        return [*state, *outputs]

    now = [jax.ShapeDtypeStruct(row.shape[1:], row.dtype) for row in rows]
    index = jax.ShapeDtypeStruct((), np.int32)
    closed = jax.make_jaxpr(flat)(list(state), now, index)
    jaxpr = closed.jaxpr
    changing = [*jaxpr.invars[:-1], *jaxpr.outvars]
    shapes = {tuple(v.aval.shape) for v in changing}
    if len(shapes) != 1 or any(v.aval.dtype != np.float32 for v in changing):
        return None
    (shape,) = shapes
    before, loop = _parted(jaxpr)
    if len(shape) != 2 or not all(_is_elementwise(eqn, shape) for eqn in loop):
        return None
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    computed(before, values, (), applied)
    read = _read_by(loop, jaxpr.outvars)
    names = [v for v in values if v in read]
    if not all(_fits(v.aval, shape) for v in names):
        return None
    n_states = len(jaxpr.outvars) - n_outputs

    def function(fixed, state, now, i):
        known = dict(zip(names, fixed, strict=True))
        known.update(zip(jaxpr.invars, [*state, *now, i], strict=True))
        results = computed(loop, known, jaxpr.outvars, _results)
        block = state[0] if state else now[0]
        results = [_like(value, block) for value in results]
        return results[:n_states], results[n_states:]

    return ElementwiseStep(function, [values[v] for v in names], shape)


# -- what is traced --------------------------------------------------------------------------------


def _parted(jaxpr: Any) -> tuple[list, list]:
    """What is the same in each step, and what is not; without what nothing reads."""
    needed, kept = {v for v in jaxpr.outvars if not is_literal(v)}, []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or not needed.isdisjoint(eqn.outvars):
            kept.append(eqn)
            needed.update(v for v in eqn.invars if not is_literal(v))
    changing, before, loop = set(jaxpr.invars), [], []
    for eqn in reversed(kept):
        reads = {v for v in eqn.invars if not is_literal(v)}
        if eqn.effects or not changing.isdisjoint(reads):
            changing.update(eqn.outvars)
            loop.append(eqn)
        else:
            before.append(eqn)
    return before, loop


def _read_by(eqns: Sequence, outputs: Sequence) -> set:
    atoms = [*outputs, *(v for eqn in eqns for v in eqn.invars)]
    return {v for v in atoms if not is_literal(v)}


def _is_elementwise(eqn: Any, shape: tuple[int, int], derivative: bool = False) -> bool:
    """Whether an operation is, and its derivative where it is not part of one."""
    avals = [v.aval for v in (*eqn.invars, *eqn.outvars)]
    if eqn.effects or not all(_fits(aval, shape) for aval in avals):
        return False
    name, parameters = eqn.primitive.name, eqn.params
    if name == "custom_jvp_call":
        inner = list(parameters["call_jaxpr"].jaxpr.eqns)
        if not derivative:  # only numbers have one
            if any(aval.dtype != np.float32 for aval in avals):
                return False
            inner += _derivative(eqn).jaxpr.eqns
        return all(_is_elementwise(e, shape, derivative=True) for e in inner)
    if name in _CALLS:
        inner = parameters["jaxpr"].jaxpr.eqns
        return all(_is_elementwise(e, shape, derivative) for e in inner)
    if name in _SHAPES:
        before, after = avals[0].shape, avals[-1].shape
        return (
            prod(before) == 1
            or before == after
            or (len(before) == 2 and parameters.get("broadcast_dimensions") == (0, 1))
        )
    return name in _ELEMENTWISE


def _fits(aval: Any, shape: tuple[int, int]) -> bool:
    """Whether a value is one number for each element, item or column, or one for all."""
    if aval.dtype not in _DTYPES:
        return False
    pairs = zip(aval.shape, shape, strict=False)
    return prod(aval.shape) == 1 or (
        len(aval.shape) == 2 and all(n in (1, whole) for n, whole in pairs)
    )


# -- computing it ----------------------------------------------------------------------------------


def _results(eqn: Any, operands: list) -> list:
    """The results of an elementwise operation for blocks of elements."""
    name = eqn.primitive.name
    if name in _SHAPES:
        return operands[:1]
    if name == "custom_jvp_call":
        return _with_own_derivative(eqn)(*operands)
    if name in _CALLS:
        return called(eqn.params["jaxpr"], operands, _results)
    block = max(operands, key=np.ndim)
    operands = [_like(value, block) for value in operands]
    return [eqn.primitive.bind(*operands, **eqn.params)]


def _with_own_derivative(eqn: Any) -> Callable:
    """A function that says what its derivative is, for blocks."""

    @jax.custom_jvp
    def function(*operands):
        return called(eqn.params["call_jaxpr"], operands, _results)

    @function.defjvp
    def _(operands, tangents):
        results = called(_derivative(eqn), [*operands, *tangents], _results)
        block = max((*operands, *tangents), key=np.ndim)
        results = [_like(value, block) for value in results]
        n = len(results) // 2
        return results[:n], results[n:]

    return function


def _derivative(eqn: Any) -> Any:
    """What JAX traces of the derivative of a function that says itself what it is."""
    given = tuple(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars)

    def derivative(operands, tangents):
        return jax.jvp(lambda *operands: applied(eqn, operands), operands, tangents)

    return jax.make_jaxpr(derivative)(given, given)


def _like(value: Any, block: Any) -> Any:
    """A number for each element of a block."""
    if np.ndim(value) == np.ndim(block):
        return value
    return jax.lax.broadcast_in_dim(jax.numpy.reshape(value, ()), block.shape, ())
