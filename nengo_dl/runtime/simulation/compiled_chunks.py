"""The compiled functions that run chunks, by the inputs that change and by their capacity."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np

from nengo_dl import tuning
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.host_loop import HostLoop
from nengo_dl.runtime.simulation.item_threads import ItemThreads, share_size
from nengo_dl.runtime.simulation.packing import Packing
from nengo_dl.runtime.simulation.placement import Placement
from nengo_dl.runtime.simulation.short_runs import ShortRuns, output_arrays
from nengo_dl.runtime.step.carry import Carry
from nengo_dl.runtime.step.chunk import Chunk
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.step.structure import step_structure


class CompiledChunks:
    """Makes and keeps them. What they hold of this is weak: no cycle, so that it is freed at once.

    Parameters
    ----------
    model
        The network, and the owner of its parameters.
    placement
        Where its tensors live.
    unroll, jit
        See `nengo_dl.Simulator` and `nengo_dl.configure_settings`.

    Attributes
    ----------
    functions
        ``f(arguments, fixed, state, rows, first_step, n_steps)``, or `ShortRuns`, which know their
        arguments, by the inputs that change and the most steps of a call.
    n_traces
        How often a step was traced.
    most_steps
        The largest capacity.
    """

    def __init__(self, model: NengoModel, placement: Placement, unroll: int, jit: bool | None):
        self.model, self.lowered, self.backend = model, model.lowered, model.loop_backend
        self.placement, self.unroll, self.jit = placement, unroll, jit
        self.kept, self.settings = model.kept, self.lowered.settings
        self.carry = Carry(self.lowered.states)
        self.widths = tuple(recipe.width for recipe in self.lowered.layout.outputs)
        item = np.dtype(self.settings.dtype).itemsize * self.settings.minibatch_size
        recorded = sum(w for w, keep in zip(self.widths, self.kept, strict=True) if keep)
        #: bytes of inputs and outputs in a step
        step_bytes = item * (recorded + sum(i.size for i in self.lowered.layout.inputs))
        self.most_steps = max(1, min(tuning.CHUNK_BYTES // max(step_bytes, 1), tuning.CHUNK_STEPS))
        self.functions: dict[tuple[tuple[Input, ...], int | None], Any] = {}
        self.n_traces = 0
        self._few_runs = 0
        self._host_loops: dict[tuple[tuple[Input, ...], tuple[int, ...]], HostLoop] = {}
        self._packings: dict[int, Packing] = {}

    def tensor(self, value: np.ndarray) -> Any:
        """A tensor on the device, integers in 32 bits and all else in the network's precision."""
        dtype = "int32" if value.dtype.kind in "iu" else self.settings.dtype
        return self.placement.tensor(value.astype(dtype))

    def _capacity_for(self, changing: tuple[Input, ...], n_steps: int) -> int:
        """Rows of the buffers for a run of so many steps: few where runs are short."""
        capacity, few = self.most_steps, 1 << (n_steps - 1).bit_length()
        if n_steps > tuning.SHORT_RUN_STEPS or few >= capacity:
            self._few_runs = 0
            return capacity
        self._few_runs += 1
        if (changing, few) in self.functions or (changing, capacity) not in self.functions:
            return few
        return few if self._few_runs >= tuning.SHORT_RUNS else capacity

    def function_for(self, changing: tuple[Input, ...], n_steps: int) -> tuple[Any, int]:
        """A function for a run of so many steps, made at the first call, and the most steps that
        it takes.
        """
        capacity = self._capacity_for(changing, n_steps)
        found = self.functions.get((changing, capacity))
        if found is None:
            found = self.functions[changing, capacity] = self._make(changing, capacity)
        return found, capacity

    def _make(self, changing: tuple[Input, ...], capacity: int):
        training = bool(self.model.learning_phase)
        if HostLoop.suits(self.lowered, changing):
            return self._host_loop(changing, training)
        chunk = self._chunk(self.lowered, changing, training, capacity)
        size = self._share_size(chunk)
        if self._is_short(chunk, size):
            return self._short_runs(chunk, changing)
        if size < chunk.minibatch_size:
            chunk = self._chunk(self.lowered.resized(size), changing, training, capacity)
        function, batch = self._function(chunk), self.settings.minibatch_size
        run = partial(CompiledChunks._call, weakref.proxy(self), function, capacity)
        if size == batch or self.placement.devices is not None:
            return run
        return ItemThreads(run, size, self.settings, self.backend)

    def _function(self, chunk: Chunk):
        """The function of a chunk; on several devices, of all shares of the minibatch."""
        devices = self.placement.devices
        if devices is None:
            return self.backend.chunk_function(chunk, self.jit)
        plain = self.backend.chunk_function(chunk, False)
        return devices.chunk_function(plain, chunk, self.settings.minibatch_size)

    def _share_size(self, chunk: Chunk) -> int:
        """How many items of a minibatch run together."""
        devices, batch = self.placement.devices, chunk.minibatch_size
        # what is not known may do with the items of a minibatch what it likes
        if chunk.structure is None or self.jit is False:
            return batch
        if devices is not None:
            return batch // devices.n_shares if devices.cuts_calls else batch
        return share_size(self.lowered) if self.placement.on_cpu() else batch

    def _is_short(self, chunk: Chunk, size: int) -> bool:
        """Whether a chunk runs in one call of one compiled function, and is for few steps."""
        few = chunk.capacity <= tuning.SHORT_RUN_STEPS and chunk.capacity < self.most_steps
        whole = size == chunk.minibatch_size and not self.model.quantized
        alone = self.model.devices is None
        return few and whole and alone and self.backend.can_be_short(self.jit)

    def _short_runs(self, chunk: Chunk, changing: tuple[Input, ...]) -> ShortRuns:
        if chunk.capacity not in self._packings:
            states = [*self.model.initial_arrays(), *self.model.carried()]
            self._packings[chunk.capacity] = Packing([*states, *output_arrays(chunk)])
        packing = self._packings[chunk.capacity]
        sizes = [item.size for item in changing]
        return ShortRuns(chunk, self.model, sizes, packing, self.placement.tensor, self.jit)

    def _chunk(
        self, lowered: LoweredNetwork, changing: tuple[Input, ...], training: bool, capacity: int
    ) -> Chunk:
        invariant, step = lowered.functions(changing, training)
        unroll = min(self.unroll, capacity)
        inner = max(1, min(tuning.GPU_STEPS, capacity) // unroll)
        return Chunk(
            invariant=invariant,
            step=self._counted(step),
            carry=self.carry,
            capacity=capacity,
            kept=self.kept,
            output_widths=self.widths,
            unroll=unroll,
            inner=1 if self.placement.on_cpu() else inner,
            dtype=self.settings.dtype,
            minibatch_size=lowered.settings.minibatch_size,
            device=self.placement.device,
            structure=step_structure(lowered, changing, training),
        )

    def _host_loop(self, changing: tuple[Input, ...], training: bool):
        """As the function of a chunk, for steps that call Python; of any capacity."""
        chunks, loops = weakref.proxy(self), self._host_loops

        def run(arguments, fixed, state, rows, first_step, n_steps):
            # rows are the same for all items, or different for each
            batches = tuple(map(len, rows))
            if (changing, batches) not in loops:
                chunks.n_traces += 1
                loops[changing, batches] = HostLoop(
                    *(chunks.lowered, changing, batches, training),
                    *(chunks.backend, chunks.placement, chunks.jit),
                )
            loop = loops[changing, batches]
            return loop.run(arguments, fixed, state, rows, first_step, n_steps, chunks.kept)

        return run

    def _counted(self, step):
        chunks, carry = weakref.proxy(self), self.carry

        def traced(invariant, state, *arguments):
            chunks.n_traces += 1
            state, outputs = step(invariant, carry.flat(state), *arguments)
            return carry.shaped(state), outputs

        return traced

    def _call(self, function, capacity: int, arguments, fixed, state, rows, first: int, n: int):
        """Call a function of the backend with arrays; in whatever thread."""
        with self.placement.scope():
            tensors, outputs = function(
                arguments,
                list(map(self.tensor, fixed)),
                list(state),
                [self._padded(values, capacity) for values in rows],
                np.array(first, np.int32),
                np.array(n, np.int32),
            )
            return tensors, list(map(np.asarray, outputs))

    def _padded(self, rows: np.ndarray, capacity: int) -> np.ndarray:
        """(batch, n, size) -> (capacity, batch, size)"""
        result = np.zeros((capacity, len(rows), rows.shape[2]), dtype=self.settings.dtype)
        result[: rows.shape[1]] = np.swapaxes(rows, 0, 1)
        return result
