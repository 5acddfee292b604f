"""What is tried in `test_bad_inputs`: calls of the public interface, and values they cannot take.

A row is the name of a call, a function of the shared objects and a value that makes it, and the
values. Those in `Fine` are unusual, and do what one would expect of them.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import nengo
import numpy as np

import nengo_dl

STEPS, MINIBATCH = 3, 2


class Thing:
    """An object that is nothing that anyone could want."""

    def __repr__(self):
        return "a thing"


@dataclass(frozen=True)
class Fine:
    """A value that works."""

    value: Any


THING = Thing()
NAN, INF = float("nan"), float("inf")
#: not numbers at all
NO_NUMBERS = ["1", "x", b"1", [], [1, 2], {}, THING, 1j, NAN, np.ones(2), print]
NO_COUNTS = [*NO_NUMBERS, True, 0, -1, 1.5, INF, 10**30]
NO_TIMES = [*NO_NUMBERS, True, -1, INF]
NO_DURATIONS = [*NO_TIMES, 0]
NO_SEEDS = [*NO_NUMBERS, True, -1, 1.5, INF, 2**32]
NO_FLAGS = ["x", "False", 5, NAN, [], [1], {}, THING, print]
NO_OBJECTS = [None, 5, "x", True, {}, THING, nengo.Ensemble, nengo.LIF(), NAN]
NO_PATHS = [None, 5, 1.5, True, [], {}, THING]
NO_FUNCTIONS = [5, "x", [5], THING, {}, NAN]


class Shared:
    """A network with its simulator, another network, a model, and arrays that fit."""

    def __init__(self, folder: Path):
        self.folder = folder
        with nengo.Network(seed=0) as self.net:
            nengo_dl.configure_settings(trainable=None, keep_history=True)
            self.inp = nengo.Node([0.5, -0.5], label="inp")
            self.ens = nengo.Ensemble(10, 2, label="ens")
            self.out = nengo.Node(size_in=2, label="out")
            nengo.Connection(self.inp, self.ens)
            self.conn = nengo.Connection(self.ens, self.out, label="conn")
            self.rule = nengo.Connection(
                self.ens, self.out, learning_rule_type=nengo.PES(), label="learned"
            )
            nengo.Connection(self.out, self.rule.learning_rule)
            self.probe = nengo.Probe(self.out, label="probe")
            self.spikes = nengo.Probe(self.ens.neurons, label="spikes")
        with nengo.Network() as self.other:
            self.stranger = nengo.Ensemble(5, 1, label="stranger")
            self.strange_node = nengo.Node(0.0, label="strange node")
            self.strange_conn = nengo.Connection(self.strange_node, self.stranger)
            self.strange_probe = nengo.Probe(self.stranger, label="strange probe")
        self.sim = nengo_dl.Simulator(
            self.net, minibatch_size=MINIBATCH, seed=1, progress_bar=False
        )
        self.x = np.linspace(-1, 1, MINIBATCH * STEPS * 2).reshape(MINIBATCH, STEPS, 2)
        self.y = np.zeros((MINIBATCH, STEPS, 2))
        self.restart()
        self.closed = self.make(self.other)
        self.model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "relu")])
        self.file = folder / "parameters.npz"
        self.sim.save_params(self.file)
        (folder / "text.npz").write_text("not a file of parameters")
        (folder / "text.keras").write_text("not a model")
        (folder / "empty.npz").write_bytes(b"")
        (folder / "pickle.npz").write_bytes(pickle.dumps({"a": 1}))
        np.savez(folder / "others.npz", a=np.ones(3))
        self.measure()
        self.numbers = self.measure()

    def make(self, net=None, **kwargs):
        with nengo_dl.Simulator(net, **{"progress_bar": False, **kwargs}) as sim:
            return sim

    def measure(self) -> list:
        """Numbers that nothing here may change: the present ones, and those of a run."""
        sim, seen = self.sim, []
        for _ in range(2):
            seen += [sim.signals[sig] for sig in sim.signals]
            seen += [sim.n_steps, sim.seed, sim.data[self.probe], sim.data[self.spikes]]
            self.restart()
        return seen

    def restart(self) -> None:
        """Have the simulator as it was at first."""
        self.sim.reset(seed=1)
        self.sim.run_steps(STEPS, data={self.inp: self.x})
        self.sim.compile("sgd", {self.probe: "mse"})

    def configure(self, **settings):
        with nengo.Network() as net:
            nengo_dl.configure_settings(**settings)
        return net

    def node(self, *args, **kwargs):
        with nengo.Network():
            return nengo_dl.TensorNode(*args, **kwargs)

    def layer(self, *args, func=keras.ops.tanh, **kwargs):
        with nengo.Network():
            args = args or (nengo.Node([0.0, 0.0]),)
            return nengo_dl.Layer(func)(*args, **kwargs)


def argument(function, name, **given):
    """A call with one argument bad and others as they have to be."""
    return lambda s, v: function(**{name: v, **given})


def of_sim(method, name, **given):
    """... of a method of the simulator; given values may be functions of the shared objects."""

    def call(s, v):
        others = {k: f(s) if callable(f) else f for k, f in given.items()}
        return getattr(s.sim, method)(**{**others, name: v})

    return call


def arrays(name: str, last: int, nothing: bool = False) -> list:
    """Arrays for a Node or Probe that do not fit; whether it is fine to give none."""
    shape = (MINIBATCH, STEPS, last)
    return [
        *map(Fine if nothing else lambda v: v, ([], {})),
        5,
        "x",
        NAN,
        THING,
        True,
        b"x",
        print,
        np.ones(last),
        np.ones((STEPS, last)),
        np.ones((MINIBATCH, STEPS, last + 1)),
        np.ones((MINIBATCH, STEPS, last, 1)),
        np.ones((0, STEPS, last)),
        np.ones((MINIBATCH, 0, last)),
        np.full(shape, "a"),
        np.full(shape, None),
        np.ones(shape, complex),
        np.ma.masked_array(np.ones(shape), mask=np.ones(shape)),
        [[[1, 2], [3]], [[4]]],
        {name: "x"},
        {name: None},
        {name: np.ones((MINIBATCH, 1 + STEPS, last + 1))},
        {"nobody": np.ones(shape)},
        {5: np.ones(shape)},
        {None: np.ones(shape)},
        {(): np.ones(shape)},
        [np.ones(shape)] * 3,
        (np.ones(shape), "x"),
        iter([]),
        (v for v in [5]),
        (v for v in ["x"]),
    ]
