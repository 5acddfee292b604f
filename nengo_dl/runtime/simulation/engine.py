"""Runs a lowered network: chunk by chunk, with one compiled function for any number of steps."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from keras import ops
from nengo.builder.signal import Signal

from nengo_dl import tuning
from nengo_dl.compiler.layout import Stored
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.inputs.sources import own_rows
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.host_loop import HostLoop
from nengo_dl.runtime.simulation.item_threads import ItemThreads, share_size
from nengo_dl.runtime.simulation.packing import Packing
from nengo_dl.runtime.simulation.processes import Watch
from nengo_dl.runtime.simulation.short_runs import ShortRuns, output_arrays
from nengo_dl.runtime.step.carry import Carry
from nengo_dl.runtime.step.chunk import Chunk
from nengo_dl.runtime.step.lowered_network import LoweredNetwork, stored_values
from nengo_dl.runtime.step.structure import step_structure


@dataclass(frozen=True)
class State:
    """The carry after ``n_steps`` steps. Replaced as a whole, so that an interruption never leaves
    half of one.

    ``carried`` are the values of the Keras variables that a step changes; None: those that the
    variables have.
    """

    tensors: Sequence[Any]
    n_steps: int
    carried: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class _Changing:
    """Inputs that change from step to step, those of them for which there is no data, and those
    that do not change.
    """

    changing: tuple[Input, ...]
    own: list[Input]
    fixed: list[Input]


def scope(backend, dtype: str, device: str | None):
    """Context in which tensors of a precision live on a device."""
    if dtype != "float64" and device is None:
        return nullcontext()
    return _scope(backend, dtype, device)


@contextmanager
def _scope(backend, dtype: str, device: str | None):
    with backend.precision(dtype), backend.placement(device):
        yield


def _tensor(backend, dtype: str, device: str | None, value: np.ndarray):
    """A tensor on a device, of the type of an array, in the scope of a precision."""
    with scope(backend, dtype, device):
        return backend.tensor(value, value.dtype.name)


class Engine:
    """The compiled functions of a network, and the loop over chunks that calls them.

    Parameters
    ----------
    model
        The network, and the owner of its parameters.
    sources
        For each input of the program, where its rows come from when no data is given.
    unroll, jit, device
        See `nengo_dl.Simulator` and `nengo_dl.configure_settings`.
    """

    def __init__(
        self,
        model: NengoModel,
        sources: Mapping[Input, Any],
        unroll: int = 1,
        jit: bool | None = None,
        device: str | None = None,
    ):
        self.model, self.lowered, self.backend = model, model.lowered, model.loop_backend
        self.sources, self.unroll, self.jit, self.device = sources, unroll, jit, device
        self.kept = model.kept
        self.carry = Carry(model.lowered.states)
        self.settings = self.lowered.settings
        self.widths = tuple(recipe.width for recipe in self.lowered.layout.outputs)
        item = np.dtype(self.settings.dtype).itemsize * self.settings.minibatch_size
        recorded = sum(w for w, keep in zip(self.widths, self.kept, strict=True) if keep)
        #: bytes of inputs and outputs in a step
        step_bytes = item * (recorded + sum(i.size for i in self.lowered.layout.inputs))
        self._capacity = max(1, min(tuning.CHUNK_BYTES // max(step_bytes, 1), tuning.CHUNK_STEPS))
        #: how often a step was traced, for tests
        self.n_traces = 0
        self._comfortable = tuning.FIRST_CHUNK_STEPS
        self._watch = Watch()
        self._functions: dict[tuple[tuple[Input, ...], int | None], Any] = {}
        self._changing_with: dict[tuple[Input, ...], _Changing] = {}
        self._host_loops: dict[tuple[tuple[Input, ...], tuple[int, ...]], HostLoop] = {}
        self._few_runs = 0
        self._packings: dict[int, Packing] = {}

    def _weak(self) -> Engine:
        """The engine for the functions that it keeps: no cycle, so that it is freed at once."""
        return weakref.proxy(self)

    def scope(self):
        """Context in which tensors of the network's precision live on its device."""
        return scope(self.backend, self.settings.dtype, self.device)

    def _tensor(self, value: np.ndarray):
        """A tensor on the device, integers in 32 bits and all else in the network's precision."""
        dtype = "int32" if value.dtype.kind in "iu" else self.settings.dtype
        return _tensor(self.backend, self.settings.dtype, self.device, value.astype(dtype))

    def on_cpu(self) -> bool:
        """Whether the network runs on a CPU."""
        if self.device is not None:
            return "cpu" in self.device.lower()
        return all("cpu" in name for name in self.backend.devices())

    def initial_state(self) -> State:
        """The state before the first step."""
        batch, dtype = self.settings.minibatch_size, self.settings.dtype
        values = [np.repeat(stored_values(s, dtype), batch, axis=0) for s in self.lowered.states]
        return self.state_of(values, 0)

    def state_of(self, values: Sequence[np.ndarray], n_steps: int) -> State:
        """The state in which the state tensors have these values, (minibatch_size, width) each."""
        with self.scope():
            return State(tuple(self._tensor(value) for value in values), n_steps)

    def keeping_learned(self, state: State, source: State, n_items: int | None = None) -> State:
        """``state``, but for what online learning rules have learned as it is in ``source``, of all
        items or the first ``n_items``.
        """
        if not self.model.learned:
            return state
        with self.scope():
            learned = source.tensors
            if n_items is not None and n_items < self.settings.minibatch_size:
                pairs = zip(learned, state.tensors, strict=True)
                learned = [ops.concatenate([new[:n_items], old[n_items:]]) for new, old in pairs]
            tensors = self.model.learned.kept(state.tensors, learned)
        return State(tuple(tensors), state.n_steps, state.carried)

    def capacity(self) -> int:
        """Most steps in a chunk."""
        return self._capacity

    # -- running -----------------------------------------------------------------------------------

    def run(
        self, state: State, n_steps: int, data: Mapping[Input, np.ndarray]
    ) -> Iterable[tuple[State, list[np.ndarray]]]:
        """Run ``n_steps`` steps; gives after each chunk the state and the outputs of its steps.

        ``data`` has arrays of shape (minibatch_size or 1, n_steps, size). Outputs have shape
        (minibatch_size, steps of the chunk, width), or 1 step where only the last is kept.
        """
        inputs = self._changing(data)
        capacity = self._capacity_for(inputs.changing, n_steps)
        if n_steps <= min(capacity, tuning.SHORT_RUN_STEPS, self._comfortable):
            return [self._run_chunk(state, n_steps, inputs, data, capacity)]
        return self._run_chunks(state, n_steps, inputs, data, capacity)

    def _run_chunks(
        self, state: State, n_steps: int, inputs: _Changing, data, capacity: int
    ) -> Iterator[tuple[State, list[np.ndarray]]]:
        done = 0
        while done < n_steps:
            n = min(capacity, n_steps - done, self._comfortable)
            chunk_data = {item: rows[:, done : done + n] for item, rows in data.items()}
            n_traces, start = self.n_traces, time.perf_counter()
            state, outputs = self._run_chunk(state, n, inputs, chunk_data, capacity)
            if self.n_traces == n_traces:
                self._learn_speed(n, time.perf_counter() - start)
            yield state, outputs
            done += n

    def _capacity_for(self, changing: tuple[Input, ...], n_steps: int) -> int:
        """Rows of the buffers for a run of so many steps: few where runs are short."""
        capacity, few = self.capacity(), 1 << (int(n_steps) - 1).bit_length()
        if n_steps > tuning.SHORT_RUN_STEPS or few >= capacity:
            self._few_runs = 0
            return capacity
        self._few_runs += 1
        if (changing, few) in self._functions or (changing, capacity) not in self._functions:
            return few
        return few if self._few_runs >= tuning.SHORT_RUNS else capacity

    def _learn_speed(self, n_steps: int, seconds: float) -> None:
        """Choose how many steps to run at once, so that progress and Ctrl-C are not kept
        waiting.
        """
        self._comfortable = max(1, int(n_steps * tuning.CHUNK_SECONDS / max(seconds, 1e-6)))

    def _changing(self, data: Mapping[Input, np.ndarray]) -> _Changing:
        given = tuple(data)
        found = self._changing_with.get(given)
        if found is None:
            program_inputs = self.lowered.layout.inputs
            own = [i for i in program_inputs if i not in data and not self.sources[i].constant]
            changing = [i for i in program_inputs if i in data or i in own]
            changing.extend(i for i in data if i not in program_inputs)
            fixed = [i for i in program_inputs if i not in changing]
            found = self._changing_with[given] = _Changing(tuple(changing), own, fixed)
        return found

    def _run_chunk(
        self, state: State, n: int, inputs: _Changing, data, capacity: int
    ) -> tuple[State, list[np.ndarray]]:
        first, sources = state.n_steps + 1, self.sources
        if inputs.own:
            data = {**data, **own_rows(sources, inputs.own, first, n)}
        rows = [data[item] for item in inputs.changing]
        fixed = [sources[item].rows(first, n) for item in inputs.fixed]
        carried = self.model.carried() if state.carried is None else state.carried
        before = [*state.tensors, *carried] if carried else state.tensors
        run = self._functions.get((inputs.changing, capacity))
        if run is None:
            run = self._new_function(inputs.changing, capacity)
            self._functions[inputs.changing, capacity] = run
        tensors, outputs = self._watch.call(self._in_scope, run, fixed, before, rows, first, n)
        outputs = [
            value[:n].swapaxes(0, 1) if keep else value[:, None]
            for value, keep in zip(outputs, self.kept, strict=True)
        ]
        if not carried:
            return State(tensors, state.n_steps + n, ()), outputs
        n_states = len(state.tensors)
        after = State(tuple(tensors[:n_states]), state.n_steps + n, tuple(tensors[n_states:]))
        return after, outputs

    def _in_scope(self, run, *values):
        """Call what runs a chunk, in whatever thread."""
        with self.scope():
            given = () if isinstance(run, ShortRuns) else (self.model.arguments(),)
            return run(*given, *values)

    def _call(self, function, capacity: int, arguments, fixed, state, rows, first: int, n: int):
        """Call a function of the backend with arrays; in whatever thread."""
        with self.scope():
            tensors, outputs = function(
                arguments,
                [self._tensor(value) for value in fixed],
                list(state),
                [
                    self.backend.argument(self._padded(r, capacity), self.settings.dtype)
                    for r in rows
                ],
                self.backend.argument(np.asarray(first), "int32"),
                self.backend.argument(np.asarray(n), "int32"),
            )
            return tensors, [np.asarray(value) for value in outputs]

    def settle(self, state: State) -> State:
        """Let the Keras variables have their values in ``state``, from which a later run goes
        on.
        """
        if not state.carried:
            return state
        with self.scope():
            self.model.assign_carried(state.carried)
        return State(state.tensors, state.n_steps)

    def _padded(self, rows: np.ndarray, capacity: int) -> Any:
        """(batch, n, size) -> (capacity, batch, size)"""
        result = np.zeros((capacity, len(rows), rows.shape[2]), dtype=self.settings.dtype)
        result[: rows.shape[1]] = np.swapaxes(rows, 0, 1)
        return self.backend.argument(result, self.settings.dtype)

    def _new_function(self, changing: tuple[Input, ...], capacity: int):
        """Runs a chunk: ``f(arguments, fixed, state, rows, first_step, n_steps)``, or `ShortRuns`,
        which know their arguments.
        """
        training = bool(self.model.learning_phase)
        if HostLoop.suits(self.lowered, changing):
            return self._host_loop(changing, training)
        chunk = self._chunk(self.lowered, changing, training, capacity)
        size = self._share_size(chunk)
        if self._is_short(chunk, size):
            return self._short_runs(chunk, changing)
        if size < chunk.minibatch_size:
            chunk = self._chunk(self.lowered.resized(size), changing, training, capacity)
        function = self.backend.chunk_function(chunk, self.jit)
        run = partial(Engine._call, self._weak(), function, capacity)
        batch = self.settings.minibatch_size
        return (
            run
            if size == batch
            else ItemThreads(run, size, batch, self.backend, self.settings.dtype)
        )

    def _share_size(self, chunk: Chunk) -> int:
        """How many items of a minibatch run together."""
        # what is not known may do with the items of a minibatch what it likes
        if self.on_cpu() and self.jit is not False and chunk.structure is not None:
            return share_size(self.lowered)
        return chunk.minibatch_size

    def _is_short(self, chunk: Chunk, size: int) -> bool:
        """Whether a chunk runs in one call of one compiled function, and is for few steps."""
        few = chunk.capacity <= tuning.SHORT_RUN_STEPS and chunk.capacity < self.capacity()
        whole = size == chunk.minibatch_size and not self.model.quantized
        return few and whole and self.backend.can_be_short(self.jit)

    def _short_runs(self, chunk: Chunk, changing: tuple[Input, ...]) -> ShortRuns:
        if chunk.capacity not in self._packings:
            states = [*self.initial_state().tensors, *self.model.carried()]
            self._packings[chunk.capacity] = Packing([*states, *output_arrays(chunk)])
        packing = self._packings[chunk.capacity]
        tensor = partial(_tensor, self.backend, self.settings.dtype, self.device)
        sizes = [item.size for item in changing]
        return ShortRuns(chunk, self.model, sizes, packing, tensor, self.jit)

    def _chunk(
        self, lowered: LoweredNetwork, changing: tuple[Input, ...], training: bool, capacity: int
    ) -> Chunk:
        invariant, step = lowered.functions(changing, training)
        unroll = min(self.unroll, capacity)
        return Chunk(
            invariant=invariant,
            step=self._counted(step),
            carry=self.carry,
            capacity=capacity,
            kept=self.kept,
            output_widths=self.widths,
            unroll=unroll,
            inner=1 if self.on_cpu() else max(1, min(tuning.GPU_STEPS, capacity) // unroll),
            dtype=self.settings.dtype,
            minibatch_size=lowered.settings.minibatch_size,
            device=self.device,
            structure=step_structure(lowered, changing, training),
        )

    def _host_loop(self, changing: tuple[Input, ...], training: bool):
        """As the function of a chunk, for steps that call Python; of any capacity."""
        engine, loops = self._weak(), self._host_loops

        def run(arguments, fixed, state, rows, first_step, n_steps):
            # rows are the same for all items, or different for each
            batches = tuple(map(len, rows))
            if (changing, batches) not in loops:
                engine.n_traces += 1
                tensor = partial(_tensor, engine.backend, engine.settings.dtype, engine.device)
                loops[changing, batches] = HostLoop(
                    *(engine.lowered, changing, batches, training),
                    *(engine.backend, tensor, engine.jit),
                )
            fixed = [engine._tensor(value) for value in fixed]
            loop = loops[changing, batches]
            return loop.run(arguments, fixed, state, rows, first_step, n_steps, engine.kept)

        return run

    def _counted(self, step):
        engine, carry = self._weak(), self.carry

        def traced(invariant, state, *arguments):
            engine.n_traces += 1
            state, outputs = step(invariant, carry.flat(state), *arguments)
            return carry.shaped(state), outputs

        return traced

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
