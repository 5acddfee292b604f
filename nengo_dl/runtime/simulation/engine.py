"""Runs a lowered network: chunk by chunk, with one compiled function for any number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from nengo.builder.signal import Signal

from nengo_dl import tuning
from nengo_dl.compiler.layout import Stored
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.inputs.sources import OwnRows
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation import processes
from nengo_dl.runtime.simulation.compiled_chunks import CompiledChunks
from nengo_dl.runtime.simulation.guards import explain_memory
from nengo_dl.runtime.simulation.placement import Placement
from nengo_dl.runtime.simulation.short_runs import ShortRuns
from nengo_dl.runtime.simulation.state import State


@dataclass(frozen=True)
class _Inputs:
    """Inputs that change from step to step, the rows of those for which there is no data, and the
    values of those that do not change, (1, size) each.
    """

    changing: tuple[Input, ...]
    own: OwnRows
    fixed: list[np.ndarray]


class Engine:
    """Runs a network, a chunk of steps at a time.

    Parameters
    ----------
    model
        The network, and the owner of its parameters.
    sources
        For each input of the program, where its rows come from when no data is given.
    placement
        Where the network's tensors live.
    unroll, jit
        See `nengo_dl.Simulator` and `nengo_dl.configure_settings`.
    """

    def __init__(
        self,
        model: NengoModel,
        sources: Mapping[Input, Any],
        placement: Placement,
        unroll: int = 1,
        jit: bool | None = None,
    ):
        self.model, self.lowered, self.backend = model, model.lowered, model.loop_backend
        self.settings = self.lowered.settings
        self.placement = placement
        self.chunks = CompiledChunks(model, placement, unroll, jit)
        self.kept = model.kept
        self._comfortable = tuning.FIRST_CHUNK_STEPS
        self._watch = processes.Watch()
        self.read_from(sources)
        #: makes a context in which tensors of the network's precision live on its device
        self.scope = placement.scope

    def read_from(self, sources: Mapping[Input, Any]) -> None:
        """Take the rows of inputs without data from here."""
        self.sources = sources
        self._inputs_with: dict[tuple[Input, ...], _Inputs] = {}

    def initial_state(self) -> State:
        """The state before the first step."""
        return self.state_of(self.model.initial_arrays(), 0)

    def state_of(self, values: Sequence[np.ndarray], n_steps: int) -> State:
        """The state in which the state tensors have these values, (minibatch_size, width) each."""
        with self.scope():
            return State(tuple(map(self.chunks.tensor, values)), n_steps)

    def keeping_learned(self, state: State, source: State, n_items: int | None = None) -> State:
        """``state``, but for what online learning rules have learned as it is in ``source``, of all
        items or the first ``n_items``.
        """
        if not self.model.learned.any:
            return state
        with self.scope():
            learned = source.tensors
            if n_items is not None and n_items < self.settings.minibatch_size:
                pairs = zip(learned, state.tensors, strict=True)
                learned = [ops.concatenate([new[:n_items], old[n_items:]]) for new, old in pairs]
            tensors = self.model.learned.kept(state.tensors, learned)
        return State(tuple(tensors), state.n_steps, state.carried)

    # -- running -----------------------------------------------------------------------------------

    def run(
        self, state: State, n_steps: int, data: Mapping[Input, np.ndarray]
    ) -> Iterable[tuple[State, list[np.ndarray]]]:
        """Run ``n_steps`` steps; gives after each chunk the state and the outputs of its steps.

        ``data`` has arrays of shape (minibatch_size or 1, n_steps, size). Outputs have shape
        (minibatch_size, steps of the chunk, width), or 1 step where only the last is kept.
        """
        inputs = self._inputs_for(data)
        run, capacity = self.chunks.function_for(inputs.changing, n_steps)
        if n_steps <= min(capacity, self._comfortable):
            return [self._run_chunk(state, n_steps, inputs, data, run)]
        return self._run_chunks(state, n_steps, inputs, data, run, capacity)

    def _run_chunks(
        self, state: State, n_steps: int, inputs: _Inputs, data, run: Callable, capacity: int
    ) -> Iterator[tuple[State, list[np.ndarray]]]:
        done = 0
        while done < n_steps:
            n = min(capacity, n_steps - done, self._comfortable)
            chunk_data = {item: rows[:, done : done + n] for item, rows in data.items()}
            state, outputs = self._run_chunk(state, n, inputs, chunk_data, run)
            yield state, outputs
            done += n

    def _learn_speed(self, n_steps: int, seconds: float) -> None:
        """Choose how many steps to run at once, so that progress and Ctrl-C are not kept
        waiting.
        """
        self._comfortable = max(1, int(n_steps * tuning.CHUNK_SECONDS / max(seconds, 1e-6)))

    def _inputs_for(self, data: Mapping[Input, np.ndarray]) -> _Inputs:
        """What goes in where there is data for these."""
        given = tuple(data)
        found = self._inputs_with.get(given)
        if found is None:
            program_inputs = self.lowered.layout.inputs
            own = OwnRows(self.sources, data)
            changing = [i for i in program_inputs if i in data or i in own.inputs]
            changing.extend(i for i in data if i not in program_inputs)
            fixed = [self.sources[i].rows(1, 1) for i in program_inputs if i not in changing]
            found = self._inputs_with[given] = _Inputs(tuple(changing), own, fixed)
        return found

    def _run_chunk(
        self, state: State, n: int, inputs: _Inputs, data, run: Callable
    ) -> tuple[State, list[np.ndarray]]:
        first, n_traces, start = state.n_steps + 1, self.chunks.n_traces, time.perf_counter()
        own = inputs.own(first, n) if inputs.own.inputs else {}
        rows = [data[item] if item in data else own[item] for item in inputs.changing]
        carried = self.model.carried() if state.carried is None else state.carried
        before = [*state.tensors, *carried] if carried else state.tensors
        values = inputs.fixed, before, rows, first, n
        if processes.forked:
            tensors, outputs = self._watch.call(self._in_scope, run, values)
        else:
            tensors, outputs = self._in_scope(run, values)
        outputs = [
            value[:n].swapaxes(0, 1) if keep else value[:, None]
            for value, keep in zip(outputs, self.kept, strict=True)
        ]
        # what is around a few steps takes longer than they do
        if type(run) is not ShortRuns and self.chunks.n_traces == n_traces:
            self._learn_speed(n, time.perf_counter() - start)
        if not carried:
            return State(tensors, state.n_steps + n, ()), outputs
        n_states = len(state.tensors)
        after = State(tuple(tensors[:n_states]), state.n_steps + n, tuple(tensors[n_states:]))
        return after, outputs

    def _in_scope(self, run: Callable, values: tuple):
        """Call what runs a chunk, in whatever thread."""
        try:
            with self.scope():
                if type(run) is ShortRuns:
                    return run(*values)
                return run(self.model.arguments(), *values)
        except Exception as error:
            explain_memory(error, self.settings.minibatch_size)
            raise

    def settle(self, state: State) -> State:
        """Let the Keras variables have their values in ``state``, from which a later run goes
        on.
        """
        assert state.carried is not None  # only what was initial has none
        with self.scope():
            self.model.assign_carried(state.carried)
        return State(state.tensors, state.n_steps)

    # -- looking -----------------------------------------------------------------------------------

    def is_variable(self, signal: Signal) -> bool:
        """Whether a signal is stored, and not as a constant that kept its value."""
        return any(
            signal.base in stored.signals and not self.model.is_constant(stored)
            for stored in self.lowered.layout.stored
        )

    def value(self, signal: Signal, state: State) -> np.ndarray:
        """The present value of a signal that is stored, of shape (minibatch_size or 1,
        *signal.shape).
        """
        for stored in self.lowered.layout.stored:
            for base, span in stored.spans():
                if base is signal.base:
                    flat = self.stored_array(stored, state)[:, span]
                    base_shape = (len(flat), *np.shape(base.initial_value))
                    return flat.reshape(base_shape) if not base.sparse else flat
        raise KeyError(f"{signal} is not stored from step to step")

    def stored_array(self, stored: Stored, state: State) -> np.ndarray:
        """The present values of a stored tensor, of shape (minibatch_size or 1, width)."""
        if stored.tensor.kind == "state":
            return self.backend.array(state.tensors[self.lowered.states.index(stored)])
        with self.scope():
            if stored.tensor.kind == "deferred":
                arguments = self.model.arguments()
                return self.backend.array(self.lowered.deferred(stored, arguments, state.tensors))
            return self.backend.array(self.model.present_tensor(stored))

    def assigned_array(self, stored: Stored, state: State) -> np.ndarray:
        """As `stored_array`, but weights that are rounded as they were before."""
        if stored.tensor.kind in ("state", "deferred"):
            return self.stored_array(stored, state)
        with self.scope():
            return self.backend.array(self.model.stored_variable(stored).value)
