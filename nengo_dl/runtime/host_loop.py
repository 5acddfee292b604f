"""The steps of a network with Python code in the loop: compiled pieces, and between them the calls.

A step is cut where Python is called. What comes after the last call of a step and before the first
call of the next is one compiled function, so that a network with one Python Node takes one compiled
call in each step. To call Python from inside a compiled loop takes the backends several times as
long.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.packing import Packing
from nengo_dl.runtime.step import LoweredNetwork, StepParts

Values = dict[int, Any]


@dataclass
class Piece:
    """Instructions between two calls of Python.

    Attributes
    ----------
    numbers
        Instructions that are compiled.
    calls
        Those that run in Python after them, in this order.
    """

    numbers: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)


def pieces_of(network: LoweredNetwork, parts: StepParts) -> list[Piece]:
    """A step as pieces, of which the last calls nothing; one piece if there is no Python code."""
    pieces = [Piece()]
    ready: dict[int, int] = {}  # by tensor, the first piece that can read it
    for number in parts.loop:
        step = network.layout.instructions[number]
        place = max((ready.get(t, 0) for r in step.operands for t in r.tensors()), default=0)
        if _calls(network, number):
            place = max(place, len(pieces) - 2)  # calls keep their order
            if place == len(pieces) - 1:
                pieces.append(Piece())
            pieces[place].calls.append(number)
            place += 1
        else:
            pieces[place].numbers.append(number)
        ready.update({t.index: place for t in step.results})
    return pieces


def _calls(network: LoweredNetwork, number: int) -> bool:
    kernel = network.kernels.get(number)
    return kernel is not None and kernel.host_function is not None


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
        self.network, self.changing, self.training = network, changing, training
        self.backend = backend
        self._parts = network.parts(changing)
        self._pieces = pieces_of(network, self._parts)
        self._state_indices = [stored.tensor.index for stored in network.states]
        #: for each piece, tensors from before the last call that it or a later one reads
        self._passed = [self._passed_to(k) for k in range(len(self._pieces))]

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
        self._keys: tuple[list, list] = ([], [])
        self._invariant = Packing(())
        self._carry: dict[int, Packing] = {}
        self._calls: dict[int, list[Call]] = {}
        self._n_given: dict[int, int] = {}

    @classmethod
    def suits(cls, network: LoweredNetwork, changing: Sequence[Input]) -> bool:
        """Whether the steps call Python, and no Keras layer changes variables of its own."""
        return not network.carried and len(pieces_of(network, network.parts(changing))) > 1

    # -- planning ----------------------------------------------------------------------------------

    def _steps(self, numbers: Sequence[int]) -> list[Run | Assemble]:
        return [self.network.layout.instructions[number] for number in numbers]

    def _passed_to(self, k: int) -> list[int]:
        """Tensors from before the last call that piece ``k`` reads or a later one, but states."""
        calls = self._pieces[k - 1].calls if k else ()
        results = {t.index for step in self._steps(calls) for t in step.results}
        return sorted(self._read_from(k) & self._made_before(k) - results)

    def _read_from(self, first: int) -> set[int]:
        """Tensors that piece ``first`` reads or a later one."""
        recipes = [*self.network.layout.next_state, *self.network.layout.outputs]
        for piece in self._pieces[first:]:
            for step in self._steps([*piece.numbers, *piece.calls]):
                recipes.extend(step.operands)
        return set().union(*(recipe.tensors() for recipe in recipes))

    def _made_before(self, last: int) -> set[int]:
        """Tensors that a piece before ``last`` or its calls made."""
        made: set[int] = set()
        for piece in self._pieces[:last]:
            for step in self._steps([*piece.numbers, *piece.calls]):
                made |= {t.index for t in step.results}
        return made

    # -- what is compiled --------------------------------------------------------------------------

    def _trace_prepare(self, tensors: list) -> list:
        """What is the same in each step of a chunk, from the arguments, ``fixed``, and the numbers
        of the first step and of the last one counted from it.
        """
        *tensors, first, last = tensors
        arguments = dict(zip(self._names, tensors, strict=False))
        fixed = tensors[len(self._names) :]
        values, arguments = self.network.prepare(self._parts, arguments, fixed, self.training)
        self._keys = list(values), list(arguments)
        tensors = [first, last, *values.values(), *arguments.values()]
        self._invariant = Packing(tensors)
        return self._invariant.pack(tensors)

    def _trace_begin(self, tensors: list) -> list:
        dtype = self.network.settings.dtype
        common, state = self._common(tensors, ops.zeros((), "int32"))
        return self._piece(0, common, state, {}, [ops.zeros((self._n_outputs(),), dtype)])

    def _trace_middle(self, k: int, tensors: list) -> list:
        common, state, given = self._received(k, tensors)
        return self._piece(k, common, state, given)

    def _trace_turn(self, tensors: list) -> list:
        """The end of a step and the begin of the next; the outputs come before the operands."""
        network, last = self.network, len(self._pieces) - 1
        common, state, given = self._received(last, tensors)
        values, arguments, context = self._enter(common, state, given)
        network.execute(self._pieces[last].numbers, values, arguments, context)
        state = [
            network.full(network.read(r, values, arguments)) for r in network.layout.next_state
        ]
        outputs = [network.full(network.read(r, values, arguments)) for r in network.layout.outputs]
        return self._piece(0, replace(common, i=common.i + 1), state, {}, outputs)

    def _trace_finish(self, tensors: list) -> list:
        """The state in what a turn returns."""
        return self._carry[1].unpack(tensors)[: len(self._state_indices)]

    def _common(self, tensors: list, i) -> tuple[_Common, list]:
        """What each piece is given, and the rest."""
        n, n_rows = self._invariant.n_packed, len(self.changing)
        first, last, *unpacked = self._invariant.unpack(tensors[:n])
        value_keys, argument_keys = self._keys
        values = dict(zip(value_keys, unpacked, strict=False))
        arguments = dict(zip(argument_keys, unpacked[len(value_keys) :], strict=True))
        rows = tensors[n : n + n_rows]
        return _Common(values, arguments, rows, first, last, i), tensors[n + n_rows :]

    def _received(self, k: int, tensors: list) -> tuple[_Common, list, Values]:
        """What piece ``k`` is given by the piece before and the calls between them."""
        *tensors, results = tensors
        common, carry = self._common(tensors, ops.cast(results[0], "int32"))
        carry = self._carry[k].unpack(carry)
        n_states = len(self._state_indices)
        given = dict(zip(self._passed[k], carry[n_states:], strict=True))
        for call in self._calls[k - 1]:
            for index, span, shape in call.results:
                given[index] = ops.reshape(results[span], shape)
        return common, carry[:n_states], given

    def _enter(self, common: _Common, state: list, given: Values) -> tuple[Values, dict, Any]:
        """Values, arguments and context of a piece."""
        network = self.network
        values = {**common.values, **dict(zip(self._state_indices, state, strict=True)), **given}
        now = ops.minimum(common.i, common.last)  # there is no row after the last step
        for item, rows in zip(self.changing, common.rows, strict=True):
            values[network.row_tensor(item).index] = ops.take(rows, now, axis=0)
        step_index = common.first + common.i
        values[network.layout.time.index] = network.time(step_index)
        variables = network.variables(common.arguments)
        context = network.context(step_index, self.training, variables)
        return values, common.arguments, context

    def _piece(
        self, k: int, common: _Common, state: list, given: Values, outputs: Sequence[Any] = ()
    ) -> list:
        """Compute piece ``k``: what the next one is given, and a vector for the host: ``outputs``,
        and the operands of the calls.
        """
        values, arguments, context = self._enter(common, state, given)
        network, piece = self.network, self._pieces[k]
        network.execute(piece.numbers, values, arguments, context)
        for_host, self._calls[k] = list(outputs), []
        start = 0 if k else self._n_outputs()
        end = 1  # of the results, which come after the number of the step
        for number in piece.calls:
            step = network.layout.instructions[number]
            function = network.kernels[number].host_function
            assert function is not None  # `pieces_of` chose those that have one
            own = [
                network.operand(number, i, recipe, values, arguments)
                for i, recipe in enumerate(step.operands)
            ]
            batch = max((x.shape[0] for x in own), default=1)
            operands, start = _places([tuple(x.shape) for x in own], start)
            shapes = [(batch, tensor.width) for tensor in step.results]
            results, end = _places(shapes, end)
            made = [(t.index, *place) for t, place in zip(step.results, results, strict=True)]
            self._calls[k].append(Call(function, batch, operands, made))
            for_host.extend(own)
        self._n_given[k] = end
        passed = [values[index] for index in self._passed[k + 1]]
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
class _Common:
    """What each piece is given: values and arguments that do not change, rows (n_steps, batch,
    size), the number of the first step, that of the last one counted from it, and that of this one.
    """

    values: dict[Any, Any]
    arguments: dict[Any, Any]
    rows: list[Any]
    first: Any
    last: Any
    i: Any


def _places(shapes: Sequence[tuple[int, ...]], start: int) -> tuple[list, int]:
    """Places of neighbours with these shapes in a vector, with the shapes, and where they end."""
    ends = [start, *(start + np.cumsum([math.prod(s) for s in shapes], dtype=int)).tolist()]
    return [
        (slice(a, b), shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)
    ], ends[-1]
