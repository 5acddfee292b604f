"""What Nengo's builder builds, sooner.

Half of the time in which a network of known decoders is built goes into looking up the same things
for every evaluation point and operator, and into a function of NumPy that is slow for what Nengo
asks of it. Nengo's builder runs as it is, and gets the same answers in less time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from nengo import Connection
from nengo.builder import Builder, Model
from nengo.builder.connection import build_solver
from nengo.builder.transforms import build_dense, build_no_transform
from nengo.dists import Distribution, QuasirandomSequence, ScatteredHypersphere, Uniform
from nengo.rc import rc
from nengo.solvers import Solver
from nengo.transforms import Dense, NoTransform


@contextmanager
def quick_build(model: Model) -> Iterator[None]:
    """Build faster into ``model`` meanwhile."""
    builder = model.builder
    with ExitStack() as stack:
        if type(builder) is Builder:
            model.builder = QuickBuilder()
            stack.callback(setattr, model, "builder", builder)
        is_nengos = getattr(model.add_op, "__func__", None) is Model.add_op
        if is_nengos and not rc["nengo.Simulator"].getboolean("fail_fast"):
            # Nengo's does nothing more then, but asks for this setting for every operator
            model.add_op = model.operators.append
            stack.callback(delattr, model, "add_op")
        stack.enter_context(_quick_shuffling)
        yield


# -- connections -----------------------------------------------------------------------------------

#: functions of Numpy that give the same to the last bit for one number and for many at once
EXACT = {np.square, np.absolute, np.fabs, np.negative, np.positive, np.sign, np.sqrt}


class QuickBuilder(Builder):
    """Nengo's builder, with `KnownConnection` in place of connections with decoders, and one Dense
    transform for all that stand for none.
    """

    @classmethod
    def build(cls, model, obj, *args, **kwargs):
        """As Nengo's."""
        if args and isinstance(obj, Solver) and cls._builder_of(obj) is build_solver:
            args = (KnownConnection(model, args[0]), *args[1:])
        elif isinstance(obj, NoTransform) and cls._builder_of(obj) is build_no_transform:
            if kwargs.get("decoders") is not None or kwargs.get("encoders") is not None:
                dense = _identity(obj.size_out, obj.size_in, rc.float_dtype)
                return build_dense(model, dense, *args, **kwargs)
        return super().build(model, obj, *args, **kwargs)

    @classmethod
    def _builder_of(cls, obj: Any) -> Any:
        bases = type(obj).__mro__
        return next((cls.builders[base] for base in bases if base in cls.builders), None)


@lru_cache
def _identity(size_out: int, size_in: int, dtype: np.dtype) -> Dense:
    return Dense((size_out, size_in), init=1.0)


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
