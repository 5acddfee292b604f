"""Values of operators without input, for many steps at once.

Nengo's own processes are computed for all steps together where their random numbers stay the same,
bit by bit: one call of NumPy's generators for many numbers gives those of many calls. Everything
else, subclasses too, runs Nengo's step functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.dists import PDF, Choice, Exponential, Gaussian, SqrtBeta, Uniform
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle

from nengo_dl import tuning
from nengo_dl.compiler.operators import UniformDraws
from nengo_dl.lowering.host import HostOperator

#: distributions that draw number by number
DRAW_BY_NUMBER = (Gaussian, Uniform, Exponential, SqrtBeta, PDF, Choice)
#: synapses that draw no random numbers
SYNAPSES = (LinearFilter, Lowpass, Alpha, Triangle)


class StepFailed(Exception):
    """Step ``number``, counted from the first of some, raised an error, its ``__cause__``."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Rows(Protocol):
    """The values of an operator for one item.

    Attributes
    ----------
    has_state
        Whether values depend on the steps before.
    draws_alone
        Whether they come from random numbers of its own, without any code of the user's.
    """

    has_state: bool
    draws_alone: bool

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        """Set ``rows``, (n_steps, *shape of the output), to the values of steps first_step,
        first_step + 1, ...

        Raises
        ------
        StepFailed
            If a step raised an error; the rows before are set.
        """


class OperatorRows:
    """Values that an operator's own step gives, one by one."""

    has_state = True
    draws_alone = False

    def __init__(self, operator: HostOperator, target: Sequence[Signal]):
        self._operator, self._target = operator, target

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        i = 0
        try:
            for i in range(len(rows)):
                for values in self._operator.run(first_step + i, (), (), self._target):
                    rows[i] = values
        except Exception as error:
            raise StepFailed(i) from error


class ProcessSteps:
    """Values that the step function of a process gives, one by one."""

    has_state = True
    draws_alone = False

    def __init__(self, op: SimProcess, dt: float, rng: np.random.RandomState):
        state = {name: np.array(sig.initial_value) for name, sig in op.state.items()}
        self._step = op.process.make_step((0,), op.output.shape, dt, rng, state)
        self._dt = dt

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        times = (np.arange(first_step, first_step + len(rows)) * self._dt).tolist()
        i, step = 0, self._step
        try:
            for i, t in enumerate(times):
                rows[i] = step(t)
        except Exception as error:
            raise StepFailed(i) from error


class WhiteSignalRows(ProcessSteps):
    """A WhiteSignal repeats itself: one period is computed and then looked up."""

    has_state = False

    def __init__(self, op: SimProcess, dt: float, rng: np.random.RandomState):
        super().__init__(op, dt, rng)
        length = 2 * int(np.ceil(op.process.period / dt / 2.0))
        self._period = np.empty((length, *op.output.shape))
        self._is_known = False

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        if not self._is_known:
            super().fill(self._period, 1)
            self._is_known = True
        steps = np.arange(first_step - 1, first_step - 1 + len(rows))
        rows[...] = self._period[steps % len(self._period)]


class PresentInputRows:
    """`nengo.processes.PresentInput` with its own arithmetic."""

    has_state = False
    draws_alone = False

    def __init__(self, op: SimProcess, dt: float, rng: np.random.RandomState):
        self._inputs = np.reshape(op.process.inputs, (len(op.process.inputs), -1))
        self._seconds, self._dt = float(op.process.presentation_time), dt

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        t = np.arange(first_step, first_step + len(rows)) * self._dt
        i = ((t - self._dt) / self._seconds + 1e-7).astype(int)
        rows[...] = self._inputs[i % len(self._inputs)]


class PiecewiseRows(ProcessSteps):
    """`nengo.processes.Piecewise` of numbers with its own arithmetic."""

    has_state = False

    def __init__(self, op: SimProcess, dt: float, rng: np.random.RandomState):
        super().__init__(op, dt, rng)
        times, values = zip(*sorted(op.process.data.items()), strict=True)
        self._starts, self._interpolated = np.array(times), None
        #: zeros before the first of them
        self._values = np.stack([np.zeros(op.output.shape), *values])
        if op.process.interpolation != "zero":
            from scipy.interpolate import interp1d  # takes its time; Nengo has imported it

            # as in `Piecewise.make_step`, which was called and has warned
            self._interpolated = interp1d(
                times,
                values,
                axis=0,
                kind=op.process.interpolation,
                bounds_error=False,
                fill_value=0.0,
            )

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        t = np.arange(first_step, first_step + len(rows)) * self._dt
        if self._interpolated is None:
            rows[...] = self._values[np.searchsorted(self._starts, t + 0.5 * self._dt)]
        else:
            rows[...] = self._interpolated(t)


class UniformRows:
    """Random numbers of `UniformDraws`."""

    has_state = True
    draws_alone = True

    def __init__(self, operator: HostOperator):
        self._rng = operator.op.state_extra["rng"]

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        rows[...] = self._rng.random_sample(rows.shape)


class NoiseRows:
    """`nengo.processes.WhiteNoise` and `FilteredNoise`: drawn in one call."""

    has_state = True
    draws_alone = True

    def __init__(self, op: SimProcess, dt: float, rng: np.random.RandomState):
        process, self._rng, self._dt = op.process, rng, dt
        self._dist = process.dist
        self._scale = 1.0 / np.sqrt(dt) if process.scale else None
        self._filter: Any = None
        if isinstance(process, FilteredNoise):
            state = {name: np.array(sig.initial_value) for name, sig in op.state.items()}
            shape = op.output.shape
            self._filter = process.synapse.make_step(shape, shape, dt, rng, state)

    def fill(self, rows: np.ndarray, first_step: int) -> None:
        try:
            drawn = self._dist.sample(n=len(rows), d=rows.shape[1], rng=self._rng)
        except Exception as error:
            raise StepFailed(0) from error
        if self._scale is not None:
            drawn *= self._scale
        if self._filter is None:
            rows[...] = drawn
        elif isinstance(self._filter, LinearFilter.OneX):
            self._filter_all(rows, drawn)
        else:
            for i, values in enumerate(drawn):
                rows[i] = self._filter((first_step + i) * self._dt, values)

    def _filter_all(self, rows: np.ndarray, drawn: np.ndarray) -> None:
        """``X = a X + b u``, with the roundings of `LinearFilter.OneX`."""
        a, (X,) = self._filter.a, self._filter.X
        drawn *= self._filter.b
        if len(X) > tuning.FILTERED_DIMENSIONS:
            for values, row in zip(drawn, rows, strict=True):
                X *= a
                X += values
                row[...] = X
            return
        for k, value in enumerate(X.tolist()):
            column = accumulate(drawn[:, k].tolist(), lambda x, u: a * x + u, initial=value)
            rows[:, k] = list(column)[1:]
        X[...] = rows[-1]


def make_rows(
    op: Operator,
    dt: float,
    rng: np.random.RandomState,
    item: int,
    clock: Sequence[tuple[Signal, float]],
) -> Rows:
    """The values of an operator without input, with the arguments of `HostOperator`."""
    if type(op) is not SimProcess:
        operator = HostOperator(op, dt, rng, item, clock)
        target = (*op.sets, *op.incs, *op.updates)[:1]
        return UniformRows(operator) if type(op) is UniformDraws else OperatorRows(operator, target)
    return _rows_type(op)(op, dt, op.process.get_rng(rng))


def _rows_type(op: SimProcess) -> Any:
    process = op.process
    if type(process) is Piecewise:
        plain = not any(map(callable, process.data.values()))
        return PiecewiseRows if plain else ProcessSteps
    if type(process) in (WhiteNoise, FilteredNoise, BrownNoise):
        return NoiseRows if _draws_alike(op) else ProcessSteps
    special = {WhiteSignal: WhiteSignalRows, PresentInput: PresentInputRows}
    return special.get(type(process), ProcessSteps)


def _draws_alike(op: SimProcess) -> bool:
    """Whether numbers drawn for many steps at once are those of one step after the other."""
    process = op.process
    if type(process.dist) not in DRAW_BY_NUMBER or getattr(process.dist, "integer", False):
        return False
    doubles = all(sig.dtype == np.float64 for sig in (op.output, *op.state.values()))
    return doubles and type(getattr(process, "synapse", None)) in (type(None), *SYNAPSES)
