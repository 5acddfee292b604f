"""Simulation: `Simulator.run_steps`, `Simulator.predict` and what is made of them."""

from __future__ import annotations

import itertools
import logging
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
from nengo import Probe
from nengo.exceptions import SimulationError, SimulatorClosed, ValidationError

from nengo_dl import tuning
from nengo_dl.compat.arguments import shows_progress, warn
from nengo_dl.runtime import checks
from nengo_dl.runtime.inputs import feeds
from nengo_dl.runtime.results.recording import ProbeRecord
from nengo_dl.runtime.simulation.guards import DeferredInterrupt
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.callbacks import prediction_hooks
from nengo_dl.simulator.parts import SimulatorParts
from nengo_dl.simulator.progress import RunTracker

logger = logging.getLogger(__name__)


class RunningInterface(SimulatorParts):
    """The part of `nengo_dl.Simulator` that simulates."""

    def run(self, time_in_seconds: float, progress_bar: Any = None, **kwargs: Any) -> None:
        """Simulate for a time in seconds, rounded to whole steps; the other arguments are those of
        `run_steps`.

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
        self.run_steps(steps, progress_bar=progress_bar, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Simulate one step; ``kwargs`` as in `run_steps`."""
        kwargs.setdefault("progress_bar", False)
        self.run_steps(1, **kwargs)

    def run_steps(
        self,
        n_steps: int | None = None,
        data: Any = None,
        progress_bar: Any = None,
        stateful: bool = True,
        *,
        steps: int | None = None,
        input_feeds: Any = None,
        profile: Any = None,
    ) -> None:
        """Simulate ``n_steps`` steps and append the recorded values to ``sim.data``.

        Parameters
        ----------
        n_steps, steps
            Number of steps; ``steps`` is Nengo's name for it.
        data
            Values that replace the output of Nodes: a dict {Node or name: array}, a list of arrays
            in the order of the Nodes, or one array, each of shape (minibatch_size, n_steps,
            node.size_out).
        progress_bar
            As in the constructor, whose value is the default. Runs of up to 32 steps show no
            progress bar of Nengo.
        stateful
            Whether the next call continues where this one ends. If not, it starts from the same
            state as this one, except that weights learned online are kept.
        input_feeds, profile
            Deprecated: the name of ``data`` in version 1, and without effect.

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
        if input_feeds is not None or profile is not None:
            data = _older_arguments(data, input_feeds, profile)
        if data is not None and shows_progress(data):
            raise ValidationError(
                f"got {data!r}; as nengo_dl's second argument is data, give progress_bar by name: "
                "run_steps(n_steps, progress_bar=...)",
                attr="data",
            )
        stateful = checks.checked_flag("stateful", stateful)
        bar = self.progress_bar if progress_bar is None else progress_bar
        bar = checks.checked_progress_bar(bar)
        n_steps = steps if n_steps is None else n_steps
        rows, n_steps = feeds.of_run(
            data, self._inputs, self._input_names, n_steps, self.batch_size
        )
        tracker = _tracker(bar, n_steps, self._engine.chunks.n_traces == 0)
        with self._alone, tracker as progress, DeferredInterrupt() as interrupt:
            before = self._state
            if n_steps > tuning.SHORT_RUN_STEPS:
                for record in self.records.values():
                    record.expect(n_steps)
            for state, outputs in self._engine.run(self._state, n_steps, rows):
                failure = self._host.failure
                if failure is not None:
                    state, outputs = self._cut(state, outputs, failure[1])
                n = state.n_steps - self._state.n_steps
                self._record(state, outputs, n)
                if failure is not None:
                    raise failure[0]
                if progress is not None:
                    progress.step(n)
                if interrupt.received:
                    interrupt.check()
            keep = stateful and self._built.choices.stateful
            self._state = self._after(before, self._state, keep)

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")
        if what != "reset" and self._host.failure is not None:
            raise SimulationError(
                "an error was raised inside the simulation, whose state is undefined since; "
                "call sim.reset() before going on"
            )

    def _after(self, before: State, after: State, keep: bool, n_items: int | None = None) -> State:
        """The state from which the next call goes on, where only the first ``n_items`` count."""
        if keep:
            return self._engine.settle(after) if after.carried else after
        return self._engine.keeping_learned(before, after, n_items)

    def _record(self, state: State, outputs: list, n_steps: int) -> None:
        """Move on to ``state`` and record the outputs of the steps that lead to it, or (after
        Ctrl-C) do neither.
        """
        records = self.records.values()
        before, marks = self._state, [record.mark() for record in records]
        try:
            for record, values in zip(records, outputs, strict=True):
                record.append(values, before.n_steps + 1, n_steps)
            self._state = state
        except BaseException:
            for record, mark in zip(records, marks, strict=True):
                record.rewind(mark)
            self._state = before
            raise

    def _cut(self, after: State, outputs: list, failed: int) -> tuple[State, list]:
        """What was run before the step in which Python code failed."""
        # what keeps the last step only has seen the steps after the failure
        n = failed - 1 - after.n_steps
        outputs = [
            values[:, :n] if keep else values[:, :0]
            for values, keep in zip(outputs, self._engine.kept, strict=True)
        ]
        return State(after.tensors, failed - 1, after.carried), outputs

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
        """Simulate a batch of data and return the recorded values, without changing ``sim.data``.

        Parameters
        ----------
        x
            Data as in `run_steps`, but with any number of items, which are run in minibatches. Or a
            generator, PyDataset or tf.data.Dataset of minibatches as in `fit`; targets are
            ignored.
        n_steps
            Number of steps; required if there is no data.
        stateful
            Whether each minibatch, and the next call, continues where the previous one ended; all
            minibatches must then be full. If not, each minibatch starts from the current state,
            except that weights learned online are kept.
        callbacks, steps, verbose
            As in ``keras.Model.predict``: ``steps`` is the maximum number of minibatches.
        batch_size
            Accepted for compatibility with Keras; minibatches always have the simulator's
            ``minibatch_size``.

        Returns
        -------
        dict of Probe to array of shape (batch, n_steps, probe.size_in)
            All steps, even for probes with ``sample_every``, but only the last step for probes with
            ``keep_history=False``.

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
        """Like `predict`, for a single minibatch, which may be smaller than ``minibatch_size``.

        Examples
        --------
        >>> sim.predict_on_batch({stimulus: np.ones((2, 20, 1))})[probe].shape
        (2, 20, 1)
        """
        rows = feeds.by_input(x, self._inputs, self._input_names, "x")
        feeds.check_minibatch(rows, self._input_names, self.batch_size, "x", fewer=True)
        return self.predict(x, n_steps, **kwargs)

    def _predict_minibatch(self, state: State, n_steps: int, rows: dict) -> tuple[State, dict]:
        parts = {
            probe: ProbeRecord(None, self.dt, r.keep_history) for probe, r in self.records.items()
        }
        for after, outputs in self._engine.run(state, n_steps, rows):
            if self._host.failure is not None:
                raise self._host.failure[0]
            for record, values in zip(parts.values(), outputs, strict=True):
                record.append(values, state.n_steps + 1, after.n_steps - state.n_steps)
            state = after
        return state, {probe: record.values() for probe, record in parts.items()}


_NOTHING_SHOWN = nullcontext()


def _tracker(bar: Any, n_steps: int, compiles: bool):
    """Context manager that shows how far a run is; gives None where nothing is shown: Nengo's bars
    take a tenth of a second to begin and to end.
    """
    if bar is None or bar is False or (bar is True and n_steps <= tuning.SHORT_RUN_STEPS):
        return _NOTHING_SHOWN
    return RunTracker(bar, n_steps, compiles)


def _older_arguments(data: Any, input_feeds: Any, profile: Any) -> Any:
    """``data``, from arguments of versions 1 and 2."""
    if profile is not None:
        warn("the argument profile", "the profiler of TensorFlow or JAX", stacklevel=4)
    if input_feeds is None:
        return data
    warn("the argument input_feeds", "data", stacklevel=4)
    return input_feeds if data is None else data
