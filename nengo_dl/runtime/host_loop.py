"""The steps of a network with Python code in the loop: compiled pieces, and between them the calls.

A step is cut where Python is called. What comes after the last call of a step and before the first
call of the next is one compiled function, so that a network with one Python Node takes one compiled
call in each step. To call Python from inside a compiled loop takes the backends several times as
long.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler import verify
from nengo_dl.compiler.cut import cut_at_host_calls
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.frame import Frame, Invariant
from nengo_dl.runtime.packing import Packing
from nengo_dl.runtime.step import LoweredNetwork


@dataclass(frozen=True)
class Call:
    """A call of Python.

    Attributes
    ----------
    function
        ``function(host, batch, step_index, operands, results)``
    batch
        The number of items for which it is called.
    operands
        For each operand, its place in the vector that the piece before returns, and its shape.
    results
        For each result, its tensor, its place in the vector that the next piece is given, and its
        shape.
    """

    function: Callable[..., None]
    batch: int
    operands: list[tuple[slice, tuple[int, ...]]]
    results: list[tuple[int, slice, tuple[int, ...]]]


class HostLoop:
    """Runs chunks of a network whose steps call Python.

    Parameters
    ----------
    network
        The network.
    changing
        The inputs whose values change from step to step, in the order of ``rows``.
    training
        Whether neurons act as their differentiable counterparts.
    backend
        What compiles the pieces.
    jit
        As for the backend's ``compiled``.
    """

    def __init__(
        self,
        network: LoweredNetwork,
        changing: Sequence[Input],
        training: bool,
        backend: Any,
        jit: bool | None,
    ):
        self.network, self.training = network, training
        self.backend = backend
        self._schedule = network.schedule(changing)
        self._pieces = cut_at_host_calls(self._schedule)
        if verify.enabled():
            verify.verify_pieces(self._schedule, self._pieces)
        self._passed = [sorted(piece.passed) for piece in self._pieces]

        weak = weakref.proxy(self)  # no cycle, so that what is compiled is freed with this

        def compiled(trace: Callable, *given):
            return backend.compiled(partial(trace, weak, *given), jit)

        self._prepare = compiled(HostLoop._trace_prepare)
        self._begin = compiled(HostLoop._trace_begin)
        middle = range(1, len(self._pieces) - 1)
        self._middle = [compiled(HostLoop._trace_middle, k) for k in middle]
        self._turn = compiled(HostLoop._trace_turn)
        self._finish = compiled(HostLoop._trace_finish)
        # found when the functions are traced
        self._names: list[str] = []
        self._keys: tuple[tuple, ...] = ()
        self._common = Packing(())
        self._carry: dict[int, Packing] = {}
        self._calls: dict[int, list[Call]] = {}
        self._n_given: dict[int, int] = {}

    @classmethod
    def suits(cls, network: LoweredNetwork, changing: Sequence[Input]) -> bool:
        """Whether the steps call Python, and no Keras layer changes variables of its own."""
        return not network.carried and len(cut_at_host_calls(network.schedule(changing))) > 1

    # -- what is compiled --------------------------------------------------------------------------

    def _trace_prepare(self, tensors: list) -> list:
        """What is the same in each step of a chunk, from the arguments, ``fixed``, and the numbers
        of the first step and of the last one counted from it.
        """
        *tensors, first, last = tensors
        arguments = dict(zip(self._names, tensors, strict=False))
        fixed = tensors[len(self._names) :]
        invariant = self.network.prepare(self._schedule, arguments, fixed, self.training)
        self._keys = invariant.keys()
        tensors = [first, last, *invariant.tensors()]
        self._common = Packing(tensors)
        return self._common.pack(tensors)

    def _trace_begin(self, tensors: list) -> list:
        dtype = self.network.settings.dtype
        given, state = self._given(tensors)
        frame = self._frame(given, ops.zeros((), "int32"), state)
        return self._piece(0, frame, state, [ops.zeros((self._n_outputs(),), dtype)])

    def _trace_middle(self, k: int, tensors: list) -> list:
        frame, state, _, _ = self._received(k, tensors)
        return self._piece(k, frame, state)

    def _trace_turn(self, tensors: list) -> list:
        """The end of a step and the begin of the next; the outputs come before the operands."""
        last = len(self._pieces) - 1
        frame, _, given, i = self._received(last, tensors)
        frame.execute(self._pieces[last].numbers)
        state, outputs = frame.next_state(), frame.outputs()
        return self._piece(0, self._frame(given, i + 1, state), state, outputs)

    def _trace_finish(self, tensors: list) -> list:
        """The state in what a turn returns."""
        return self._carry[1].unpack(tensors)[: len(self.network.states)]

    def _given(self, tensors: list) -> tuple[_Given, list]:
        """What each piece is given, and the rest."""
        n, n_rows = self._common.n_packed, len(self._schedule.rows)
        first, last, *unpacked = self._common.unpack(tensors[:n])
        rows = tensors[n : n + n_rows]
        return _Given(Invariant.of(self._keys, unpacked), rows, first, last), tensors[n + n_rows :]

    def _received(self, k: int, tensors: list) -> tuple[Frame, list, _Given, Any]:
        """What piece ``k`` is given by the piece before and the calls between them: its frame, the
        state, what each piece is given, and the number of the step, counted from the first.
        """
        *tensors, results = tensors
        given, carry = self._given(tensors)
        carry, n_states = self._carry[k].unpack(carry), len(self.network.states)
        made = dict(zip(self._passed[k], carry[n_states:], strict=True))
        for call in self._calls[k - 1]:
            for index, span, shape in call.results:
                made[index] = ops.reshape(results[span], shape)
        i, state = ops.cast(results[0], "int32"), carry[:n_states]
        return self._frame(given, i, state, made), state, given, i

    def _frame(self, given: _Given, i: Any, state: list, made: Mapping[int, Any] = {}) -> Frame:
        """The frame of a piece, of the i-th step, in which some tensors have been made."""
        now = ops.minimum(i, given.last)  # there is no row after the last step
        rows = [ops.take(row, now, axis=0) for row in given.rows]
        rows_and_made = {**dict(zip(self._schedule.rows, rows, strict=True)), **made}
        own = dict(zip(self.network.flow.states, state, strict=True))
        return Frame(
            self.network, given.invariant, own, rows_and_made, given.first + i, self.training
        )

    def _piece(self, k: int, frame: Frame, state: list, outputs: Sequence[Any] = ()) -> list:
        """Compute piece ``k``: what the next one is given, and a vector for the host: ``outputs``,
        and the operands of the calls.
        """
        network, piece = self.network, self._pieces[k]
        frame.execute(piece.numbers)
        for_host, self._calls[k] = list(outputs), []
        start = 0 if k else self._n_outputs()
        end = 1  # of the results, which come after the number of the step
        for number in piece.calls:
            step = network.layout.instructions[number]
            function = network.kernels[number].host_function
            assert function is not None  # `cut_at_host_calls` chose those that have one
            own = [frame.operand(number, i) for i in range(len(step.operands))]
            batch = max((x.shape[0] for x in own), default=1)
            operands, start = _places([tuple(x.shape) for x in own], start)
            shapes = [(batch, tensor.width) for tensor in step.results]
            results, end = _places(shapes, end)
            made = [(t.index, *place) for t, place in zip(step.results, results, strict=True)]
            self._calls[k].append(Call(function, batch, operands, made))
            for_host.extend(own)
        self._n_given[k] = end
        passed = [frame.values[index] for index in self._passed[k + 1]]
        self._carry[k + 1] = Packing([*state, *passed])
        vectors = [ops.reshape(x, (-1,)) for x in for_host]
        vector = ops.concatenate(vectors) if vectors else ops.zeros((1,), network.settings.dtype)
        return [*self._carry[k + 1].pack([*state, *passed]), vector]

    def _n_outputs(self) -> int:
        widths = sum(recipe.width for recipe in self.network.layout.outputs)
        return widths * self.network.settings.minibatch_size

    # -- running -----------------------------------------------------------------------------------

    def run(
        self,
        arguments: dict[str, Any],
        fixed: Sequence[Any],
        state: Sequence[Any],
        rows: Sequence[Any],
        first_step: int,
        n_steps: int,
        kept: Sequence[bool],
    ) -> tuple[list[Any], list[np.ndarray]]:
        """The state after ``n_steps`` steps, or before the one in which Python code failed, and the
        outputs of each step, (n_steps, batch, width), with zeros from a failure on; where they are
        not ``kept`` those of the last, (batch, width).
        """
        self._names = list(arguments)
        scalars = [self.backend.tensor(np.asarray(k), "int32") for k in (first_step, n_steps - 1)]
        common = [*self._prepare([*arguments.values(), *fixed, *scalars]), *rows]
        outputs = np.zeros((n_steps, self._n_outputs()), self.network.settings.dtype)
        last, as_array = len(self._pieces) - 1, self.backend.array
        *carry, for_host = self._begin([*common, *state])
        for i in range(n_steps):
            step_index = first_step + i
            for k, function in enumerate(self._middle):
                results = self._call(k, as_array(for_host), i, step_index)
                *carry, for_host = function([*common, *carry, results])
            results = self._call(last - 1, as_array(for_host), i, step_index)
            if self.network.host.failure is not None:
                break
            *carry, for_host = self._turn([*common, *carry, results])
            outputs[i] = as_array(for_host)[: outputs.shape[1]]
        return self._finish(carry), self._split(outputs, kept)

    def _call(self, k: int, operands: np.ndarray, i: int, step_index: int) -> np.ndarray:
        """The results of the calls after piece ``k``, after the number of the step."""
        given = np.empty(self._n_given[k], self.network.settings.dtype)
        given[0] = i
        for call in self._calls[k]:
            values = [operands[span].reshape(shape) for span, shape in call.operands]
            results = [given[span].reshape(shape) for _, span, shape in call.results]
            call.function(self.network.host, call.batch, step_index, values, results)
        return given

    def _split(self, outputs: np.ndarray, kept: Sequence[bool]) -> list[np.ndarray]:
        """Outputs one by one."""
        batch, start, parts = self.network.settings.minibatch_size, 0, []
        for recipe, keep in zip(self.network.layout.outputs, kept, strict=True):
            stop = start + batch * recipe.width
            part = outputs[:, start:stop].reshape(-1, batch, recipe.width)
            parts.append(part if keep else part[-1])
            start = stop
        return parts


@dataclass(frozen=True)
class _Given:
    """What each piece is given: what does not change, rows (n_steps, batch, size), the number of
    the first step, and that of the last one counted from it.
    """

    invariant: Invariant
    rows: list[Any]
    first: Any
    last: Any


def _places(shapes: Sequence[tuple[int, ...]], start: int) -> tuple[list, int]:
    """Places of neighbours with these shapes in a vector, with the shapes, and where they end."""
    ends = [start, *(start + np.cumsum([math.prod(s) for s in shapes], dtype=int)).tolist()]
    return [
        (slice(a, b), shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)
    ], ends[-1]
