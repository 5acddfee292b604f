"""The calls between two compiled pieces of a step, and what a piece is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nengo_dl.runtime.step.frame import Invariant
from nengo_dl.runtime.step.lowered_network import LoweredNetwork


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

    def make(
        self, host: Any, step_index: int, operands: np.ndarray, results: Sequence[np.ndarray]
    ) -> None:
        """Call Python with operands from a vector, and set the results."""
        values = [operands[span].reshape(shape) for span, shape in self.operands]
        self.function(host, self.batch, step_index, values, results)


def plan_calls(
    network: LoweredNetwork,
    numbers: Sequence[int],
    operands: Sequence[Sequence[tuple[int, ...]]],
    start: int,
    end: int,
) -> tuple[list[Call], int]:
    """The calls of instructions, by the shapes of their operands, which begin at ``start`` of one
    vector; the results begin at ``end`` of another. Also where those end.
    """
    calls = []
    for number, own in zip(numbers, operands, strict=True):
        instruction = network.layout.instructions[number]
        function = network.kernels[number].host_function
        assert function is not None  # the step was cut at those that have one
        batch = max((shape[0] for shape in own), default=1)
        places, start = places_in_vector(own, start)
        shapes = [(batch, tensor.width) for tensor in instruction.results]
        results, end = places_in_vector(shapes, end)
        made = [(t.index, *place) for t, place in zip(instruction.results, results, strict=True)]
        calls.append(Call(function, batch, places, made))
    return calls, end


class Between:
    """What happens between two pieces.

    Parameters
    ----------
    calls
        Python is called.
    vector
        What the second piece is given.
    argument
        The same, for a compiled function.
    """

    def __init__(self, calls: Sequence[Call], vector: np.ndarray, argument: Any):
        self.vector, self.argument = vector, argument
        self._calls = [
            (call.make, [vector[span].reshape(shape) for _, span, shape in call.results])
            for call in calls
        ]

    def set_step(self, i: int, rows: np.ndarray, with_next: bool) -> None:
        """Set what comes before the results: the number of a step, and its rows; for the piece that
        begins the next step also the rows of that.
        """
        self.vector[0] = i
        if size := rows.shape[1]:
            self.vector[1 : 1 + size] = rows[i]
            if with_next:
                self.vector[1 + size : 1 + 2 * size] = rows[i + 1]

    def call(self, host: Any, step_index: int, operands: np.ndarray) -> None:
        """Make the calls, with operands from a vector."""
        for make, results in self._calls:
            make(host, step_index, operands, results)


@dataclass(frozen=True)
class Given:
    """What each piece is given: what does not change, the rows of this step and the next, (batch,
    size) each, and the numbers of the first step and, from there on, of this one.
    """

    invariant: Invariant
    rows: list[Any]
    next_rows: list[Any]
    first: Any
    i: Any


def places_in_vector(shapes: Sequence[tuple[int, ...]], start: int) -> tuple[list, int]:
    """Places of neighbours with these shapes in a vector, with the shapes, and where they end."""
    ends = [start, *(start + np.cumsum([math.prod(s) for s in shapes], dtype=int)).tolist()]
    return [
        (slice(a, b), shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)
    ], ends[-1]


def joined_rows(
    rows: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]], n_steps: int, dtype: str
) -> np.ndarray:
    """All rows of each step, (n_steps, size), and after the last step once more."""
    joined = np.zeros((n_steps + 1, sum(map(math.prod, shapes))), dtype)
    start = 0
    for values, shape in zip(rows, shapes, strict=True):
        stop = start + math.prod(shape)
        joined[:-1, start:stop] = values.swapaxes(0, 1).reshape(n_steps, -1)
        start = stop
    joined[-1] = joined[-2]
    return joined


def split_steps(
    outputs: np.ndarray, shapes: Sequence[tuple[int, ...]], kept: Sequence[bool]
) -> list[np.ndarray]:
    """Outputs one by one, (batch, width) each: of all steps, or of the last."""
    places, _ = places_in_vector(shapes, 0)
    parts = [outputs[:, span].reshape(-1, *shape) for span, shape in places]
    return [part if keep else part[-1] for part, keep in zip(parts, kept, strict=True)]
