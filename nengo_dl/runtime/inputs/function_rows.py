"""Values of functions of time, for many steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from nengo.builder.operator import SimPyFunc

from nengo_dl.lowering.host import ERRORS, not_finite, set_output
from nengo_dl.runtime.inputs.host import HostRuntime

#: types (`numpy.dtype.char`) of which every array is numbers that fit into one of doubles
NUMBERS = frozenset("?bBhHiIlLqQefd")


class FunctionRows:
    """Makes values of Nodes' functions of time, which are called in turn at each step, as they may
    share Python state.

    Whether what they return is finite is seen when all steps are there. From the first step on in
    which one of them fails all values are zero, and ``host`` knows of the failure.
    """

    def __init__(self, host: HostRuntime, ops: Sequence[SimPyFunc]):
        self._host, self._called = host, [(op, op.fn) for op in ops]
        sizes = [0 if op.output is None else op.output.size for op in ops]
        ends = np.cumsum([0, *sizes]).tolist()
        self._columns = [slice(*span) for span in pairwise(ends)]
        self._size = ends[-1]
        self._dtypes = [np.float64 if op.output is None else op.output.dtype for op in ops]
        self._same_dtype = all(dtype == np.float64 for dtype in self._dtypes)

    def __call__(self, first_step: int, n_steps: int) -> list[np.ndarray]:
        """Values in steps first_step, first_step + 1, ..., (n_steps, size) of each function."""
        host, values = self._host, np.zeros((n_steps, self._size))
        n = done = host.steps_before_failure(first_step, n_steps)
        rows = [values[:, columns] for columns in self._columns]
        # a number is set faster as an element than as a row of one
        elements = [row[:, 0] if row.shape[1] == 1 else row for row in rows]
        called = [*zip(self._called, elements, rows, strict=True)]
        dt, i, op = host.model.dt, 0, None
        try:
            with ERRORS():
                for i in range(n):
                    t = (first_step + i) * dt
                    for what, element, row in called:
                        op, function = what
                        value = function(t)
                        if isinstance(value, float):
                            element[i] = value
                        elif row.size:
                            _set_row(function, value, row[i])
        except Exception as error:  # raised again by the caller of the chunk
            done = i
            host.fail(op, error, first_step + i)
        if 0 in np.isfinite(values).tobytes():  # in a third of the time of `all`
            done = self._fail_where_not_finite(values, first_step)
        if done < n_steps:
            values[done:] = 0
        if self._same_dtype:
            return rows
        return [row.astype(dtype) for row, dtype in zip(rows, self._dtypes, strict=True)]

    def _fail_where_not_finite(self, values: np.ndarray, first_step: int) -> int:
        """The first step with such a value, counted from ``first_step``."""
        finite = np.isfinite(values)
        step = int(np.argmin(finite.all(axis=1)))
        column = int(np.argmin(finite[step]))
        k = next(k for k, columns in enumerate(self._columns) if column < columns.stop)
        op, function = self._called[k]
        self._host.fail(op, not_finite(function), first_step + step)
        return step


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
