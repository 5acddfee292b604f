"""Rows of the inputs, a chunk of steps at a time: from user data, or from Nengo's own functions and
processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from functools import partial

import numpy as np
from nengo.builder.operator import Operator, SimPyFunc

from nengo_dl import tuning
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.inputs.function_rows import FunctionRows
from nengo_dl.runtime.inputs.host import HostRuntime, differs_by_item
from nengo_dl.runtime.threads import in_threads


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
        #: where it stands in Nengo's order
        self.place = host.place(op)

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

    @property
    def draws_alone(self) -> bool:
        """Whether its rows may be made in a thread."""
        return self.host.draws_alone(self.op)

    def rows(self, first_step: int, n_steps: int, each: Callable = map) -> np.ndarray:
        """Array of shape (items or 1, n_steps, size) for steps first_step, first_step + 1, ...;
        ``each(function, items)`` calls a function for each item.
        """
        if not self.host.has_state(self.op):
            return self._run(first_step, n_steps, each)
        before = self.origin + first_step - 1
        if self.position != before:
            self.host.remake(self.op, self.seed)
            for done in range(0, before, 1000):
                self._run(done + 1, min(1000, before - done), each)
        self.position = None
        result = self._run(first_step, n_steps, each)
        self.position = before + n_steps
        return result

    def keep_after_reset(self, n_steps: int) -> None:
        """Go on, although the simulation starts again after ``n_steps`` steps."""
        self.origin += n_steps

    def _run(self, first_step: int, n_steps: int, each: Callable) -> np.ndarray:
        result = np.empty((self.items, n_steps, *self.shape), self.dtype)

        def fill(item: int) -> None:
            self.host.fill(self.op, item, result[item], first_step)

        list(each(fill, range(self.items)))
        return result.reshape(self.items, n_steps, -1)


Source = ConstantSource | FunctionSource | ProcessSource


class OwnRows:
    """Makes rows of the inputs that change by themselves, except of those that are ``given``."""

    def __init__(self, sources: Mapping[Input, Source], given: Container[Input]):
        chosen = {i: s for i, s in sources.items() if i not in given and not s.constant}
        functions = {i: s for i, s in chosen.items() if isinstance(s, FunctionSource)}
        others = [(i, s) for i, s in chosen.items() if isinstance(s, ProcessSource)]
        self._in_turn = [pair for pair in others if not pair[1].draws_alone]
        self._alone = [pair for pair in others if pair[1].draws_alone]
        #: random numbers of a step
        self._n_drawn = sum(s.items * math.prod(s.shape) for _, s in self._alone)
        self._items = sorted(functions, key=lambda item: functions[item].place)
        self._functions = None
        if functions:
            host = functions[self._items[0]].host
            self._functions = FunctionRows(host, [functions[item].op for item in self._items])
        #: the inputs
        self.inputs = tuple(chosen)

    def __call__(self, first_step: int, n_steps: int) -> dict[Input, np.ndarray]:
        """Rows of each, (items or 1, n_steps, size), for steps first_step, first_step + 1, ..."""
        rows = {}
        if self._functions is not None:
            values = self._functions(first_step, n_steps)
            rows = {item: v[None] for item, v in zip(self._items, values, strict=True)}
        for item, source in self._in_turn:
            rows[item] = source.rows(first_step, n_steps)
        if self._alone:
            rows |= self._drawn(first_step, n_steps)
        return rows

    def _drawn(self, first_step: int, n_steps: int) -> dict[Input, np.ndarray]:
        """Rows of what draws random numbers of its own: several of these, or the items of a single
        one, in threads, if that takes longer than to start them.
        """
        alone, threads = self._alone, self._alone[0][1].host.threads
        if threads == 1 or n_steps * self._n_drawn < tuning.THREADED_NUMBERS:
            return {item: source.rows(first_step, n_steps) for item, source in alone}
        each = partial(in_threads, threads)
        if len(alone) == 1:
            ((item, source),) = alone
            return {item: source.rows(first_step, n_steps, each)}
        made = each(lambda pair: pair[1].rows(first_step, n_steps), alone)
        return {item: rows for (item, _), rows in zip(alone, made, strict=True)}


def make_source(item: Input, host: HostRuntime, seed: int) -> Source:
    """The source of an input's own values."""
    if item.operator is None:
        return ConstantSource(item)
    if type(item.operator) is SimPyFunc:
        return FunctionSource(item.operator, host)
    return ProcessSource(item.operator, host, seed)
