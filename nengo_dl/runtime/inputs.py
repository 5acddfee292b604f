"""Rows of the inputs, a chunk of steps at a time: from user data, or from Nengo's own functions and
processes.
"""

from __future__ import annotations

import numpy as np
from nengo.builder.node import SimPyFunc
from nengo.processes import PresentInput, WhiteSignal

from nengo_dl.compiler.operators import UniformDraws
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.host import HostRuntime, differs_by_item


class ConstantSource:
    """A Node with an array as output."""

    constant = True
    is_function = False

    def __init__(self, item: Input):
        self.value = np.ravel(item.signal.initial_value)[None]

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        """Array of shape (1, size); the same at each step."""
        return self.value

    def keep_after_reset(self, n_steps: int) -> None:
        """Nothing to do."""


class SteppedSource:
    """Values that Nengo's step function gives, step by step."""

    constant = False

    def __init__(self, item: Input, host: HostRuntime, seed: int):
        self.op, self.host, self.seed = item.operator, host, seed
        self.size = item.size
        #: whether a user's function of time gives the values
        self.is_function = isinstance(self.op, SimPyFunc)
        self.target = (*self.op.sets, *self.op.incs, *self.op.updates)[:1]
        self.items = host.minibatch_size if differs_by_item(self.op) else 1
        #: steps of the process that were run (None: an interruption left it anywhere) ...
        self.position: int | None = 0
        #: ... and that had been run when the simulation was last reset without it
        self.origin = 0

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        """Array of shape (items or 1, n_steps, size) for steps first_step, first_step + 1, ..."""
        before = self.origin + first_step - 1
        if self.position != before and not self.is_function:
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
        result = np.zeros((self.items, n_steps, self.size))
        for item in range(self.items):
            for i in range(n_steps):
                values = self.host.run(self.op, item, first_step + i, (), (), self.target)
                if values:
                    result[item, i] = values[0].ravel()
        return result


def interleaved_rows(
    sources: list[SteppedSource], first_step: int, n_steps: int
) -> list[np.ndarray]:
    """Rows of several functions of time, called in turn at each step as Nengo does: they may share
    Python state.
    """
    sources_in_order = sorted(sources, key=lambda source: source.host.place(source.op))
    rows = {source: np.zeros((1, n_steps, source.size)) for source in sources}
    for i in range(n_steps):
        for source in sources_in_order:
            values = source.host.run(source.op, 0, first_step + i, (), (), source.target)
            if values:
                rows[source][0, i] = values[0].ravel()
    return [rows[source] for source in sources]


class WhiteSignalSource(SteppedSource):
    """A WhiteSignal repeats itself: one period is computed and then looked up."""

    def __init__(self, item: Input, host: HostRuntime, seed: int):
        super().__init__(item, host, seed)
        period, dt = self.op.process.period, host.model.dt
        self.length = 2 * int(np.ceil(period / dt / 2.0))
        self.table: np.ndarray | None = None

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        if self.table is None:
            self.table = self._run(1, self.length)
        steps = np.arange(first_step - 1, first_step - 1 + n_steps)
        return self.table[:, steps % self.length]


class UniformSource(SteppedSource):
    """Random numbers of many steps at once; they come in the same order as step by step."""

    def _run(self, first_step: int, n_steps: int) -> np.ndarray:
        shape = (n_steps, self.size)
        return np.stack(
            [
                self.host.random_state(self.op, item).random_sample(shape)
                for item in range(self.items)
            ]
        )


class PresentInputSource(SteppedSource):
    """`nengo.processes.PresentInput` with its own arithmetic, for all steps at once."""

    def rows(self, first_step: int, n_steps: int) -> np.ndarray:
        process, dt = self.op.process, self.host.model.dt
        t = np.arange(first_step, first_step + n_steps) * dt
        i = ((t - dt) / float(process.presentation_time) + 1e-7).astype(int)
        inputs = np.reshape(process.inputs, (len(process.inputs), -1))
        return inputs[i % len(inputs)][None]


def make_source(item: Input, host: HostRuntime, seed: int):
    """The source of an input's own values."""
    if item.operator is None:
        return ConstantSource(item)
    if isinstance(item.operator, UniformDraws):
        return UniformSource(item, host, seed)
    process = getattr(item.operator, "process", None)
    special = {WhiteSignal: WhiteSignalSource, PresentInput: PresentInputSource}
    return special.get(type(process), SteppedSource)(item, host, seed)
