"""Values of functions of time, for many steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from nengo.builder.operator import SimPyFunc

from nengo_dl.lowering.host import ERRORS, not_finite, set_output
from nengo_dl.runtime.inputs.host import HostRuntime

#: types (`numpy.dtype.char`) of which every array is numbers that fit into one of doubles
NUMBERS = frozenset("?bBhHiIlLqQefd")


def function_rows(
    host: HostRuntime, ops: Sequence[SimPyFunc], first_step: int, n_steps: int
) -> list[np.ndarray]:
    """Values of Nodes' functions of time in steps first_step, first_step + 1, ..., (n_steps, size)
    each; they are called in turn at each step, as they may share Python state.

    Whether what they return is finite is seen when all steps are there. From the first step on in
    which one of them fails all values are zero, and ``host`` knows of the failure.
    """
    n = host.steps_before_failure(first_step, n_steps)
    times = (np.arange(first_step, first_step + n) * host.model.dt).tolist()
    rows = [np.zeros((n_steps, 0 if op.output is None else op.output.size)) for op in ops]
    # a number is set faster as an element than as a row of one
    elements = [values[:, 0] if values.shape[1] == 1 else values for values in rows]
    called = list(zip(ops, [op.fn for op in ops], elements, rows, strict=True))
    i, op, done, seen = 0, None, n, n
    try:
        with ERRORS():
            for i, t in enumerate(times):
                for op, function, element, row in called:
                    value = function(t)
                    if isinstance(value, float):
                        element[i] = value
                    elif op.sets:
                        _set_row(function, value, row[i])
    except Exception as error:  # raised again by the caller of the chunk
        done, seen = i, i + 1  # in which those before `op` were called
        host.fail(op, error, first_step + i)
    for op, values in zip(ops, rows, strict=True):
        finite = np.isfinite(values[:seen])
        if not finite.all():
            done = seen = int(np.argmin(finite.all(axis=1)))
            host.fail(op, not_finite(op.fn), first_step + done)
    for values in rows:
        values[done:] = 0
    return [
        values if op.output is None else values.astype(op.output.dtype, copy=False)
        for op, values in zip(ops, rows, strict=True)
    ]


def _set_row(function: Callable, value: Any, row: np.ndarray) -> None:
    """Set a row; whether it is finite is seen later."""
    try:
        array = np.asarray(value)
        if array.dtype.char in NUMBERS:
            row[...] = array
            return
    except (TypeError, ValueError):  # `set_output` says so
        pass
    set_output(function, value, row)
