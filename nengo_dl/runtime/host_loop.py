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
from nengo_dl.runtime.packing import PackedState, Packing
from nengo_dl.runtime.step import LoweredNetwork, StepParts

Values = dict[int, Any]
#: numbers in a step up to which it is compiled quickly
SMALL_STEP = 4096


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
    batches
        For each of them, how many items its rows have.
    training
        Whether neurons act as their differentiable counterparts.
    backend
        What compiles the pieces.
    tensor
        ``tensor(array)``, a tensor of the array's type on the network's device.
    jit
        As for the backend's ``compiled``.
    """

    def __init__(
        self,
        network: LoweredNetwork,
        changing: Sequence[Input],
        batches: Sequence[int],
        training: bool,
        backend: Any,
        tensor: Callable[[np.ndarray], Any],
        jit: bool | None,
    ):
        self.network, self.changing, self.training = network, changing, training
        self.backend, self._tensor = backend, tensor
        self._row_shapes = [(n, item.size) for n, item in zip(batches, changing, strict=True)]
        self._row_size = sum(map(math.prod, self._row_shapes))
        self._parts = network.parts(changing)
        self._pieces = pieces_of(network, self._parts)
        self._state_indices = [stored.tensor.index for stored in network.states]
        #: for each piece, tensors from before the last call that it or a later one reads
        self._passed = [self._passed_to(k) for k in range(len(self._pieces))]

        weak = weakref.proxy(self)  # no cycle, so that what is compiled is freed with this

        def compiled(trace: Callable, *given):
            return backend.compiled(partial(trace, weak, *given), jit, self._is_small())

        self._prepare = compiled(HostLoop._trace_prepare)
        middle = range(1, len(self._pieces) - 1)
        self._middle = [compiled(HostLoop._trace_middle, k) for k in middle]
        self._turn = compiled(HostLoop._trace_turn)
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

    def _is_small(self) -> bool:
        """Whether a step is about few numbers."""
        numbers = sum(tensor.width for tensor in self.network.layout.tensors)
        return numbers * self.network.settings.minibatch_size <= SMALL_STEP

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
        """What is the same in each step, from the arguments and ``fixed``."""
        arguments = dict(zip(self._names, tensors, strict=False))
        fixed = tensors[len(self._names) :]
        values, arguments = self.network.prepare(self._parts, arguments, fixed, self.training)
        self._keys = list(values), list(arguments)
        tensors = [*values.values(), *arguments.values()]
        self._invariant = Packing(tensors)
        return self._invariant.pack(tensors)

    def _trace_begin(self, tensors: list) -> list:
        """The first piece; it is not compiled, but finds what there is to know of the others."""
        *tensors, given = tensors
        common, state = self._common(tensors, given)
        return self._piece(0, common, state, {}, [self._no_outputs()])

    def _trace_middle(self, k: int, tensors: list) -> list:
        common, state, given = self._received(k, tensors)
        return self._piece(k, common, state, given)

    def _trace_turn(self, tensors: list) -> list:
        """The end of a step and the begin of the next; the outputs come before the operands.

        Before the first step of a chunk, when the number of the step is -1, what ends counts for
        nothing: a function of its own for the first begin would take as long to compile.
        """
        network, last = self.network, len(self._pieces) - 1
        common, before, given = self._received(last, tensors)
        values, arguments, context = self._enter(common, before, given)
        network.execute(self._pieces[last].numbers, values, arguments, context)
        after = [
            network.full(network.read(r, values, arguments)) for r in network.layout.next_state
        ]
        state = [ops.where(common.i < 0, a, b) for a, b in zip(before, after, strict=True)]
        outputs = [network.full(network.read(r, values, arguments)) for r in network.layout.outputs]
        common = replace(common, i=common.i + 1, rows=common.next_rows)
        return self._piece(0, common, state, {}, outputs)

    def _common(self, tensors: list, given: Any) -> tuple[_Common, list]:
        """What each piece is given, and the rest of ``tensors``."""
        n = self._invariant.n_packed
        unpacked = self._invariant.unpack(tensors[:n])
        value_keys, argument_keys = self._keys
        values = dict(zip(value_keys, unpacked, strict=False))
        arguments = dict(zip(argument_keys, unpacked[len(value_keys) :], strict=True))
        i, rows = ops.cast(given[0], "int32"), self._rows(given, 1)
        next_rows = self._rows(given, 1 + self._row_size)
        return _Common(values, arguments, rows, next_rows, tensors[n], i), tensors[n + 1 :]

    def _rows(self, given: Any, start: int) -> list:
        """Rows, one after the other from there on; those of the next step are not everywhere."""
        places, end = _places(self._row_shapes, start)
        if end > given.shape[0]:
            return []
        return [ops.reshape(given[span], shape) for span, shape in places]

    def _received(self, k: int, tensors: list) -> tuple[_Common, list, Values]:
        """What piece ``k`` is given by the piece before and the calls between them."""
        *tensors, given = tensors
        common, carry = self._common(tensors, given)
        carry = self._carry[k].unpack(carry)
        n_states = len(self._state_indices)
        values = dict(zip(self._passed[k], carry[n_states:], strict=True))
        for call in self._calls[k - 1]:
            for index, span, shape in call.results:
                values[index] = ops.reshape(given[span], shape)
        return common, carry[:n_states], values

    def _enter(self, common: _Common, state: list, given: Values) -> tuple[Values, dict, Any]:
        """Values, arguments and context of a piece."""
        network = self.network
        values = {**common.values, **dict(zip(self._state_indices, state, strict=True)), **given}
        for item, row in zip(self.changing, common.rows, strict=True):
            values[network.row_tensor(item).index] = row
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
        operands = [
            [
                network.operand(number, i, recipe, values, arguments)
                for i, recipe in enumerate(network.layout.instructions[number].operands)
            ]
            for number in piece.calls
        ]
        dtype = network.settings.dtype
        passed = [ops.cast(values[index], dtype) for index in self._passed[k + 1]]
        if k not in self._calls:
            shapes = [[tuple(x.shape) for x in own] for own in operands]
            self._plan(k, shapes, [tuple(x.shape) for x in passed])
        vectors = [ops.reshape(x, (-1,)) for own in [outputs, *operands] for x in own]
        vector = ops.concatenate(vectors) if vectors else ops.zeros((1,), network.settings.dtype)
        return [*self._carry[k + 1].pack([*state, *passed]), vector]

    def _plan(
        self, k: int, operands: Sequence[Sequence[tuple]], passed: Sequence[tuple[int, ...]]
    ) -> None:
        """Note the calls after piece ``k``, from the shapes of their operands, and the shapes of
        what it passes on.
        """
        network, calls = self.network, []
        start, end = 0 if k else self._n_outputs(), self._results_start(k)
        for number, own in zip(self._pieces[k].calls, operands, strict=True):
            step = network.layout.instructions[number]
            function = network.kernels[number].host_function
            assert function is not None  # `pieces_of` chose those that have one
            batch = max((shape[0] for shape in own), default=1)
            places, start = _places(own, start)
            shapes = [(batch, tensor.width) for tensor in step.results]
            results, end = _places(shapes, end)
            made = [(t.index, *place) for t, place in zip(step.results, results, strict=True)]
            calls.append(Call(function, batch, places, made))
        self._calls[k], self._n_given[k] = calls, end
        batch, dtype = network.settings.minibatch_size, network.settings.dtype
        states = [(batch, stored.tensor.width) for stored in network.states]
        zero = np.zeros((), dtype)
        self._carry[k + 1] = Packing([np.broadcast_to(zero, s) for s in [*states, *passed]])

    def _plan_all(self) -> None:
        """`_plan` of all pieces, for a minibatch of one, in which all tensors have one row."""
        widths = {tensor.index: tensor.width for tensor in self.network.layout.tensors}
        for k in range(len(self._pieces) - 1):
            calls = self._steps(self._pieces[k].calls)
            operands = [[(1, recipe.width) for recipe in call.operands] for call in calls]
            self._plan(k, operands, [(1, widths[index]) for index in self._passed[k + 1]])

    def _n_outputs(self) -> int:
        widths = sum(recipe.width for recipe in self.network.layout.outputs)
        return widths * self.network.settings.minibatch_size

    def _no_outputs(self) -> Any:
        return ops.zeros((self._n_outputs(),), self.network.settings.dtype)

    def _results_start(self, k: int) -> int:
        """Where the results of the calls after piece ``k`` are in what the next piece is given,
        after the number of the step, its rows, and for the turn those of the next step.
        """
        return 1 + self._row_size * (2 if k + 1 == len(self._pieces) - 1 else 1)

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
        not ``kept`` those of the last, (batch, width). ``rows`` are (batch or 1, n_steps, size).
        """
        self._names = list(arguments)
        common = self._prepare([*arguments.values(), *fixed])
        common = [*common, self._tensor(np.asarray(first_step, np.int32))]
        if not self._carry:
            self._find_shapes(common, state)
        given_rows = self._given_rows(rows, n_steps)
        outputs = np.zeros((n_steps, self._n_outputs()), self.network.settings.dtype)
        last, as_array = len(self._pieces) - 1, self.backend.array
        given = np.zeros(self._n_given[last - 1], outputs.dtype)
        self._set_step(given, last - 1, -1, given_rows)
        *carry, for_host = self._turn([*common, *self._packed(state), given])
        packing = self._carry[1]
        for i in range(n_steps):
            step_index = first_step + i
            for k, function in enumerate(self._middle):
                given = self._call(k, as_array(for_host), i, step_index, given_rows)
                *carry, for_host = function([*common, *carry, given])
            given = self._call(last - 1, as_array(for_host), i, step_index, given_rows)
            if self.network.host.failure is not None:
                packing = self._carry[last]
                break
            *carry, for_host = self._turn([*common, *carry, given])
            outputs[i] = as_array(for_host)[: outputs.shape[1]]
        after = PackedState(packing, carry, len(self._state_indices), self._tensor)
        return after, self._split(outputs, kept)

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

    def _given_rows(self, rows: Sequence[np.ndarray], n_steps: int) -> np.ndarray:
        """All rows of each step, (n_steps, size), and after the last step once more."""
        joined = np.zeros((n_steps + 1, self._row_size), self.network.settings.dtype)
        start = 0
        for values, shape in zip(rows, self._row_shapes, strict=True):
            stop = start + math.prod(shape)
            joined[:-1, start:stop] = values.swapaxes(0, 1).reshape(n_steps, -1)
            start = stop
        joined[-1] = joined[-2]
        return joined

    def _set_step(self, given: np.ndarray, k: int, i: int, rows: np.ndarray) -> None:
        """Set what comes before the results of the calls after piece ``k``."""
        given[0] = i
        if self._row_size:
            start = 1 + self._row_size
            given[1:start] = rows[i]
            if k + 2 == len(self._pieces):
                given[start : start + self._row_size] = rows[i + 1]

    def _call(
        self, k: int, operands: np.ndarray, i: int, step_index: int, rows: np.ndarray
    ) -> np.ndarray:
        """What the piece after ``k`` is given: the results of the calls between them, and so on."""
        given = np.empty(self._n_given[k], self.network.settings.dtype)
        self._set_step(given, k, i, rows)
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
    """What each piece is given: values and arguments that do not change, the rows of this step and
    the next, (batch, size) each, and the numbers of the first step and, from there on, of this one.
    """

    values: dict[Any, Any]
    arguments: dict[Any, Any]
    rows: list[Any]
    next_rows: list[Any]
    first: Any
    i: Any


def _places(shapes: Sequence[tuple[int, ...]], start: int) -> tuple[list, int]:
    """Places of neighbours with these shapes in a vector, with the shapes, and where they end."""
    ends = [start, *(start + np.cumsum([math.prod(s) for s in shapes], dtype=int)).tolist()]
    return [
        (slice(a, b), shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)
    ], ends[-1]
