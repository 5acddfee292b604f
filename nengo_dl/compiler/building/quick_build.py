"""What Nengo's builder builds, sooner.

Nengo's builder runs as it is, with other functions in place of some of its own: `objects` makes
ensembles and connections, `decoders` solves for the decoders of many connections at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from nengo import Connection
from nengo.builder import Builder, Model
from nengo.builder.connection import build_solver
from nengo.builder.network import build_network
from nengo.dists import Distribution, QuasirandomSequence, ScatteredHypersphere, Uniform
from nengo.rc import rc

from nengo_dl.compiler.building.decoders import Decoders, is_known
from nengo_dl.compiler.building.functions import EXACT
from nengo_dl.compiler.building.objects import ObjectBuilder


@contextmanager
def quick_build(model: Model, decoder_threads: int = 0) -> Iterator[None]:
    """Build faster into ``model`` meanwhile.

    Parameters
    ----------
    model
        What is built into.
    decoder_threads
        How many threads solve for decoders, which makes them others by rounding; with none all is
        the same to the last bit.
    """
    builder = model.builder
    with ExitStack() as stack:
        if type(builder) is Builder:
            model.builder = QuickBuilder(model, decoder_threads)
            stack.callback(setattr, model, "builder", builder)
        is_nengos = getattr(model.add_op, "__func__", None) is Model.add_op
        if is_nengos and not rc["nengo.Simulator"].getboolean("fail_fast"):
            # Nengo's does nothing more then, but asks for this setting for every operator
            model.add_op = model.operators.append
            stack.callback(delattr, model, "add_op")
        stack.enter_context(_quick_shuffling)
        yield


class QuickBuilder(Builder):
    """Nengo's builder, with other functions in place of those that take long. Builders that a user
    registered are called as ever.
    """

    def __init__(self, model: Model, decoder_threads: int):
        self.functions: dict[Callable, Callable] = {
            **ObjectBuilder(model).functions,
            build_solver: self.build_solver,
            build_network: self.build_network,
        }
        self.decoders = Decoders(model, decoder_threads) if decoder_threads else None

    def build(self, model, obj, *args, **kwargs):
        """As Nengo's."""
        build = self.functions.get(_builder_of(self.builders, type(obj)))
        if build is None or model.has_built(obj):
            return super().build(model, obj, *args, **kwargs)
        return build(model, obj, *args, **kwargs)

    def build_network(self, model, network, progress=None) -> None:
        """As `nengo.builder.network.build_network`."""
        if self.decoders is None:
            return build_network(model, network, progress=progress)
        self.decoders.enter(network)
        try:
            return build_network(model, network, progress=progress)
        finally:
            self.decoders.leave()

    def build_solver(self, model, solver, conn, rng) -> tuple:
        """As `nengo.builder.connection.build_solver`."""
        found = None
        # Nengo, too, asks the connection for its solver, which may be another one
        if self.decoders is not None and is_known(conn.solver):
            found = self.decoders.of(conn, rng)
        return found or build_solver(model, solver, KnownConnection(model, conn), rng)


def _builder_of(builders: dict[type, Callable], cls: type) -> Callable | None:
    return next((builders[base] for base in cls.__mro__ if base in builders), None)


# -- connections -----------------------------------------------------------------------------------


class KnownConnection:
    """A connection that is asked for its function for each evaluation point, and looks it up
    once. In place of an `EXACT` function of the ensemble's own points it has the values.
    """

    def __init__(self, model: Model, connection: Connection):
        self._connection = connection
        self.function = connection.function
        if isinstance(self.function, np.ufunc) and self.function in EXACT:
            if connection.eval_points is None:
                points = model.params[connection.pre_obj].eval_points[:, connection.pre_slice]
                self.function = self.function(points)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __hash__(self) -> int:
        return hash(self._connection)

    def __eq__(self, other: object) -> bool:
        return self._connection == other

    def __str__(self) -> str:
        return str(self._connection)


# -- evaluation points -----------------------------------------------------------------------------


class RowShuffler:
    """A source of random numbers that shuffles the rows of an array by their numbers.

    It draws the same random numbers and gives the same order as NumPy's, which takes thirty times
    as long: it copies every row of an array with several axes through Python objects.
    """

    def __init__(self, rng: np.random.RandomState | ModuleType):
        self._rng = rng

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rng, name)

    def shuffle(self, rows: np.ndarray) -> None:
        """Change the order of the rows, in place."""
        order = np.arange(len(rows))
        self._rng.shuffle(order)
        rows[...] = rows[order]


#: those of Nengo that shuffle what they drew
DISTRIBUTIONS: tuple[type[Distribution], ...] = (QuasirandomSequence, ScatteredHypersphere)


class _QuickShuffling:
    """While it is entered, a `RowShuffler` shuffles the points that `DISTRIBUTIONS` draw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._samples: dict[type[Distribution], Callable] = {}

    def __enter__(self) -> None:
        with self._lock:
            if self._entered == 0:
                for cls in DISTRIBUTIONS:
                    self._samples[cls] = cls.sample
                    cls.sample = self._quick(cls.sample)
            self._entered += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0:
                for cls, sample in self._samples.items():
                    cls.sample = sample

    @staticmethod
    def _quick(sample):
        def quick(self, n, d=1, rng=np.random):
            # other generators need not draw the same numbers for one and for several axes, and
            # other distributions than Nengo's may ask for a generator of NumPy's
            nengos = type(getattr(self, "base", self)) in (QuasirandomSequence, Uniform)
            if nengos and (rng is np.random or isinstance(rng, np.random.RandomState)):
                rng = RowShuffler(rng)
            return sample(self, n, d=d, rng=rng)

        return quick


_quick_shuffling = _QuickShuffling()
