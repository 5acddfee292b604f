"""Rows of the inputs, a chunk of steps at a time: from user data, or from Nengo's own functions and
processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from nengo.builder.operator import Operator, SimPyFunc

from nengo_dl.compiler.program import Input
from nengo_dl.runtime.inputs.function_rows import function_rows
from nengo_dl.runtime.inputs.host import HostRuntime, differs_by_item


class ConstantSource:
    """A Node with an array as output."""

    constant = True

    def __init__(self, item: Input):
        self.value = np.ravel(item.signal.initial_value)[None]

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        """Array of shape (1, size); the same at each step."""
        return self.value

    def keep_after_reset(self, n_steps: int) -> None:
        """Nothing to do."""


class FunctionSource:
    """A Node with a function of the time as output."""

    constant = False

    def __init__(self, op: SimPyFunc, host: HostRuntime):
        self.op, self.host = op, host

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        """Array of shape (1, n_steps, size) for steps first_step, first_step + 1, ..."""
        return function_rows(self.host, [self.op], first_step, n_steps)[0][None]

    def keep_after_reset(self, n_steps: int) -> None:
        """Nothing to do."""


class ProcessSource:
    """Values of a process without input."""

    constant = False

    def __init__(self, op: Operator, host: HostRuntime, seed: int):
        self.op, self.host, self.seed = op, host, seed
        target = (*op.sets, *op.incs, *op.updates)[:1]
        self.shape = target[0].shape if target else (0,)
        self.dtype = target[0].dtype if target else np.float64
        self.items = host.minibatch_size if differs_by_item(op) else 1
        #: steps of the process that were run (None: an interruption left it anywhere) ...
        self.position: int | None = 0
        #: ... and that had been run when the simulation was last reset without it
        self.origin = 0

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        """Array of shape (items or 1, n_steps, size) for steps first_step, first_step + 1, ..."""
        if not self.host.has_state(self.op):
            return self._run(first_step, n_steps)
        before = self.origin + first_step - 1
        if self.position != before:
            self.host.remake(self.op, self.seed)
            for done in range(0, before, 1000):
                self._run(done + 1, min(1000, before - done))
        self.position = None
        result = self._run(first_step, n_steps)
        self.position = before + n_steps
        return result

    def keep_after_reset(self, n_steps: int) -> None:
        """Go on, although the simulation starts again after ``n_steps`` steps."""
        self.origin += n_steps

    def _run(self, first_step: int, n_steps: int) -> np.ndarray:
        result = np.empty((self.items, n_steps, *self.shape), self.dtype)
        for item, rows in enumerate(result):
            self.host.fill(self.op, item, rows, first_step)
        return result.reshape(self.items, n_steps, -1)


Source = ConstantSource | FunctionSource | ProcessSource


def own_rows(
    sources: Mapping[Input, Source], items: Iterable[Input], first_step: int, n_steps: int
) -> dict[Input, np.ndarray]:
    """Rows of inputs that change; functions of time are called in turn at each step as Nengo does,
    because they may share Python state.
    """
    chosen = {item: sources[item] for item in items}
    functions = [(k, s) for k, s in chosen.items() if isinstance(s, FunctionSource)]
    rows = {}
    if functions:
        host = functions[0][1].host
        functions.sort(key=lambda pair: host.place(pair[1].op))
        values = function_rows(host, [source.op for _, source in functions], first_step, n_steps)
        rows = {item: v[None] for (item, _), v in zip(functions, values, strict=True)}
    return {
        item: rows[item] if item in rows else source.rows(first_step, n_steps)
        for item, source in chosen.items()
    }


def make_source(item: Input, host: HostRuntime, seed: int) -> Source:
    """The source of an input's own values."""
    if item.operator is None:
        return ConstantSource(item)
    if type(item.operator) is SimPyFunc:
        return FunctionSource(item.operator, host)
    return ProcessSource(item.operator, host, seed)
