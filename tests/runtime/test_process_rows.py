"""Processes computed for many steps at once: Nengo's own numbers, bit by bit."""

import nengo
import numpy as np
import pytest
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.dists import PDF, Choice, Exponential, Gaussian, SqrtBeta, Uniform, UniformHypersphere
from nengo.processes import BrownNoise, FilteredNoise, Piecewise, WhiteNoise, WhiteSignal

from nengo_dl.runtime.inputs import process_rows
from nengo_dl.runtime.inputs.process_rows import NoiseRows, PiecewiseRows, ProcessSteps, make_rows

DISTS = [
    Gaussian(0.3, 2),
    Uniform(-1, 2),
    Exponential(0.3, 0.1, 2.0),
    SqrtBeta(3, 2),
    PDF(np.linspace(0, 1, 5), [0.1, 0.2, 0.4, 0.2, 0.1]),
    UniformHypersphere(surface=True),
    UniformHypersphere(),
    Uniform(-3, 5, integer=True),
]


class Louder(WhiteNoise):
    """A subclass with a step of its own."""

    def make_step(self, *args, **kwargs):
        step = super().make_step(*args, **kwargs)
        return lambda t: 10 * step(t)


class Quiet(Gaussian):
    """A distribution that may do anything."""


PROCESSES = {
    **{f"WhiteNoise({dist})": (WhiteNoise(dist), 3) for dist in DISTS},
    "unscaled": (WhiteNoise(Uniform(0, 1), scale=False), 2),
    "Choice": (WhiteNoise(Choice([[1.0, 2.0], [3.0, 4.0]], weights=[1, 2])), 2),
    "FilteredNoise": (FilteredNoise(), 1),
    "FilteredNoise, many": (FilteredNoise(nengo.Lowpass(0.02)), 30),
    "Alpha": (FilteredNoise(nengo.Alpha(0.01), scale=False), 2),
    "no filter": (FilteredNoise(nengo.Lowpass(0)), 2),
    "Triangle": (FilteredNoise(nengo.synapses.Triangle(0.005)), 2),
    "BrownNoise": (BrownNoise(), 4),
    "WhiteSignal": (WhiteSignal(0.03, 100), 2),
    "Piecewise": (Piecewise({0.005: 1, 0.01: -2, 0.0203: 3}), 1),
    "Piecewise of functions": (Piecewise({0: np.sin, 0.01: 1}), 1),
    "linear": (Piecewise({0: [1, 2], 0.01: [3, 1], 0.03: [0, 0]}, interpolation="linear"), 2),
    "cubic": (Piecewise({0: 1, 0.01: 2, 0.02: -1, 0.04: 0}, interpolation="cubic"), 1),
    "subclass": (Louder(), 2),
    "subclass of a distribution": (WhiteNoise(Quiet(0, 1)), 2),
}


def operator(process, size, dt=0.001):
    state = process.make_state((0,), (size,), dt)
    state = {name: Signal(value) for name, value in state.items()}
    return SimProcess(process, None, Signal(np.zeros(size)), Signal(0.0), state=state)


def rows_of(op, lengths, seed=5):
    rows = make_rows(op, 0.001, np.random.RandomState(seed), 0, ())
    result, first = [], 1
    for n in lengths:
        values = np.empty((n, *op.output.shape))
        rows.fill(values, first)
        result.append(values)
        first += n
    return rows, np.concatenate(result)


@pytest.mark.parametrize("name", PROCESSES)
def test_as_step_by_step(name):
    process, size = PROCESSES[name]
    op, expected = operator(process, size), []
    state = {n: np.array(sig.initial_value) for n, sig in op.state.items()}
    rng = process.get_rng(np.random.RandomState(5))
    step = process.make_step((0,), (size,), 0.001, rng, state)
    for i in range(1, 51):
        expected.append(np.array(step(i * 0.001)))
    for lengths in ([50], [1, 7, 30, 12]):
        _, values = rows_of(op, lengths)
        np.testing.assert_array_equal(values, np.reshape(expected, (50, size)))


def test_what_is_computed_together():
    kinds = {name: type(rows_of(operator(*PROCESSES[name]), [1])[0]) for name in PROCESSES}
    assert kinds["FilteredNoise"] is kinds["BrownNoise"] is kinds["Alpha"] is NoiseRows
    assert kinds["Piecewise"] is kinds["cubic"] is PiecewiseRows
    stepped = [name for name, kind in kinds.items() if kind is ProcessSteps]
    assert stepped == [
        *(f"WhiteNoise({dist})" for dist in DISTS[-3:]),
        *("Piecewise of functions", "subclass", "subclass of a distribution"),
    ]


def test_a_step_that_raises():
    def fails(t):
        if t > 0.0035:
            raise ZeroDivisionError("mine")
        return t

    class Failing(nengo.Process):
        def make_state(self, *args, **kwargs):
            return {}

        def make_step(self, *args):
            return fails

    rows = make_rows(operator(Failing(), 1), 0.001, np.random.RandomState(0), 0, ())
    values = np.zeros((5, 1))
    with pytest.raises(process_rows.StepFailed) as caught:
        rows.fill(values, 1)
    assert caught.value.number == 3
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    np.testing.assert_allclose(values.ravel(), [0.001, 0.002, 0.003, 0, 0])
    # a distribution of other dimensions
    rows = make_rows(
        operator(WhiteNoise(Choice([[1.0]])), 2), 0.001, np.random.RandomState(0), 0, ()
    )
    with pytest.raises(process_rows.StepFailed) as caught:
        rows.fill(np.zeros((5, 2)), 1)
    assert caught.value.number == 0
