"""Networks of the sweeps of the tests, in a module that other processes can import."""

import os
import signal
from pathlib import Path

import nengo
import numpy as np

import nengo_dl


def make(seed, tau=0.05, n_neurons=20):
    """Two ensembles, of which one learns online, with noise that has no seed of its own."""
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype="float64")
        stim = nengo.Node(lambda t: np.sin(20 * t), label="stim")
        noise = nengo.Node(nengo.processes.WhiteSignal(0.05, high=100), label="noise")
        pre = nengo.Ensemble(n_neurons, 1, noise=nengo.processes.WhiteNoise())
        post = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate())
        nengo.Connection(stim, pre, synapse=tau)
        nengo.Connection(noise, pre, transform=0.3)
        nengo.Connection(pre, pre, synapse=tau)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-3))
        error = nengo.Node(size_in=1)
        nengo.Connection(post, error)
        nengo.Connection(stim, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        nengo.Probe(post, synapse=0.01, label="decoded")
        nengo.Probe(pre.neurons, label="spikes", sample_every=0.002)
    return net


def small(seed, tau=0.05):
    """One ensemble."""
    with nengo.Network(seed=seed) as net:
        stim = nengo.Node([0.5], label="stim")
        ensemble = nengo.Ensemble(10, 1)
        nengo.Connection(stim, ensemble, synapse=tau)
        nengo.Probe(ensemble, synapse=0.01, label="decoded")
    return net


def last(recorded, parameters):
    """A number, an array and text."""
    values = recorded["decoded"]
    return {"last": values[-1, 0], "ends": values[[0, -1], 0], "words": f"tau {parameters['tau']}"}


def mean(recorded, parameters):
    """A number."""
    return np.mean(recorded["decoded"])


def fails(seed, where):
    """One ensemble, whose point raises somewhere where this is wanted."""
    if where == "make":
        raise ValueError("make failed")
    net = small(seed)
    if where == "build":
        with net:
            nengo.Connection(net.ensembles[0], net.ensembles[0], function=lambda x: 1 / 0)
    with net:
        limit = 0.0105 if where == "run" else 1.0
        nengo.Node(lambda t: 1 / 0 if t > limit else t)
        if where == "labels":
            nengo.Probe(net.ensembles[0], label="decoded")
    return None if where == "nothing" else net


def analysis_fails(recorded, parameters):
    """Raises at one point."""
    if parameters["seed"] == 1:
        raise KeyError("analysis failed")
    return {"object": object()} if parameters["seed"] == 2 else 1


class Bomb:
    """Kills the first process to which it is sent."""

    def __init__(self, witness):
        self.witness = witness

    def __setstate__(self, state):
        vars(self).update(state)
        if not Path(self.witness).exists():
            Path(self.witness).touch()
            os.kill(os.getpid(), signal.SIGKILL)


def with_bomb(seed, bomb):
    """As `small`."""
    return small(seed)
