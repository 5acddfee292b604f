"""Operators that the compiler puts in the place of Nengo's own."""

from __future__ import annotations

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Operator
from nengo.builder.signal import Signal


class CopyUpdate(Operator):
    """``dst[...] = src``, visible from the next step on (an *update* in Nengo's order)."""

    def __init__(self, src: Signal, dst: Signal, tag: str | None = None):
        super().__init__(tag=tag)
        self.sets, self.incs = list[Signal](), list[Signal]()
        self.reads, self.updates = [src], [dst]

    @property
    def src(self) -> Signal:
        return self.reads[0]

    @property
    def dst(self) -> Signal:
        return self.updates[0]

    def make_step(self, signals, dt, rng):
        src, dst = signals[self.src], signals[self.dst]

        def step_copyupdate():
            dst[...] = src

        return step_copyupdate


class _Set(Operator):
    """Mixin: an increment operator whose target was just reset to zero, so that it sets."""

    @property
    def Y(self) -> Signal:
        return self.sets[0]

    def make_step(self, signals, dt, rng):
        target = signals[self.Y]
        increment = super().make_step(signals, dt, rng)

        def step_set():
            target[...] = 0
            increment()

        return step_set


class DotSet(_Set, DotInc):
    """``Y[...] = A.X``"""


class ElementwiseSet(_Set, ElementwiseInc):
    """``Y[...] = A * X``"""


class UniformDraws(Operator):
    """Random numbers between 0 and 1, one for each neuron and step.

    ``state_extra`` holds the random state, as in ``SimNeurons``.
    """

    def __init__(self, draws: Signal, rng: np.random.RandomState, tag: str | None = None):
        super().__init__(tag=tag)
        self.sets, self.incs = [draws], list[Signal]()
        self.reads, self.updates = list[Signal](), list[Signal]()
        self.state_extra = {"rng": rng}

    @property
    def draws(self) -> Signal:
        return self.sets[0]

    def make_step(self, signals, dt, rng):
        draws, rng = signals[self.draws], self.state_extra["rng"]

        def step_uniformdraws():
            draws[...] = rng.random_sample(size=draws.shape)

        return step_uniformdraws


class StochasticNeurons(SimNeurons):
    """``SimNeurons`` of `nengo.StochasticSpiking` whose random numbers are a signal."""

    def __init__(self, neurons, J: Signal, draws: Signal, output: Signal, tag: str | None = None):
        super().__init__(neurons, J, output, tag=tag)
        self.reads = [J, draws]

    @property
    def draws(self) -> Signal:
        return self.reads[1]

    def make_step(self, signals, dt, rng):
        J, draws, output = (signals[sig] for sig in (self.J, self.draws, self.output))
        drawn = _Drawn(draws)

        def step_stochasticneurons():
            self.neurons.step(dt, J, output, rng=drawn)

        return step_stochasticneurons


class _Drawn:
    """Looks like a random state and gives numbers that were drawn before."""

    def __init__(self, draws: np.ndarray):
        self.draws = draws

    def random_sample(self, size):
        return self.draws


def as_set(operator: Operator) -> Operator | None:
    """The operator that sets what ``operator`` increments; None for types without one."""
    if type(operator) is Copy:
        return Copy(
            operator.src,
            operator.dst,
            src_slice=operator.src_slice,
            dst_slice=operator.dst_slice,
            inc=False,
            tag=operator.tag,
        )
    set_types = {DotInc: DotSet, ElementwiseInc: ElementwiseSet}
    if type(operator) not in set_types:
        return None
    result = object.__new__(set_types[type(operator)])
    result.__dict__.update(operator.__dict__)
    result.sets, result.incs = operator.incs, []
    return result
