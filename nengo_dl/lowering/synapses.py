"""Linear filters (synapses, and filters as the output of a Node), from Nengo's own discretization.

Nengo makes a step object that holds the discrete state space (A, B, C, D) of
`nengo.synapses.LinearFilter`; its type says which of four forms of the recursion applies.
"""

from __future__ import annotations

from functools import lru_cache

import keras.ops as ops
import numpy as np
from nengo.builder.processes import SimProcess
from nengo.synapses import LinearFilter, Triangle

from nengo_dl.compiler.kernel import Kernel, Prepared, register
from nengo_dl.lowering.delays import DelayKernel
from nengo_dl.lowering.normalizations import NormalizationKernel
from nengo_dl.lowering.parameters import columns, split
from nengo_dl.normalizations import Normalization
from nengo_dl.synapses import Delay


class _FilterKernel(Kernel):
    """Filters of one form."""

    def reads(self, op):
        return (op.input, op.state["X"])

    def writes(self, op):
        return (op.output, op.state["X"])


class StatelessKernel(_FilterKernel):
    """``y = d u``"""

    every_step_alone = True

    def merge_key(self, op):
        return ()

    def reads(self, op):
        return (op.input,)

    def writes(self, op):
        return (op.output,)

    def prepare(self, ops_, settings):
        gains = [_step_of(op, settings.dt).d for op in ops_]
        numbers, arrays = split({"d": columns(gains, [op.input.size for op in ops_])})

        def step(context, constants, u):
            return ((numbers | constants)["d"] * u,)

        return Prepared(step, arrays)


class FirstOrderKernel(_FilterKernel):
    """``x = a x + b u``, ``y = x``: a Lowpass."""

    def merge_key(self, op):
        return ()

    def prepare(self, ops_, settings):
        steps = [_step_of(op, settings.dt) for op in ops_]
        sizes = [op.input.size for op in ops_]
        numbers, arrays = split(
            {"a": columns([s.a for s in steps], sizes), "b": columns([s.b for s in steps], sizes)}
        )

        def step(context, constants, u, x):
            p = numbers | constants
            x = p["a"] * x + p["b"] * u
            return x, x

        return Prepared(step, arrays)


class StateSpaceKernel(_FilterKernel):
    """``x = A x + B u``; ``y = C x`` of the new state, or ``y = C x + D u`` of the old one."""

    def __init__(self, order: int, size: int, feed_through: bool):
        self.order, self.size, self.feed_through = order, size, feed_through

    def merge_key(self, op):
        return (self.order, self.size, self.feed_through)

    def prepare(self, ops_, settings):
        steps = [_step_of(op, settings.dt) for op in ops_]
        n, order, size = len(ops_), self.order, self.size
        constants = {
            "A": np.stack([s.A for s in steps])[None, :, :, :, None],
            "B": np.stack([s.B.reshape(order, 1) for s in steps])[None],
            "C": np.stack([s.C.reshape(order, 1) for s in steps])[None],
            "D": np.stack([s.D.reshape(1) for s in steps])[None],
        }

        def step(context, constants, u, x):
            u = ops.reshape(u, (-1, n, size))
            x = ops.reshape(x, (-1, n, order, size))
            new = ops.sum(constants["A"] * x[:, :, None], axis=3)
            new = new + constants["B"] * u[:, :, None]
            if self.feed_through:
                y = ops.sum(constants["C"] * x, axis=2) + constants["D"] * u
            else:
                y = ops.sum(constants["C"] * new, axis=2)
            return ops.reshape(y, (-1, n * size)), ops.reshape(new, (-1, n * order * size))

        return Prepared(step, constants)


class TriangleKernel(Kernel):
    """A finite impulse response with weights that fall linearly to zero, `nengo.Triangle`.

    As in Nengo: from step to step the output grows by the first weight times the new input, and
    falls by what the window holds, the difference of two weights times each input in it.
    """

    def merge_key(self, op):
        return op.state["X"].shape

    def reads(self, op):
        return (op.input, op.state["Y"], op.state["X"], op.state["Xi"])

    def writes(self, op):
        return (op.output, op.state["Y"], op.state["X"], op.state["Xi"])

    def prepare(self, ops_, settings):
        n, (n_taps, *shape) = len(ops_), ops_[0].state["X"].shape
        size = int(np.prod(shape))
        total = n_taps * (n_taps + 1) / 2
        first, difference = n_taps / total, 1 / total

        def step(context, constants, u, y, window, position):
            u = ops.reshape(u, (-1, n, size))
            window = ops.reshape(window, (-1, n, n_taps, size))
            y = ops.reshape(y, (-1, n, size)) + first * u - ops.sum(window, axis=2)
            position = ops.where(position + 1 >= n_taps, position - (n_taps - 1), position + 1)
            taps = ops.arange(n_taps, dtype=position.dtype)
            newest = (taps == position[..., None])[..., None]
            window = ops.where(newest, difference * u[:, :, None], window)
            y = ops.reshape(y, (-1, n * size))
            return y, y, ops.reshape(window, (-1, n * n_taps * size)), position

        return Prepared(step)


def _step_of(op: SimProcess, dt: float) -> LinearFilter.Step:
    return _discretize(op.process, dt)


@lru_cache(maxsize=1024)
def _discretize(process: LinearFilter, dt: float) -> LinearFilter.Step:
    state = process.make_state((1,), (1,), dt, dtype=np.float64)
    return process.make_step((1,), (1,), dt, None, state)


@register(SimProcess)
def _choose_process(op):
    process = op.process
    if isinstance(process, Normalization) and op.input is not None:
        return NormalizationKernel()
    if type(process) is Delay and process.then is None and op.input is not None:
        return DelayKernel(process)
    if (
        isinstance(process, Triangle)
        and type(process).make_step is Triangle.make_step
        and op.input is not None
    ):
        return TriangleKernel()
    if (
        not isinstance(process, LinearFilter)
        or type(process).make_step is not LinearFilter.make_step
        or op.input is None
    ):
        return None
    # which form it is does not depend on the time step, so any will do to ask
    form = type(_discretize(process, process.default_dt))
    if form is LinearFilter.NoX:
        return StatelessKernel()
    if issubclass(form, LinearFilter.OneX):
        return FirstOrderKernel()
    order = op.state["X"].shape[0]
    return StateSpaceKernel(order, op.input.size, form is LinearFilter.General)
