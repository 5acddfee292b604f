"""A step in pieces, between which Python is called."""

from __future__ import annotations

from dataclasses import dataclass

from nengo_dl.compiler.dataflow import Tensors
from nengo_dl.compiler.hoist import Schedule
from nengo_dl.compiler.layout import Run


@dataclass(frozen=True)
class Piece:
    """Instructions between two calls of Python.

    Attributes
    ----------
    numbers
        Instructions that are compiled.
    calls
        Those that run in Python after them, in this order.
    passed
        Tensors from before the last call, besides the states, that this piece reads or a later one.
    """

    numbers: tuple[int, ...]
    calls: tuple[int, ...]
    passed: Tensors


def cut_at_host_calls(schedule: Schedule) -> tuple[Piece, ...]:
    """The loop as pieces, of which the last calls nothing; one if there is no Python code. Each
    call is made as early as what it reads allows, but after those before it.
    """
    flow = schedule.flow
    pieces: list[tuple[list[int], list[int]]] = [([], [])]  # instructions and calls
    ready: dict[int, int] = {}  # by tensor, the first piece that can read it
    for number in schedule.loop:
        place = max((ready.get(t, 0) for t in flow.reads[number]), default=0)
        if is_call(schedule, number):
            place = max(place, len(pieces) - 2)  # calls keep their order
            if place == len(pieces) - 1:
                pieces.append(([], []))
            pieces[place][1].append(number)
            place += 1
        else:
            pieces[place][0].append(number)
        ready.update(dict.fromkeys(flow.makes[number], place))
    return tuple(
        Piece(tuple(numbers), tuple(calls), _passed(schedule, pieces, k))
        for k, (numbers, calls) in enumerate(pieces)
    )


def _passed(schedule: Schedule, pieces, k: int) -> Tensors:
    flow = schedule.flow
    made = flow.made_by(n for numbers, calls in pieces[:k] for n in (*numbers, *calls))
    read = flow.read_by(
        (n for numbers, calls in pieces[k:] for n in (*numbers, *calls)), range(len(flow.states))
    )
    results = flow.made_by(pieces[k - 1][1] if k else ())
    return (read.union(*flow.output_reads) & made) - results


def is_call(schedule: Schedule, number: int) -> bool:
    """Whether an instruction only calls Python, in training too."""
    instruction = schedule.flow.layout.instructions[number]
    return (
        isinstance(instruction, Run)
        and instruction.kernel.on_host
        and not instruction.kernel.differentiable
    )
