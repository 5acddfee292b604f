"""The job of ``nengo-dl demo``: build a spiking model, simulate it, check it against nengo.Simulator, draw it.

The model is a controlled oscillator: one population of spiking neurons whose recurrent connection makes what it
represents go round in a circle, at a speed that an input sets (C. Eliasmith and C. H. Anderson, Neural Engineering,
2003, chapter 8).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import nengo
import numpy as np

from nengo_dl.benchmarks.measure import Comparison, compare

DT = 0.001  # seconds
TOP_SPEED = 2 * np.pi * 6  # radians per second, where the command is 1
TAU = 0.1  # of the recurrent synapse, in seconds
COMMANDS = (0.5, 1.0, -0.5, -1.0, 0.25)  # in turn, each for a fifth of a second


@dataclass(frozen=True)
class Oscillator:
    """The model and the parts of it that are looked at."""

    network: nengo.Network
    command: nengo.Node
    population: nengo.Ensemble
    position: nengo.Probe
    spikes: nengo.Probe


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
class Simulated:
    """A recording and how long it took to come by.

    Attributes
    ----------
    recording
        Of every item of the minibatch.
    build_seconds
        Making the simulator.
    run_seconds
        Its first run, which includes compiling where that is done.
    """

    recording: Recording
    build_seconds: float
    run_seconds: float


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
        Simulations by nengo_dl, in float32, and by nengo.Simulator.
    float32, float64
        Agreement with the reference in each precision.
    speed
        Later runs compared with nengo.Simulator's.
    """

    backend: str
    devices: tuple[str, ...]
    commands: np.ndarray
    directions: np.ndarray
    ours: Simulated
    reference: Simulated
    float32: Agreement
    float64: Agreement
    speed: Comparison

    @property
    def agrees(self) -> bool:
        """Whether the simulation in float64 is nengo.Simulator's to rounding, spike by spike."""
        return self.float64.largest < 1e-9 and self.float64.n_different == 0


def run(seconds: float = 1.0, minibatch_size: int = 1, repeats: int = 3) -> Report:
    """Do the whole job but the drawing.

    Parameters
    ----------
    seconds
        Simulated time.
    minibatch_size
        Number of oscillators to simulate side by side; each is commanded to go at another speed.
    repeats
        How many runs are timed.

    Raises
    ------
    ValueError
        If there is less than one step or one oscillator to simulate.
    """
    import keras

    import nengo_dl

    n_steps = round(seconds / DT)
    if n_steps < 1 or minibatch_size < 1:
        raise ValueError(
            f"seconds is {seconds} and minibatch_size {minibatch_size}; "
            f"there have to be at least {DT} seconds and one item"
        )
    commands = make_commands(n_steps, minibatch_size)

    def make_ours(dtype="float32"):
        model = build_oscillator()
        with model.network:
            nengo_dl.configure_settings(dtype=dtype)
        sim = nengo_dl.Simulator(
            model.network, dt=DT, minibatch_size=minibatch_size, progress_bar=False
        )
        return model, sim

    start = time.perf_counter()
    model, sim = make_ours()
    build_seconds = time.perf_counter() - start
    with sim:
        ours = _simulate(sim, model, commands, build_seconds)
        encoders = sim.data[model.population].encoders
        reference, nengo_sim = _reference(commands)
        speed = compare(
            lambda: _run_again(sim, n_steps, data={model.command: commands}),
            lambda: _run_again(nengo_sim, n_steps),
            repeats,
            work=minibatch_size,
        )
    model, sim = make_ours("float64")
    with sim:
        exact = _simulate(sim, model, commands)
    return Report(
        backend=keras.backend.backend(),
        devices=tuple(keras.distribution.list_devices()),
        commands=commands,
        directions=np.arctan2(encoders[:, 1], encoders[:, 0]),
        ours=ours,
        reference=reference,
        float32=agreement(ours.recording, reference.recording),
        float64=agreement(exact.recording, reference.recording),
        speed=speed,
    )


def make_commands(n_steps: int, minibatch_size: int) -> np.ndarray:
    """Inputs of the model, (minibatch, n_steps, 1): fractions of the top speed, negative for clockwise.

    The first item is commanded to go at full speed, the others more and more slowly.
    """
    turn = np.arange(n_steps) * DT // 0.2
    command = np.take(COMMANDS, turn.astype(int), mode="wrap")
    scales = np.linspace(1, 0, minibatch_size, endpoint=False)
    return (scales[:, None] * command)[:, :, None].astype("float32")


def build_oscillator(command=0.0, n_neurons: int = 600) -> Oscillator:
    """Make the model.

    Parameters
    ----------
    command
        Output of the Node that sets the speed, anything that a `nengo.Node` accepts.
    n_neurons
        Neurons in the population.
    """

    def feedback(x):
        pull = 1 + 0.5 * (1 - np.hypot(x[0], x[1]))  # towards the circle of radius 1
        turn = TAU * TOP_SPEED * x[2]
        return pull * x[0] - turn * x[1], pull * x[1] + turn * x[0]

    with nengo.Network(seed=1) as net:
        speed = nengo.Node(command)
        kick = nengo.Node(lambda t: float(t < 0.05))
        population = nengo.Ensemble(n_neurons, dimensions=3, radius=1.5)
        nengo.Connection(speed, population[2])
        nengo.Connection(kick, population[0])
        nengo.Connection(population, population[:2], function=feedback, synapse=TAU)
        position = nengo.Probe(population[:2], synapse=0.01)
        spikes = nengo.Probe(population.neurons)
    return Oscillator(net, speed, population, position, spikes)


def agreement(ours: Recording, reference: Recording) -> Agreement:
    """Compare two recordings of the same length."""
    difference = np.abs(ours.position - reference.position)
    return Agreement(
        largest=float(difference.max()),
        rms=float(np.sqrt(np.mean(difference**2))),
        n_spikes=int(reference.spikes.sum()),
        n_different=int((ours.spikes != reference.spikes).sum()),
    )
