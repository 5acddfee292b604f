"""The steps of a network with Python code in the loop: compiled pieces, and between them the calls.

A step is cut where Python is called. What comes after the last call of a step and before the first
call of the next is one compiled function, so that a network with one Python Node takes one compiled
call in each step. To call Python from inside a compiled loop takes the backends several times as
long.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from operator import is_
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl import tuning
from nengo_dl.compiler import verify
from nengo_dl.compiler.cut import cut_at_host_calls
from nengo_dl.compiler.layout import Run
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.simulation import host_calls
from nengo_dl.runtime.simulation.host_calls import Between, Call, Given, places_in_vector
from nengo_dl.runtime.simulation.packing import PackedState, Packing
from nengo_dl.runtime.simulation.placement import Placement
from nengo_dl.runtime.step.frame import Frame, Invariant
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.step.structure import step_structure


class HostLoop:
    """Runs chunks of a network whose steps call Python.

    Parameters
    ----------
    network
        The network.
    changing
        The inputs whose values change from step to step, in the order of ``rows``.
    batches
        For each of them, how many items its rows have.
    training
        Whether neurons act as their differentiable counterparts.
    backend
        What compiles the pieces.
    placement
        Where the network's tensors live.
    jit
        As for the backend's ``compiled_for``.
    """

    def __init__(
        self,
        network: LoweredNetwork,
        changing: Sequence[Input],
        batches: Sequence[int],
        training: bool,
        backend: Any,
        placement: Placement,
        jit: bool | None,
    ):
        self.network, self.training = network, training
        self.backend, self._tensor, self._jit = backend, placement.tensor, jit
        self._row_shapes = [(n, item.size) for n, item in zip(batches, changing, strict=True)]
        self._row_size = sum(map(math.prod, self._row_shapes))
        batch = network.settings.minibatch_size
        self._output_shapes = [(batch, recipe.width) for recipe in network.layout.outputs]
        self._n_outputs = sum(map(math.prod, self._output_shapes))
        self._schedule = network.schedule(changing)
        self._pieces = cut_at_host_calls(self._schedule)
        if verify.enabled():
            verify.verify_pieces(self._schedule, self._pieces)
        self._passed = [sorted(piece.passed) for piece in self._pieces]

        numbers = batch * sum(tensor.width for tensor in network.layout.tensors)
        self._quickly = numbers <= tuning.QUICKLY_COMPILED_NUMBERS
        structure = step_structure(network, changing, training, apart=True)
        own = structure, *self._row_shapes, placement.device
        self._key: tuple[Hashable, ...] | None = own if structure else None
        self._make_invariant = self._compiled(HostLoop._trace_invariant)
        middle = range(1, len(self._pieces) - 1)
        self._middle = [self._compiled(HostLoop._trace_middle, k) for k in middle]
        self._turn = self._compiled(HostLoop._trace_turn)
        ends = (network.layout.instructions[number] for number in self._pieces[-1].numbers)
        draws = any(isinstance(run, Run) and run.kernel.on_host for run in ends)
        self._first = self._compiled(HostLoop._trace_first) if draws else self._turn
        # found before the functions are compiled, as what is compiled may be another's
        self._names: list[str] = []
        self._keys: tuple[tuple, ...] | None = None
        self._common = Packing(())
        self._carry: dict[int, Packing] = {}
        self._calls: dict[int, list[Call]] = {}
        self._n_given: dict[int, int] = {}
        self._between: list[Between] = []
        #: tensors, and what is the same in each step because of them
        self._made: tuple[list, list] = ([], [])
        #: the state after the last run, what was the same in each step, and what it gave the host
        self._ended: tuple[Any, ...] = (None, None, None)

    @classmethod
    def suits(cls, network: LoweredNetwork, changing: Sequence[Input]) -> bool:
        """Whether the steps call Python, and no Keras layer changes variables of its own."""
        return not network.carried and len(cut_at_host_calls(network.schedule(changing))) > 1

    # -- what is compiled --------------------------------------------------------------------------

    def _compiled(self, trace: Callable, *given: int) -> Callable:
        """What ``trace`` makes of tensors, compiled at the first call."""
        weak = weakref.proxy(self)  # no cycle, so that what is compiled is freed with this
        key = None if self._key is None else (*self._key, trace.__name__, *given)
        compiled: list[Callable] = []

        def run(tensors: list) -> Any:
            if not compiled:
                how = tensors, weak._jit, key, weak._quickly
                compiled.append(weak.backend.compiled_for(partial(trace, weak, *given), *how))
            return compiled[0](tensors)

        return run

    def _trace_invariant(self, tensors: list) -> list:
        """What is the same in each step, from the arguments and ``fixed``."""
        arguments = dict(zip(self._names, tensors, strict=False))
        fixed = tensors[len(self._names) :]
        invariant = self.network.invariant(self._schedule, arguments, fixed, self.training)
        self._keys = invariant.keys()
        tensors = invariant.tensors()
        self._common = Packing(tensors)
        return self._common.pack(tensors)

    def _trace_begin(self, tensors: list) -> list:
        """The first piece; it is not compiled, but finds what there is to know of the others."""
        *tensors, vector = tensors
        given, state = self._given(tensors, vector)
        return self._piece(0, self._frame(given, given.i, given.rows, state), state)

    def _trace_middle(self, k: int, tensors: list) -> list:
        frame, state, _ = self._received(k, tensors)
        return self._piece(k, frame, state)

    def _trace_turn(self, tensors: list) -> list:
        """The end of a step and the begin of the next; the outputs come before the operands.

        Before the first step of a chunk, when the number of the step is -1, what ends counts for
        nothing: a function of its own for the first begin would take as long to compile.
        """
        last = len(self._pieces) - 1
        frame, before, given = self._received(last, tensors)
        frame.execute(self._pieces[last].numbers)
        after, outputs = frame.next_state(), frame.outputs()
        state = [ops.where(given.i < 0, a, b) for a, b in zip(before, after, strict=True)]
        return self._piece(
            0, self._frame(given, given.i + 1, given.next_rows, state), state, outputs
        )

    def _trace_first(self, tensors: list) -> list:
        """The begin of the first step of a chunk, where the end of a step would draw numbers."""
        _, state, given = self._received(len(self._pieces) - 1, tensors)
        outputs = [ops.zeros((self._n_outputs,), self.network.settings.dtype)]
        return self._piece(
            0, self._frame(given, given.i + 1, given.next_rows, state), state, outputs
        )

    def _given(self, tensors: list, vector: Any) -> tuple[Given, list]:
        """What each piece is given, of which ``vector`` changes, and the rest of ``tensors``."""
        n = self._common.n_packed
        assert self._keys is not None  # by now
        invariant = Invariant.of(self._keys, self._common.unpack(tensors[:n]))
        i, rows = ops.cast(vector[0], "int32"), self._rows(vector, 1)
        next_rows = self._rows(vector, 1 + self._row_size)
        return Given(invariant, rows, next_rows, tensors[n], i), tensors[n + 1 :]

    def _rows(self, vector: Any, start: int) -> list:
        """Rows, one after the other from there on; those of the next step are not everywhere."""
        places, end = places_in_vector(self._row_shapes, start)
        if end > vector.shape[0]:
            return []
        return [ops.reshape(vector[span], shape) for span, shape in places]

    def _received(self, k: int, tensors: list) -> tuple[Frame, list, Given]:
        """What piece ``k`` is given by the piece before and the calls between them: its frame, the
        state, and what each piece is given.
        """
        *tensors, vector = tensors
        given, carry = self._given(tensors, vector)
        carry, n_states = self._carry[k].unpack(carry), len(self.network.states)
        made = dict(zip(self._passed[k], carry[n_states:], strict=True))
        for call in self._calls[k - 1]:
            for index, span, shape in call.results:
                made[index] = ops.reshape(vector[span], shape)
        state = carry[:n_states]
        return self._frame(given, given.i, given.rows, state, made), state, given

    def _frame(
        self, given: Given, i: Any, rows: list, state: list, made: Mapping[int, Any] = {}
    ) -> Frame:
        """The frame of a piece, of the i-th step, in which some tensors have been made."""
        rows_and_made = {**dict(zip(self._schedule.rows, rows, strict=True)), **made}
        own = dict(zip(self.network.flow.states, state, strict=True))
        return Frame(
            self.network, given.invariant, own, rows_and_made, given.first + i, self.training
        )

    def _piece(self, k: int, frame: Frame, state: list, outputs: Sequence[Any] = ()) -> list:
        """Compute piece ``k``: what the next one is given, and a vector for the host: ``outputs``,
        and the operands of the calls.
        """
        piece, dtype = self._pieces[k], self.network.settings.dtype
        frame.execute(piece.numbers)
        instructions = self.network.layout.instructions
        operands = [
            [frame.operand(n, i) for i in range(len(instructions[n].operands))] for n in piece.calls
        ]
        passed = [ops.cast(frame.values[index], dtype) for index in self._passed[k + 1]]
        if k not in self._calls:
            shapes = [[tuple(x.shape) for x in own] for own in operands]
            self._plan(k, shapes, [tuple(x.shape) for x in passed])
        vectors = [ops.reshape(x, (-1,)) for own in [outputs, *operands] for x in own]
        vector = ops.concatenate(vectors) if vectors else ops.zeros((1,), dtype)
        return [*self._carry[k + 1].pack([*state, *passed]), vector]

    def _plan(
        self, k: int, operands: Sequence[Sequence[tuple]], passed: Sequence[tuple[int, ...]]
    ) -> None:
        """Note the calls after piece ``k``, from the shapes of their operands, and the shapes of
        what it passes on.
        """
        network, start = self.network, 0 if k else self._n_outputs
        # the results come after the number of the step, its rows, and for the turn the next rows
        end = 1 + self._row_size * (2 if k + 1 == len(self._pieces) - 1 else 1)
        calls, end = host_calls.plan_calls(network, self._pieces[k].calls, operands, start, end)
        self._calls[k], self._n_given[k] = calls, end
        batch, zero = network.settings.minibatch_size, np.zeros((), network.settings.dtype)
        states = [(batch, stored.tensor.width) for stored in network.states]
        self._carry[k + 1] = Packing([np.broadcast_to(zero, s) for s in [*states, *passed]])

    def _plan_all(self) -> None:
        """`_plan` of all pieces, for a minibatch of one, in which all tensors have one row."""
        widths = {tensor.index: tensor.width for tensor in self.network.layout.tensors}
        for k in range(len(self._pieces) - 1):
            calls = (self.network.layout.instructions[number] for number in self._pieces[k].calls)
            operands = [[(1, recipe.width) for recipe in call.operands] for call in calls]
            self._plan(k, operands, [(1, widths[index]) for index in self._passed[k + 1]])

    # -- running -----------------------------------------------------------------------------------

    def run(
        self,
        arguments: dict[str, Any],
        fixed: Sequence[Any],
        state: Sequence[Any],
        rows: Sequence[np.ndarray],
        first_step: int,
        n_steps: int,
        kept: Sequence[bool],
    ) -> tuple[PackedState, list[np.ndarray]]:
        """The state after ``n_steps`` steps, or before the one in which Python code failed, and the
        outputs of each step, (n_steps, batch, width), with zeros from a failure on; where they are
        not ``kept`` those of the last, (batch, width). ``rows`` are (batch or 1, n_steps, size);
        ``fixed`` arrays never change.
        """
        first = np.asarray(first_step, np.int32)
        if n_steps > tuning.SHORT_RUN_STEPS:  # to make a tensor takes longer than few steps
            first = self._tensor(first)
        made = self._invariant(arguments, fixed)
        common = [*made, first]
        if not self._carry:
            self._find_shapes(common, state)
        dtype = self.network.settings.dtype
        given_rows = host_calls.joined_rows(rows, self._row_shapes, n_steps, dtype)
        outputs = np.zeros((n_steps, self._n_outputs), dtype)
        last, as_array = len(self._pieces) - 1, self.backend.array
        between = self._between or self._find_between()
        packing, host = self._carry[1], self.network.host
        before, made_before, vector = self._ended
        if isinstance(state, PackedState) and state is before and made is made_before and not rows:
            carry = [*state.packed]  # the last turn began this step
        else:
            between[-1].vector[:] = 0
            between[-1].set_step(-1, given_rows, with_next=True)
            *carry, for_host = self._first([*common, *self._packed(state), between[-1].argument])
            vector = as_array(for_host)
        for i in range(n_steps):
            step_index = first_step + i
            for k, calls in enumerate(between):
                calls.set_step(i, given_rows, with_next=k == last - 1)
                calls.call(host, step_index, vector)
                if k < last - 1:
                    *carry, for_host = self._middle[k]([*common, *carry, calls.argument])
                    vector = as_array(for_host)
            if host.failure is not None:
                packing = self._carry[last]
                break
            *carry, for_host = self._turn([*common, *carry, calls.argument])
            vector = as_array(for_host)
            outputs[i] = vector[: outputs.shape[1]]
        after = PackedState(packing, carry, len(self.network.states), self._tensor)
        self._ended = (after, made, vector) if host.failure is None else (None, None, None)
        return after, host_calls.split_steps(outputs, self._output_shapes, kept)

    def _invariant(self, arguments: Mapping[str, Any], fixed: Sequence[Any]) -> list:
        """What is the same in each step; as before where it is made of the same tensors."""
        values = [*arguments.values(), *fixed]
        made_of, made = self._made
        same = len(values) == len(made_of) and all(map(is_, values, made_of))
        if same and values and not self.backend.reads_variables:  # those change in place
            return made
        self._names = list(arguments)
        arrays = (np.asarray(values, self.network.settings.dtype) for values in fixed)
        tensors = [*arguments.values(), *map(self._tensor, arrays)]
        made = self._make_invariant(tensors)
        if self._keys is None:  # what was compiled is another's
            self.backend.trace(self._trace_invariant, tensors)
        self._made = values, made
        return made

    def _find_shapes(self, common: list, state: Sequence[Any]) -> None:
        """Look through the pieces before the last one, without compiling them: which operands the
        calls have, and what is passed on.
        """
        if self.network.settings.minibatch_size == 1:
            self._plan_all()
            return
        dtype = self.network.settings.dtype
        given = np.zeros(1 + 2 * self._row_size, dtype)
        self.backend.trace(self._trace_begin, [*common, *state, given])
        for k in range(1, len(self._pieces) - 1):
            carry = self._carry[k].packed(self._carry[k].zeros())
            given = np.zeros(self._n_given[k - 1], dtype)
            self.backend.trace(partial(self._trace_middle, k), [*common, *carry, given])

    def _packed(self, state: Sequence[Any]) -> Sequence[Any]:
        """What a turn is given before the first step."""
        packing = self._carry[len(self._pieces) - 1]
        if type(state) is PackedState and state.packing is packing:
            return state.packed
        arrays = [*map(np.asarray, state), *packing.zeros()[len(state) :]]
        return [*map(self._tensor, packing.packed(arrays))]

    def _find_between(self) -> list[Between]:
        """What happens after each piece but the last."""
        shared = partial(self.backend.shared, dtype=self.network.settings.dtype)
        pieces = range(len(self._pieces) - 1)
        self._between = [Between(self._calls[k], *shared(self._n_given[k])) for k in pieces]
        return self._between
