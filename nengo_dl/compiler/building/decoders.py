"""Decoders of many connections at once.

Decoders solve a system of linear equations for each function: the matrix holds the firing rates of
an ensemble at evaluation points, the right-hand side the function's values there. All connections
of a network that start at one ensemble, have its evaluation points and equal solvers share the
matrix, its product with itself and the factors of that; the systems of different ensembles are
solved side by side, in a thread each. The solvers of Nengo's that are known here are LstsqL2 and
LstsqL2nz, with Cholesky's method; all others run as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from nengo import Connection, Ensemble, Network, Probe
from nengo.builder import Model
from nengo.builder.connection import get_eval_points
from nengo.cache import NoDecoderCache
from nengo.neurons import Direct
from nengo.rc import rc
from nengo.solvers import LstsqL2, LstsqL2nz, Solver
from nengo.utils.least_squares_solvers import Cholesky

from nengo_dl.compiler.building.blas import one_thread
from nengo_dl.compiler.building.functions import targets
from nengo_dl.compiler.building.systems import System

#: work that takes longer than to start threads for it and wait for them: 5 ms
WORTH_THREADS = 10**8
#: systems whose right-hand sides are in memory at once
BATCH = 512


class Wanted(NamedTuple):
    """What a connection's decoders depend on, besides its evaluation points."""

    ensemble: Ensemble
    solver: Solver
    function: Any
    pre_slice: Any
    size: int
    user: Connection | Probe

    @property
    def system(self) -> Hashable:
        """The same for connections that share a matrix."""
        sub = self.solver.solver
        return self.ensemble, type(self.solver), self.solver.reg, sub.transpose

    @property
    def values(self) -> Hashable:
        """The same for connections that share a right-hand side."""
        chosen = self.pre_slice
        parts = repr(chosen) if isinstance(chosen, slice) else tuple(np.ravel(chosen))
        return id(self.function), parts


def is_known(solver: Solver) -> bool:
    """Whether decoders can be solved for here."""
    return type(solver) in (LstsqL2, LstsqL2nz) and type(solver.solver) is Cholesky


class Decoders:
    """Decoders of the connections of a model, solved for a network at a time, in ``threads``."""

    def __init__(self, model: Model, threads: int):
        self._model, self._threads = model, threads
        self._networks: list[Network] = []
        self._solved: dict[Hashable, tuple[np.ndarray, dict]] = {}

    # -- networks ----------------------------------------------------------------------------------

    def enter(self, network: Network) -> None:
        """The connections that are built next are those of a network."""
        self._networks.append(network)

    def leave(self) -> None:
        """The network is built."""
        self._networks.pop()
        self._solved.clear()

    def _of_network(self) -> Iterable[Wanted]:
        """What is known already that the connections and probes of the network will need."""
        if not self._networks:
            return
        network, built = self._networks[-1], self._model.params
        for conn in network.connections:
            if conn not in built and conn.eval_points is None and _is_decoded(conn.pre_obj):
                if is_known(conn.solver) and conn.pre_obj in built:
                    yield wanted(conn)
        for probe in network.probes:
            ensemble = probe.obj
            if probe.attr == "decoded_output" and _is_decoded(ensemble) and is_known(probe.solver):
                if ensemble in built and probe not in built:
                    chosen = slice(None) if probe.slice is None else probe.slice
                    yield Wanted(ensemble, probe.solver, None, chosen, probe.size_in, probe)

    # -- decoders ----------------------------------------------------------------------------------

    def of(self, conn: Connection, rng: np.random.RandomState) -> tuple | None:
        """Evaluation points, decoders and information of a connection with a known solver; None if
        Nengo's code has to run.
        """
        model = self._model
        if rc.float_dtype != np.float64:
            return None
        state = rng.get_state() if conn.eval_points is not None else None
        points = get_eval_points(model, conn, rng)
        want = wanted(conn)
        if model.seeded[conn] and type(model.decoder_cache) is not NoDecoderCache:
            found = self._with_cache(conn, want, points, rng)
        else:
            found = self._find(conn, want, points)
        if found is None:
            if state is not None:
                rng.set_state(state)
            return None
        decoders, info = found
        return points, decoders.T, info

    def _with_cache(self, conn, want: Wanted, points, rng) -> tuple[np.ndarray, dict] | None:
        built = self._model.params[conn.pre_obj]
        values = _values(want, points)
        x = np.dot(points, built.encoders.T / conn.pre_obj.radius)

        def solve(*args: Any, **kwargs: Any) -> tuple[np.ndarray, dict]:
            found = self._find(conn, want, points)
            if found is None:
                raise _NotSolved
            return found

        cached = self._model.decoder_cache.wrap_solver(solve)
        try:
            return cached(conn, built.gain, built.bias, x, values, rng=rng)
        except _NotSolved:
            return None

    def _find(self, conn: Connection, want: Wanted, points) -> tuple[np.ndarray, dict] | None:
        if conn.eval_points is not None:
            system = self._system(want, points)
            system.right_sides[None] = _values(want, points)
            return system.solve_alone(self._threads).get(None)
        key = want.system, want.values
        if key not in self._solved:
            self._solve([want, *self._of_network()])
        return self._solved.get(key)

    def _system(self, want: Wanted, points: np.ndarray) -> System:
        ensemble = want.ensemble
        built = self._model.params[ensemble]
        return System(ensemble.neuron_type, want.solver, ensemble.radius, built, points)

    def _solve(self, wants: Iterable[Wanted]) -> None:
        """Solve for all that is wanted and has not been solved for."""
        by_system: dict[Hashable, dict[Hashable, Wanted]] = defaultdict(dict)
        for want in wants:
            key, values = want.system, want.values
            if (key, values) not in self._solved:
                by_system[key].setdefault(values, want)
        keys = iter(by_system)
        while batch := list(islice(keys, BATCH)):
            self._solve_systems({key: self._with_sides(by_system[key]) for key in batch})

    def _with_sides(self, wants: dict[Hashable, Wanted]) -> System:
        """The system of connections that share one."""
        first = next(iter(wants.values()))
        system = self._system(first, self._model.params[first.ensemble].eval_points)
        for values, want in wants.items():
            try:
                system.right_sides[values] = _values(want, system.eval_points)
            except Exception:  # the connection will raise it when it is built
                continue
        return system

    def _solve_systems(self, systems: dict[Hashable, System]) -> None:
        found = {key: system for key, system in systems.items() if system.right_sides}
        n_threads = min(self._threads, len(found))
        if n_threads > 1 and sum(system.work for system in found.values()) > WORTH_THREADS:
            # each thread takes the next one that is left, and this one waits without waking up
            left = iter(found.items())
            with one_thread(), ThreadPoolExecutor(n_threads) as pool:
                jobs = [pool.submit(_solve_all, left) for _ in range(n_threads)]
            solved = [pair for job in jobs for pair in job.result()]
        else:
            solved = [(key, system.solve_alone(self._threads)) for key, system in found.items()]
        for key, solutions in solved:
            for values, solution in solutions.items():
                self._solved[key, values] = solution


def _solve_all(systems: Iterator[tuple[Hashable, System]]) -> list[tuple[Hashable, dict]]:
    return [(key, system.solve()) for key, system in systems]


class _NotSolved(Exception):
    """Nengo's code has to run."""


def wanted(conn: Connection) -> Wanted:
    """What a connection's decoders depend on."""
    return Wanted(conn.pre_obj, conn.solver, conn.function, conn.pre_slice, conn.size_mid, conn)


def _is_decoded(obj: Any) -> bool:
    return isinstance(obj, Ensemble) and not isinstance(obj.neuron_type, Direct)


def _values(want: Wanted, eval_points: np.ndarray) -> np.ndarray:
    points = eval_points[:, want.pre_slice]
    if want.function is None:
        return points.astype(np.float64)
    if isinstance(want.function, np.ndarray):
        return want.function
    return targets(want.function, points, want.size, want.user)
