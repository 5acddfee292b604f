"""The public face: a drop-in replacement for nengo.Simulator."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import numpy as np
from nengo import Network, Node, Probe
from nengo.builder import Model
from nengo.builder.signal import Signal
from nengo.exceptions import ReadonlyError, SimulationError, SimulatorClosed, ValidationError
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress, ProgressTracker

from nengo_dl import tuning
from nengo_dl.compat.arguments import older_arguments
from nengo_dl.compat.random import seed_tensorflow
from nengo_dl.compat.simulator import OlderCalls
from nengo_dl.compiler.compile import Compiled
from nengo_dl.compiler.program import Input
from nengo_dl.runtime import backends, build, checks
from nengo_dl.runtime.inputs import feeds
from nengo_dl.runtime.inputs.names import Endpoints
from nengo_dl.runtime.results import snapshot
from nengo_dl.runtime.results.data import SimulationData
from nengo_dl.runtime.results.recording import ProbeRecord
from nengo_dl.runtime.results.signals import PresentSignals, SignalIndex
from nengo_dl.runtime.results.values import LastValues
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.processes import OneThread
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.arguments import prediction_hooks
from nengo_dl.runtime.training.fitting import Training
from nengo_dl.runtime.training.interrupt import DeferredInterrupt
from nengo_dl.simulator.display import simulator_html, simulator_text
from nengo_dl.simulator.operators import OperatorInterface
from nengo_dl.simulator.parameters import ParameterInterface
from nengo_dl.simulator.progress import RunTracker
from nengo_dl.simulator.training import TrainingInterface

logger = logging.getLogger(__name__)


class Simulator(TrainingInterface, ParameterInterface, OperatorInterface, OlderCalls):
    """Simulates (and trains) a Nengo network, compiled for the backend of Keras.

    Parameters
    ----------
    network : nengo.Network or None
        The network to build; None if ``model`` contains one that has been built already.
    dt : float
        Length of a time step in seconds.
    seed : int, optional
        Seed of processes without a seed of their own, from 0 to 2**32 - 1. By default the network's
        seed + 1, or a random one if the network has none.
    model : nengo.builder.Model, optional
        A model to build the network into.
    device : str, optional
        Where to run, e.g. ``"/cpu:0"`` or ``"/gpu:0"``. By default the backend chooses.
    unroll_simulation : int
        Number of steps in the body of the compiled loop, 8 at most. More steps may run faster but
        take longer to compile. Runs may have any number of steps, whatever its value.
    minibatch_size : int, optional
        Number of items to simulate side by side. Probe data has a leading axis of this length, even
        if it is 1; None simulates one item and adds no axis.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        As in nengo.Simulator.
    optimize : bool
        Accepted for compatibility with nengo.Simulator; the network is compiled in any case.

    Raises
    ------
    nengo.exceptions.ValidationError
        For an invalid argument.

    Examples
    --------
    The examples of the methods continue this one.

    >>> with nengo.Network(seed=0) as net:
    ...     stimulus = nengo.Node([0.5], label="stimulus")
    ...     ens = nengo.Ensemble(20, dimensions=1, label="ens")
    ...     connection = nengo.Connection(stimulus, ens, synapse=None)
    ...     probe = nengo.Probe(ens, label="probe")
    >>> sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    >>> sim.run(0.02)
    >>> sim.data[probe].shape  # (minibatch_size, n_steps, size)
    (2, 20, 1)
    """

    def __init__(
        self,
        network: Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        device: str | None = None,
        unroll_simulation: int = 1,
        minibatch_size: int | None = None,
        progress_bar: Any = True,
        optimize: bool = True,
    ):
        self.closed = True  # until everything is there
        checks.check_network(network, model)
        checks.check_dt(dt, model)
        seed = checks.checked_seed(seed)
        progress_bar = checks.checked_progress_bar(progress_bar)
        optimize = checks.checked_flag("optimize", optimize)
        unroll_simulation = checks.checked_count("unroll_simulation", unroll_simulation)
        unrolled = checks.unrolled(unroll_simulation)
        if minibatch_size is not None:
            minibatch_size = checks.checked_count("minibatch_size", minibatch_size)
        if device is not None:
            device = checks.device_name(device, backends.active())
        self.minibatch_size = minibatch_size
        self.batch_size = 1 if minibatch_size is None else minibatch_size
        self.unroll_simulation = unroll_simulation
        self.device = device
        self.progress_bar, self.optimize = progress_bar, optimize
        with ProgressTracker(progress_bar, Progress("Building", "Build")) as progress:
            target = build.Target(self.batch_size, device, unrolled)
            built = build.build(network, dt, model, target, progress)
        self.model, self.program = built.model, built.compiled
        self._built, self._engine, self._host = built, built.engine, built.host
        self._last: LastValues | None = None
        self._alone = OneThread()
        self.trained_attributes = built.attributes.of
        self._inputs, self._names = built.inputs, built.names
        self._seed = _choose_seed(network, seed)
        self.records = {
            probe: ProbeRecord(probe, self.dt, keep, built.choices.data_dtype)
            for probe, keep in zip(self.model.probes, built.keras_model.kept, strict=True)
        }
        endpoints = Endpoints(self._inputs, self.model.probes, self._names)
        self._training = Training(built.keras_model, self._engine, endpoints)
        self._signal_index = SignalIndex(self.model, self.program.program.operators)
        self.closed = False
        self.reset()

    # -- attributes --------------------------------------------------------------------------------

    program: Compiled
    """The compiled network; print it to see its groups."""

    # what looks at the simulator is made when it is asked for: kept, it would be a cycle, for which
    # the simulator stays in memory until Python's collector finds it

    @property
    def data(self) -> SimulationData:
        """Maps probes to recorded data, and other objects to their present parameters."""
        return SimulationData(self)

    @property
    def signals(self) -> PresentSignals:
        """Maps Nengo's signals to their present values."""
        return PresentSignals(self, self._signal_index)

    @property
    def keras_model(self) -> NengoModel:
        """The ``keras.Model`` that owns the parameters; a closed simulator has none."""
        if self.closed:
            raise SimulatorClosed("Cannot access Simulator.keras_model after Simulator is closed")
        return self._built.keras_model

    @property
    def dt(self) -> float:
        """Length of a time step in seconds."""
        return self.model.dt

    @dt.setter
    def dt(self, _):
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def seed(self) -> int:
        """Seed of processes without a seed of their own."""
        return self._seed

    @property
    def n_steps(self) -> int:
        """Number of steps since the last reset."""
        return self._state.n_steps

    @property
    def time(self) -> float:
        """Simulated time in seconds."""
        return self.n_steps * self.dt

    def trange(self, sample_every: float | None = None, dt: float | None = None) -> np.ndarray:
        """Times of the steps in seconds, or only those that a probe with ``sample_every`` recorded.

        Examples
        --------
        >>> len(sim.trange()) == sim.n_steps
        True
        """
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warnings.warn(
                "`dt` is deprecated. Use `sample_every` instead.", DeprecationWarning, stacklevel=2
            )
            sample_every = dt
        period = 1.0
        if sample_every is not None:
            period = checks.checked_duration("sample_every", sample_every) / self.dt
        steps = np.arange(1, self.n_steps + 1)
        return self.dt * steps[steps % period < 1]

    @older_arguments(obj="node_or_probe")
    def get_name(self, node_or_probe: Node | Probe) -> str:
        """The unique name by which Keras knows a Node or Probe.

        Examples
        --------
        >>> sim.get_name(probe)
        'probe'
        """
        name = checks.looked_up(node_or_probe, self._names)
        if name is None:
            raise ValidationError(
                f"{node_or_probe} is neither a Node without input nor a Probe of this network",
                attr="node_or_probe",
            )
        return name

    # -- running -----------------------------------------------------------------------------------

    def run(self, time_in_seconds: float, **kwargs: Any) -> None:
        """Simulate for a time in seconds, rounded to whole steps; ``kwargs`` as in `run_steps`.

        Examples
        --------
        >>> sim.run(0.02)
        """
        time_in_seconds = checks.checked_time("time_in_seconds", time_in_seconds)
        steps = int(np.round(time_in_seconds / self.dt))
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator "
                f"still at time {self.time}.",
                stacklevel=2,
            )
            return
        logger.info(
            "Running %s for %f seconds, or %d steps", self.model.label, time_in_seconds, steps
        )
        self.run_steps(steps, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Simulate one step; ``kwargs`` as in `run_steps`."""
        self.run_steps(1, **{"progress_bar": False, **kwargs})

    def run_steps(
        self,
        n_steps: int | None = None,
        data: Any = None,
        progress_bar: Any = None,
        stateful: bool = True,
        *,
        steps: int | None = None,
    ) -> None:
        """Simulate ``n_steps`` steps and append what the probes record to ``sim.data``.

        Parameters
        ----------
        n_steps, steps
            Number of steps; ``steps`` is Nengo's name for it.
        data
            Values for Nodes in place of their own: a dict {Node or name: array}, a list of arrays
            in the order of the Nodes, or one array, each of shape (minibatch_size, n_steps,
            node.size_out).
        progress_bar
            As in the constructor, which is the default. Runs of up to 32 steps show no Nengo bar.
        stateful
            Whether the next call continues where this one ends. If not, it starts where this one
            started; only what online learning rules learned is kept.

        Raises
        ------
        nengo.exceptions.SimulatorClosed
            If the simulator was closed.
        nengo.exceptions.ValidationError
            If ``data`` does not fit the network or ``n_steps``.

        Examples
        --------
        >>> values = np.ones((2, 20, 1))  # (minibatch_size, n_steps, size of the Node)
        >>> sim.run_steps(20, data={stimulus: values})
        """
        self._check_open("run")
        rows = self._feed(data)
        n_steps = feeds.check_steps(rows, steps if n_steps is None else n_steps)
        self._check_one_batch(rows)
        stateful = checks.checked_flag("stateful", stateful)
        bar = self.progress_bar if progress_bar is None else progress_bar
        bar = checks.checked_progress_bar(bar)
        tracker = _tracker(bar, n_steps, self._engine.chunks.n_traces == 0)
        with self._alone, tracker as progress, DeferredInterrupt() as interrupt:
            before = self._state
            for record in self.records.values():
                record.expect(n_steps)
            for state, outputs in self._run(self._state, n_steps, rows):
                n = state.n_steps - self.n_steps
                self._record(state, outputs, n)
                self._raise_failure()
                if progress is not None:
                    progress.step(n)
                interrupt.check()
            keep = stateful and self._built.choices.stateful
            self._state = self._after(before, self._state, keep)

    def _after(self, before: State, after: State, keep: bool, n_items: int | None = None) -> State:
        """The state from which the next call goes on, where only the first ``n_items`` count."""
        if keep:
            return self._engine.settle(after)
        return self._engine.keeping_learned(before, after, n_items)

    def _record(self, state: State, outputs: list, n_steps: int) -> None:
        """Move on to ``state`` and record the outputs of the steps that lead to it, or (after
        Ctrl-C) do neither.
        """
        records = self.records.values()
        before, marks = self._state, [record.mark() for record in records]
        try:
            for record, values in zip(records, outputs, strict=True):
                record.append(values, self.n_steps + 1, n_steps)
            self._state = state
        except BaseException:
            for record, mark in zip(records, marks, strict=True):
                record.rewind(mark)
            self._state = before
            raise

    def _run(self, state: State, n_steps: int, rows: dict) -> Iterable:
        """Chunks of a run, cut off before a step in which Python code failed."""
        return map(self._cut, self._engine.run(state, n_steps, rows))

    def _cut(self, chunk: tuple[State, list]) -> tuple[State, list]:
        """What was run before a step that failed."""
        if self._host.failure is None:
            return chunk
        (after, outputs), failed = chunk, self._host.failure[1]
        # what keeps the last step only has seen the steps after the failure
        n = failed - 1 - after.n_steps
        outputs = [
            values[:, :n] if keep else values[:, :0]
            for values, keep in zip(outputs, self._engine.kept, strict=True)
        ]
        return State(after.tensors, failed - 1, after.carried), outputs

    def _raise_failure(self) -> None:
        self._host.check()

    def predict(
        self,
        x: Any = None,
        n_steps: int | None = None,
        stateful: bool = False,
        callbacks: Any = None,
        steps: int | None = None,
        verbose: int | str = 0,
        batch_size: int | None = None,
    ) -> dict[Probe, np.ndarray]:
        """Simulate a batch of data and return what probes record, without changing ``sim.data``.

        Parameters
        ----------
        x
            Data as in `run_steps`, but with any number of items, which are run in minibatches. Or a
            generator, PyDataset or tf.data.Dataset of minibatches as in `fit`; targets are
            ignored.
        n_steps
            Number of steps; required if there is no data.
        stateful
            Whether each minibatch, and the next call, continues where the previous one ended; then
            all minibatches have to be full. If not, all start from the present state; only what
            online learning rules learn meanwhile is kept.
        callbacks, steps, verbose
            As in ``keras.Model.predict``: ``steps`` is the largest number of minibatches.
        batch_size
            Accepted for compatibility with Keras; minibatches always have the simulator's
            ``minibatch_size``.

        Returns
        -------
        dict of Probe to array of shape (batch, n_steps, probe.size_in)
            All steps, even for probes with ``sample_every``; only the last one for probes without
            history.

        Examples
        --------
        >>> values = np.linspace(-1, 1, 6)[:, None, None] * np.ones((6, 20, 1))  # six items
        >>> sim.predict({stimulus: values})[probe].shape
        (6, 20, 1)
        """
        self._check_open("predict")
        checks.warn_of_batch_size(batch_size, self.batch_size, "batch_size", stacklevel=3)
        steps = None if steps is None else checks.checked_count("steps", steps)
        stateful = checks.checked_flag("stateful", stateful)
        parts: dict[Probe, list[np.ndarray]] = {probe: [] for probe in self.model.probes}
        stateful, before = stateful and self._built.choices.stateful, self._state
        minibatches = self._training.data.minibatches(x, n_steps, stateful)
        hooks = prediction_hooks(self.keras_model, callbacks, verbose, steps)
        with self._alone:
            hooks.on_predict_begin()
            for i, (rows, n_steps, n_items) in enumerate(itertools.islice(minibatches, steps)):
                hooks.on_predict_batch_begin(i)
                state, result = self._predict_minibatch(self._state, n_steps, rows)
                result = {probe: values[:n_items] for probe, values in result.items()}
                for probe, values in result.items():
                    parts[probe].append(values)
                self._state = self._after(before, state, stateful, n_items)
                by_name = {self._names[probe]: values for probe, values in result.items()}
                hooks.on_predict_batch_end(i, {"outputs": by_name})
            hooks.on_predict_end()
        return {probe: np.concatenate(values) for probe, values in parts.items()}

    def predict_on_batch(self, x: Any = None, n_steps: int | None = None, **kwargs: Any) -> dict:
        """`predict` for data of one minibatch, or of fewer items.

        Examples
        --------
        >>> sim.predict_on_batch({stimulus: np.ones((2, 20, 1))})[probe].shape
        (2, 20, 1)
        """
        self._check_one_batch(self._feed(x, "x"), "x", fewer=True)
        return self.predict(x, n_steps, **kwargs)

    def _predict_minibatch(self, state: State, n_steps: int, rows: dict) -> tuple[State, dict]:
        parts = {
            probe: ProbeRecord(None, self.dt, r.keep_history) for probe, r in self.records.items()
        }
        for after, outputs in self._run(state, n_steps, rows):
            for record, values in zip(parts.values(), outputs, strict=True):
                record.append(values, state.n_steps + 1, after.n_steps - state.n_steps)
            state = after
            self._raise_failure()
        return state, {probe: record.values() for probe, record in parts.items()}

    # -- state -------------------------------------------------------------------------------------

    def reset(
        self,
        seed: int | None = None,
        include_trainable: bool = True,
        include_probes: bool = True,
        include_processes: bool = True,
    ) -> None:
        """Restore the initial state.

        Parameters
        ----------
        seed
            A new seed for processes without a seed of their own.
        include_trainable
            Whether to restore the initial parameters, undoing training and what online learning
            rules learned.
        include_probes
            Whether to delete recorded data.
        include_processes
            Whether to restart random processes from their seed.

        Examples
        --------
        >>> sim.reset()
        >>> sim.n_steps
        0
        """
        self._check_open("reset")
        seed = checks.checked_seed(seed)
        include_trainable = checks.checked_flag("include_trainable", include_trainable)
        include_probes = checks.checked_flag("include_probes", include_probes)
        include_processes = checks.checked_flag("include_processes", include_processes)
        self._alone.check()
        if seed is not None:
            self._seed = seed
        n_steps = 0 if include_processes else self.n_steps
        state = self._engine.initial_state()
        if include_trainable:
            self.encoder_lengths = {}
        else:
            state = self._engine.keeping_learned(state, self._state)
        self._state: State = state
        with self._engine.scope():
            self.keras_model.reset_carried()
            if include_trainable:
                self.keras_model.reset_parameters()
        if include_processes or seed is not None:
            self._restart_processes()
        else:
            for source in self._engine.sources.values():
                source.keep_after_reset(n_steps)
        self._host.failure = None
        if include_probes:
            self.clear_probes()

    def _restart_processes(self) -> None:
        """Put all processes back to their first step."""
        seed_tensorflow(self._seed)
        self._host.reset(self._seed)
        self._engine.sources = build.make_sources(self.program, self._host, self._seed)

    def clear_probes(self) -> None:
        """Delete all recorded data.

        Examples
        --------
        >>> sim.clear_probes()
        >>> sim.data[probe].shape
        (2, 0, 1)
        """
        for record in self.records.values():
            record.clear()

    def close(self) -> None:
        """Free the resources of the simulation: the Keras model with all tensors on the device, and
        functions compiled for this simulator alone. ``sim.data`` can still be read; running again
        raises SimulatorClosed.

        Examples
        --------
        >>> sim.close()
        >>> sim.closed
        True
        """
        if self.closed:
            return
        self._alone.check()
        self._last = LastValues(self._engine, self._state)
        self._state = State((), self.n_steps)
        self.closed = True
        self._training.release()
        del self._built, self._engine, self._host, self._training

    def __enter__(self) -> Simulator:
        if self.closed:
            raise SimulatorClosed("Cannot re-open after simulator is closed")
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return simulator_text(self)

    def _repr_html_(self) -> str:
        return simulator_html(self)

    def __del__(self):
        if not getattr(self, "closed", True):
            self._training.release()  # else only Python's collector finds it
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                "simulators manually to ensure resources are properly freed.",
                ResourceWarning,
                stacklevel=2,
            )

    def __getstate__(self) -> dict[str, Any]:
        if self._last is not None:
            return snapshot.take(self, self._last, None)
        return snapshot.take(self, LastValues(self._engine, self._state), self._engine)

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        Simulator.__init__(self, None, dt=model.dt, model=model, **state["arguments"])
        self._state = snapshot.restore(self, self._engine, state)
        if state["closed"]:
            self.close()

    # -- what sim.data asks for --------------------------------------------------------------------

    def is_variable(self, signal: Signal) -> bool:
        """Whether training or the simulation can change the value of a signal."""
        return (self._last or self._engine).is_variable(signal)

    def present_value(self, signal: Signal) -> np.ndarray:
        """The value now of a signal that is stored, of shape ``(minibatch_size
        or 1, *signal.shape)``.
        """
        if self._last is not None:
            return self._last.value(signal)
        return self._engine.value(signal, self._state)

    # -- checks ------------------------------------------------------------------------------------

    def _feed(self, data: Any, argument: str = "data") -> dict[Input, np.ndarray]:
        if data is None:
            return {}
        names = {node: self._names[node] for node in self._inputs}
        return feeds.by_input(data, self._inputs, names, argument)

    def _check_one_batch(self, rows: dict, argument: str = "data", fewer: bool = False) -> None:
        for item, values in rows.items():
            if len(values) > self.batch_size or (len(values) < self.batch_size and not fewer):
                raise ValidationError(
                    f"the array for Node {self._names[item.node]!r} has batch size {len(values)}; "
                    f"expected {self.batch_size}{' at most' if fewer else ''}, the simulator's "
                    "minibatch_size (predict takes other batches)",
                    attr=argument,
                )

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")
        if what != "reset" and self._host.failure is not None:
            raise SimulationError(
                "an error was raised inside the simulation, whose state is undefined since; "
                "call sim.reset() before going on"
            )


def _tracker(bar: Any, n_steps: int, compiles: bool):
    """Context manager that shows how far a run is; gives None where nothing is shown: Nengo's bars
    take a tenth of a second to begin and to end.
    """
    if bar is None or bar is False or (bar is True and n_steps <= tuning.SHORT_RUN_STEPS):
        return nullcontext()
    return RunTracker(bar, n_steps, compiles)


def _choose_seed(network: Network | None, seed: int | None) -> int:
    if seed is None and network is not None and network.seed is not None:
        seed = checks.checked_seed(network.seed + 1)
    return np.random.randint(maxint) if seed is None else seed
