"""The model of the demo: a controlled oscillator.

One population of spiking neurons, whose recurrent connection makes what it represents go round in
a circle at a speed that an input sets (C. Eliasmith and C. H. Anderson, Neural Engineering, 2003,
chapter 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np

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


def make_commands(n_steps: int, minibatch_size: int) -> np.ndarray:
    """Inputs of the model, (minibatch, n_steps, 1), as fractions of the top speed.

    Negative is clockwise. The first item is commanded to go at full speed, the others more and
    more slowly.
    """
    turn = np.arange(n_steps) * DT // 0.2
    command = np.take(COMMANDS, turn.astype(int), mode="wrap")
    scales = np.linspace(1, 0, minibatch_size, endpoint=False)
    return (scales[:, None] * command)[:, :, None].astype("float32")


def build_oscillator(command: Any = 0.0, n_neurons: int = 600) -> Oscillator:
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
