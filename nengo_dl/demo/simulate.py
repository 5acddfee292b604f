"""Simulating the model of the demo and checking it against nengo.Simulator."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import nengo
import numpy as np

from nengo_dl.benchmarks.measure import Comparison, compare, seconds_of
from nengo_dl.demo.oscillator import DT, Oscillator, build_oscillator, make_commands


@dataclass(frozen=True)
class Recording:
    """What a simulator recorded.

    Attributes
    ----------
    position
        The two decoded coordinates, (minibatch, n_steps, 2).
    spikes
        Whether each neuron fired, (minibatch, n_steps, n_neurons).
    """

    position: np.ndarray
    spikes: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """How far one recording is from another.

    Attributes
    ----------
    largest, rms
        Largest and root-mean-square difference of the decoded position.
    n_spikes
        Number of spikes in the reference.
    n_different
        Number of spikes of the reference that the other has not, and the other way round.
    """

    largest: float
    rms: float
    n_spikes: int
    n_different: int


@dataclass(frozen=True)
class Report:
    """Everything that the demo finds out.

    Attributes
    ----------
    commands
        Input of the model, (minibatch, n_steps, 1).
    directions
        Angle of what each neuron prefers, in radians, (n_neurons,).
    ours, reference
        What nengo_dl, in float32, and nengo.Simulator recorded.
    float32, float64
        Agreement with the reference in each precision.
    build_seconds, nengo_build_seconds
        Making the simulator.
    first_run_seconds, nengo_first_run_seconds
        Its first run, of one item on nengo.Simulator; ours includes compiling.
    speed
        Later runs.
    """

    backend: str
    devices: tuple[str, ...]
    commands: np.ndarray
    directions: np.ndarray
    ours: Recording
    reference: Recording
    float32: Agreement
    float64: Agreement
    build_seconds: float
    first_run_seconds: float
    nengo_build_seconds: float
    nengo_first_run_seconds: float
    speed: Comparison

    @property
    def agrees(self) -> bool:
        """Whether the simulation in float64 is nengo.Simulator's to rounding, spike by spike."""
        return self.float64.largest < 1e-9 and self.float64.n_different == 0


def run(seconds: float = 1.0, minibatch_size: int = 8, repeats: int = 3) -> Report:
    """Do the whole job but the drawing.

    Parameters
    ----------
    seconds
        Simulated time.
    minibatch_size
        Number of oscillators to simulate side by side; each is commanded to go at another speed.
    repeats
        How many runs are timed, after the first.

    Raises
    ------
    ValueError
        If there is less than one step or one oscillator to simulate.
    """
    import keras

    n_steps = round(seconds / DT)
    if n_steps < 1 or minibatch_size < 1:
        raise ValueError(
            f"seconds is {seconds} and minibatch_size {minibatch_size}; "
            f"there have to be at least {DT} seconds and one oscillator"
        )
    commands = make_commands(n_steps, minibatch_size)
    with ExitStack() as stack:
        ours = _by_nengo_dl(commands, "float32", stack)
        exact = _by_nengo_dl(commands, "float64", stack)
        reference = [_by_nengo(row, stack) for row in commands]
        speed = compare(ours.run, reference[0].run, repeats, work=minibatch_size, warm_up=False)
    expected = Recording(
        np.stack([simulation.first.position for simulation in reference]),
        np.stack([simulation.first.spikes for simulation in reference]),
    )
    return Report(
        backend=keras.backend.backend(),
        devices=tuple(keras.distribution.list_devices()),
        commands=commands,
        directions=ours.directions,
        ours=ours.first,
        reference=expected,
        float32=agreement(ours.first, expected),
        float64=agreement(exact.first, expected),
        build_seconds=ours.build_seconds,
        first_run_seconds=ours.first_run_seconds,
        nengo_build_seconds=reference[0].build_seconds,
        nengo_first_run_seconds=reference[0].first_run_seconds,
        speed=speed,
    )


class Simulation:
    """A simulator of the oscillator that has been run once.

    Parameters
    ----------
    model
        What to simulate.
    make_simulator
        Called with the network, ``dt`` and ``progress_bar``.
    n_steps
        Length of every run.
    stack
        Closes the simulator.
    run_arguments
        Passed on to ``run_steps``.
    """

    def __init__(
        self,
        model: Oscillator,
        make_simulator: Callable,
        n_steps: int,
        stack: ExitStack,
        **run_arguments: Any,
    ):
        start = time.perf_counter()
        self.simulator = stack.enter_context(
            make_simulator(model.network, dt=DT, progress_bar=False)
        )
        self.build_seconds = time.perf_counter() - start
        self.n_steps = n_steps
        self.run_arguments = run_arguments
        self.first_run_seconds = seconds_of(self.run)
        data = self.simulator.data
        self.first = Recording(data[model.position], data[model.spikes] > 0)
        encoders = data[model.population].encoders
        self.directions = np.arctan2(encoders[:, 1], encoders[:, 0])

    def run(self) -> None:
        """Go on for ``n_steps``, forgetting what was recorded before."""
        self.simulator.clear_probes()
        self.simulator.run_steps(self.n_steps, progress_bar=False, **self.run_arguments)


def _by_nengo_dl(commands: np.ndarray, dtype: str, stack: ExitStack) -> Simulation:
    import nengo_dl

    model = build_oscillator()
    with model.network:
        nengo_dl.configure_settings(dtype=dtype)
    make = partial(nengo_dl.Simulator, minibatch_size=len(commands))
    return Simulation(model, make, commands.shape[1], stack, data={model.command: commands})


def _by_nengo(command: np.ndarray, stack: ExitStack) -> Simulation:
    model = build_oscillator(nengo.processes.PresentInput(command, DT))
    return Simulation(model, nengo.Simulator, len(command), stack)


def agreement(ours: Recording, reference: Recording) -> Agreement:
    """Compare two recordings of the same length."""
    difference = np.abs(ours.position - reference.position)
    return Agreement(
        largest=float(difference.max()),
        rms=float(np.sqrt(np.mean(difference**2))),
        n_spikes=int(reference.spikes.sum()),
        n_different=int((ours.spikes != reference.spikes).sum()),
    )


def summary(report: Report) -> str:
    """What a person wants to know, as text of several lines."""
    batch, n_steps, n_neurons = report.ours.spikes.shape
    low, high = min(report.speed.ratios), max(report.speed.ratios)
    times = (
        (report.build_seconds, report.nengo_build_seconds),
        (report.first_run_seconds, report.nengo_first_run_seconds),
        (median(report.speed.ours), median(report.speed.theirs)),
    )
    build, first_run, later_runs = (f"{ours:.3f} s ({theirs:.3f} s)" for ours, theirs in times)
    rows = (
        ("model", f"{oscillators(batch)}, {n_neurons:,} spiking neurons each, {n_steps * DT:g} s"),
        ("backend", f"{report.backend} on {', '.join(report.devices)}"),
        ("", "(in brackets: nengo.Simulator, which runs one oscillator)"),
        ("build", build),
        ("first run", f"{first_run}, with compiling"),
        ("later runs", later_runs),
        ("speed", f"{report.speed.ratio:.1f} times nengo.Simulator ({low:.1f} to {high:.1f})"),
        ("float32", _describe(report.float32)),
        ("float64", _describe(report.float64)),
    )
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


def oscillators(n: int) -> str:
    """``n`` of them, in words."""
    return "1 oscillator" if n == 1 else f"{n} oscillators side by side"


def _describe(agreement: Agreement) -> str:
    return (
        f"differs by {agreement.rms:.1e} RMS, {agreement.largest:.1e} at most; "
        f"spikes that differ: {agreement.n_different:,} of {agreement.n_spikes:,}"
    )
