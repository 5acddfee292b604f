"""Runs of a few steps, as in a closed loop: as little as possible around a call of one compiled
function.

What is the same in each call is prepared once and stays on the device, and so does the state; the
tensors that a call takes and returns are few and flat. What a call computes is the same as in a
long run: the loop of the backend over the steps of a `Chunk`.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl import tuning
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.packing import PackedState, Packing
from nengo_dl.runtime.step.chunk import Chunk
from nengo_dl.runtime.step.frame import Invariant

#: numbers with which a vector begins: how many steps there are, and the number of the first one as
#: a multiple of `CLOCK_PART` and the rest, each of which is exact in single precision
N_CLOCK = 3
CLOCK_PART = 1 << 16


def output_arrays(chunk: Chunk) -> list[np.ndarray]:
    """Arrays for the outputs of a chunk, of nothing yet: (capacity, batch, width), or (batch,
    width) where only the last step is kept.
    """
    batch, capacity = chunk.minibatch_size, chunk.capacity
    shapes = [
        (capacity, batch, width) if keep else (batch, width)
        for width, keep in zip(chunk.output_widths, chunk.kept, strict=True)
    ]
    return [np.zeros(shape, chunk.dtype) for shape in shapes]


class ShortRuns:
    """Runs up to ``chunk.capacity`` steps a call.

    Parameters
    ----------
    chunk
        What is run.
    model
        The network, and the owner of its parameters.
    row_sizes
        Sizes of the inputs that change.
    packing
        Of the states, of the variables that a step changes, and of `output_arrays`.
    tensor
        ``tensor(array)``, a tensor of the array's type on the network's device, in whatever
        context.
    jit
        As for the backend's ``compiled_for``.
    """

    def __init__(
        self,
        chunk: Chunk,
        model: NengoModel,
        row_sizes: Sequence[int],
        packing: Packing,
        tensor: Callable[[np.ndarray], Any],
        jit: bool | None,
    ):
        self._chunk, self._model, self._jit = chunk, model, jit
        self._backend, self._packing, self._tensor = model.loop_backend, packing, tensor
        self._row_sizes = tuple(row_sizes)
        self._variables = list(model.argument_variables().values())
        self._n_states = len(packing) - len(chunk.output_widths)
        self._nothing = output_arrays(chunk)
        self._functions: dict[Hashable, Callable] = {}
        self._make_invariant: Callable | None = None
        # found when it is traced
        self._keys: tuple[tuple, ...] = ()
        self._packed_invariant = Packing(())
        #: what the parameters and ``fixed`` were for which ``_given`` was found
        self._ids: list[int] | None = None
        self._alive: list[Any] = []
        self._given: list[Any] = []
        #: what is new in each call, by the batch of each row: `N_CLOCK` numbers, and all rows,
        #: (capacity, batch or 1, size) each, one after the other
        self._vectors: dict[tuple[int, ...], tuple[np.ndarray, list[np.ndarray], Any]] = {}

    def __call__(
        self,
        fixed: Sequence[np.ndarray],
        state: Sequence[Any],
        rows: Sequence[np.ndarray],
        first_step: int,
        n_steps: int,
    ) -> tuple[PackedState, list[np.ndarray]]:
        """The state after ``n_steps`` steps, and the outputs: (capacity, batch, width), or the last
        one, (batch, width). ``rows`` are (batch or 1, n_steps, size).
        """
        packing = self._packing
        if type(state) is PackedState and state.packing is packing:
            packed = state.packed
        else:
            arrays = [*map(np.asarray, state), *self._nothing]
            packed = [*map(self._tensor, packing.packed(arrays))]
        batches = tuple([len(values) for values in rows])
        vector, parts, argument = self._vectors.get(batches) or self._new_vector(batches)
        vector[0], vector[1], vector[2] = n_steps, *divmod(first_step, CLOCK_PART)
        for part, values in zip(parts, rows, strict=True):
            part[:n_steps] = values.swapaxes(0, 1)
        tensors = [*self._given_for(fixed), *packed, argument]
        function = self._functions.get(batches)
        if function is None:
            function = self._functions[batches] = self._compiled(tensors, batches)
        packed = function(tensors)
        after = PackedState(packing, packed, self._n_states, self._tensor)
        return after, packing.taken(packed, self._n_states)

    # -- what is given -----------------------------------------------------------------------------

    def _given_for(self, fixed: Sequence[np.ndarray]) -> list[Any]:
        """What is the same in each call until a parameter changes."""
        now = [*self._backend.versions(self._variables), *fixed]
        ids = [*map(id, now)]
        if ids != self._ids:
            self._given = self._find_given(fixed)
            self._ids, self._alive = ids, now  # alive, so that no id comes twice
        return self._given

    def _find_given(self, fixed: Sequence[np.ndarray]) -> list[Any]:
        tensors = [self._tensor(np.asarray(value, self._chunk.dtype)) for value in fixed]
        if self._backend.reads_variables:
            return [*map(self._backend.reference, self._variables), *tensors]
        given = [*self._model.arguments().values(), *tensors]
        if self._make_invariant is None:
            self._backend.trace(self._trace_invariant, given)  # what is compiled may be another's
            self._make_invariant = self._backend.compiled_for(
                self._trace_invariant, given, self._jit, self._key("invariant")
            )
        return list(self._make_invariant(given))

    def _new_vector(self, batches: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray], Any]:
        packing = self._row_packing(batches)
        size = sum(math.prod(place.shape) for place in packing.places)
        vector, argument = self._backend.shared(N_CLOCK + size, self._chunk.dtype)
        parts = packing.taken([vector[N_CLOCK:]])
        found = self._vectors[batches] = vector, parts, argument
        return found

    def _row_packing(self, batches: tuple[int, ...]) -> Packing:
        pairs = zip(batches, self._row_sizes, strict=True)
        shapes = [(self._chunk.capacity, batch, size) for batch, size in pairs]
        return Packing([np.empty(shape, bool) for shape in shapes], math.inf)

    # -- what is compiled --------------------------------------------------------------------------

    def _key(self, what: str, *more: Hashable) -> Hashable | None:
        key = self._chunk.key
        return None if key is None else (what, key, self._row_sizes, *more)

    def _arguments(self, tensors: Sequence[Any]) -> tuple[dict[str, Any], list[Any]]:
        names = list(self._model.argument_variables())
        return dict(zip(names, tensors, strict=False)), list(tensors[len(names) :])

    def _trace_invariant(self, tensors: list) -> list:
        invariant = self._chunk.invariant(*self._arguments(tensors))
        self._keys, tensors = invariant.keys(), invariant.tensors()
        few = len(tensors) <= tuning.UNPACKED_TENSORS
        self._packed_invariant = Packing(tensors, 0 if few else tuning.PACKED_ELEMENTS)
        return self._packed_invariant.pack(tensors)

    def _compiled(self, tensors: list, batches: tuple[int, ...]) -> Callable:
        weak: Any = weakref.proxy(self)  # no cycle, so that what is compiled is freed with this
        trace = partial(ShortRuns._trace_steps, weak, batches)
        return self._backend.compiled_for(trace, tensors, self._jit, self._key("steps", batches))

    def _trace_steps(self, batches: tuple[int, ...], tensors: list) -> list:
        """From what is given, the packed state, and a vector as in ``_vectors``: state and outputs,
        packed.

        How many steps there are is known to the compiler nowhere: it would make something else of a
        loop of one step, with other rounding errors.
        """
        chunk = self._chunk
        *tensors, vector = tensors
        n_given = len(tensors) - self._packing.n_packed
        state = self._packing.unpack(tensors[n_given:])[: self._n_states]
        invariant = self._invariant(tensors[:n_given])
        n_steps, whole, rest = (ops.cast(vector[k], "int32") for k in range(N_CLOCK))
        rows = self._row_packing(batches).unpack([vector[N_CLOCK:]])
        state, outputs = self._backend.run_steps(
            chunk, invariant, state, rows, whole * CLOCK_PART + rest, n_steps
        )
        return self._packing.pack([*state, *outputs])

    def _invariant(self, given: list) -> Invariant:
        if self._backend.reads_variables:
            names = self._model.argument_variables()
            references, fixed = given[: len(names)], given[len(names) :]
            arguments = {
                name: self._backend.read(reference, variable)
                for (name, variable), reference in zip(names.items(), references, strict=False)
            }
            return self._chunk.invariant(arguments, fixed)
        return Invariant.of(self._keys, self._packed_invariant.unpack(given))
