"""All steps of an elementwise loop in one kernel, and its gradient in another (Pallas, Triton).

A program of a kernel computes a few elements through all steps: their state stays in registers, and
nothing waits for the other elements. Memory is read and written once for each input and output of
a step. For the gradient the forward kernel also writes the states before each step, from which the
backward kernel computes the steps again, in reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from nengo_dl.runtime.backends.jax_elementwise import ElementwiseStep, elementwise_step
from nengo_dl.runtime.backends.jax_kernels import for_steps, run_kernel
from nengo_dl.runtime.backends.jax_scan import recomputing_scan

#: addresses are 32-bit integers
MOST_ELEMENTS = 2**31 - 1


def fused_scan(step, invariant, state, rows, n_steps: int, kept, shapes, dtype: str):
    kernel = sequence_kernel(partial(step, invariant), state, rows, n_steps, kept)
    if kernel is None:
        return recomputing_scan(step, invariant, state, rows, n_steps, kept, shapes, dtype)
    return kernel()


def sequence_kernel(
    step: Callable, state: Sequence, rows: Sequence, n_steps: int, kept: Sequence[bool]
) -> Callable[[], tuple[list, list]] | None:
    """What computes a loop in one kernel, and gives the last state and outputs of shape (batch,
    n_steps or 1, width); None where a step is not elementwise, or there is none.

    Parameters
    ----------
    step
        ``step(state, rows_now, i) -> (state, outputs)``, which may use any other tensors; the
        result is differentiable with respect to those, too.
    state, rows
        (batch, width) and (n_steps, batch, width).
    """
    elementwise = elementwise_step(step, state, rows) if state or rows else None
    if elementwise is None or n_steps * prod(elementwise.shape) > MOST_ELEMENTS:
        return None
    loop = _Loop(elementwise, n_steps, tuple(kept))
    return partial(_differentiable(loop), elementwise.fixed, list(state), list(rows))


def _differentiable(loop: _Loop) -> Callable:
    """``run(fixed, state, rows) -> (state, outputs)``."""

    @jax.custom_vjp
    def run(fixed, state, rows):
        state, outputs, _ = loop.forward(fixed, state, rows, keep_states=False)
        return state, outputs

    def forward(fixed, state, rows):
        varied, tree = jax.tree.flatten((fixed, state, rows))
        fixed, state, rows = jax.tree.unflatten(tree, [v.value for v in varied])
        last, outputs, states = loop.forward(fixed, state, rows, keep_states=True)
        # what has no gradient is marked in the structure, which is known when this is traced
        marks = [() if v.perturbed and v.value.dtype == np.float32 else None for v in varied]
        return (last, outputs), (fixed, states, rows, marks)

    def backward(kept, gradients):
        fixed, states, rows, marks = kept
        wanted = [mark is not None for mark in marks]
        last, outputs = jax.tree.map(_gradient, gradients)
        return loop.backward(fixed, states, rows, last, outputs, wanted)

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run


def _gradient(value: Any) -> Any:
    return jnp.zeros(value.shape, value.dtype) if isinstance(value, SymbolicZero) else value


@dataclass(frozen=True)
class _Loop:
    """The kernels of one loop."""

    step: ElementwiseStep
    n_steps: int
    kept: tuple[bool, ...]

    def _run(self, name: str, body: Callable, given: dict, results: dict) -> dict[str, list]:
        return run_kernel(name, body, self.step.shape, self.n_steps, given, results)

    def forward(self, fixed, state, rows, keep_states: bool) -> tuple[list, list, list]:
        """The last state, the outputs, and the states before each step, (n_steps, batch, width)."""
        n_last = self.kept.count(False)

        def body(read, write, at):
            known = read.fixed()

            def one(t, now, carry):
                state, _ = carry
                if keep_states:
                    write("states", state, at.by_step(t))
                state, outputs = self.step.function(known, state, now, t)
                write("history", _chosen(outputs, self.kept), at.by_item(t))
                return state, _chosen(outputs, _not(self.kept))

            zeros = [jnp.zeros(at.shape, jnp.float32)] * n_last
            carry = read("state", at.element), zeros
            steps = range(self.n_steps)
            state, last = for_steps(steps, lambda t: read("rows", at.by_item(t)), one, carry)
            write("last state", state, at.element)
            write("last", last, at.element)

        batch, width = self.step.shape
        results = self._run(
            "forward",
            body,
            {"fixed": fixed, "state": state, "rows": _swapped(rows)},
            {
                "last state": [self.step.shape] * len(state),
                "history": [(batch, self.n_steps, width)] * (len(self.kept) - n_last),
                "last": [(batch, 1, width)] * n_last,
                "states": [(self.n_steps, batch, width)] * (len(state) if keep_states else 0),
            },
        )
        outputs = _merged(self.kept, results["history"], results["last"])
        return results["last state"], outputs, results["states"]

    def backward(self, fixed, states, rows, last, outputs, wanted) -> tuple[list, list, list]:
        """Gradients of ``fixed``, of the first state and of the rows, from those of the last state
        and of the outputs.

        Parameters
        ----------
        wanted
            For each of ``fixed``, the state and the rows, whether it has one (the others: None).
        """
        of_fixed, of_rows = wanted[: len(fixed)], wanted[len(fixed) + len(states) :]
        batch, width = self.step.shape
        results = self._run(
            "backward",
            partial(self._backward_body, of_fixed, of_rows),
            {
                "fixed": fixed,
                "states": states,
                "rows": _swapped(rows),
                "last state": last,
                "outputs": _chosen(outputs, self.kept),
                "last outputs": _chosen(outputs, _not(self.kept)),
            },
            {
                "state": [self.step.shape] * len(states),
                "fixed": [self.step.shape] * sum(of_fixed),
                "rows": [(batch, self.n_steps, width)] * sum(of_rows),
            },
        )
        sums = map(_summed, results["fixed"], _chosen(fixed, of_fixed))
        none = [None] * len(wanted)
        return (
            _merged(of_fixed, sums, none),
            results["state"],
            _merged(of_rows, _swapped(results["rows"]), none),
        )

    def _backward_body(self, of_fixed, of_rows, read, write, at) -> None:
        """What a program of the backward kernel does."""
        known, at_end = read.fixed(), read("last outputs", at.element)
        zero = jnp.zeros(at.shape, jnp.float32)

        def now(t):
            place = at.by_item(t)
            return read("states", at.by_step(t)), read("rows", place), read("outputs", place)

        def one(t, values, carry):
            states, rows, of_history = values
            of_state, sums = carry

            def step(fixed, states, changing):
                fixed = _merged(of_fixed, fixed, _chosen(known, _not(of_fixed)))
                changing = _merged(of_rows, changing, _chosen(rows, _not(of_rows)))
                return self.step.function(fixed, states, changing, t)

            _, pull = jax.vjp(step, _chosen(known, of_fixed), states, _chosen(rows, of_rows))
            of_last = [jnp.where(t == self.n_steps - 1, value, zero) for value in at_end]
            of_outputs = _merged(self.kept, of_history, of_last)
            of_known, of_state, of_row = pull((of_state, of_outputs))
            write("rows", of_row, at.by_item(t))
            return of_state, [s + g for s, g in zip(sums, of_known, strict=True)]

        carry = read("last state", at.element), [zero] * sum(of_fixed)
        of_state, sums = for_steps(range(self.n_steps)[::-1], now, one, carry)
        write("state", of_state, at.element)
        write("fixed", sums, at.element)


# -- lists -----------------------------------------------------------------------------------------


def _chosen(values: Sequence, flags: Sequence[bool]) -> list:
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def _not(flags: Sequence[bool]) -> list[bool]:
    return [not flag for flag in flags]


def _merged(flags: Sequence[bool], chosen: Iterable, others: Iterable) -> list:
    """One list, of what is `_chosen` by the flags and what is not."""
    taken, left = iter(chosen), iter(others)
    return [next(taken if flag else left) for flag in flags]


def _swapped(rows: Sequence) -> list:
    """Items first in place of steps, or the other way round."""
    return [jnp.swapaxes(row, 0, 1) for row in rows]


def _summed(gradient: Any, value: Any) -> Any:
    """The gradient of what was broadcast."""
    shape = jnp.shape(value)
    if prod(shape) == 1:
        return jnp.reshape(jnp.sum(gradient), shape)
    axes = tuple(k for k, n in enumerate(shape) if n != gradient.shape[k])
    return jnp.sum(gradient, axes, keepdims=True)
