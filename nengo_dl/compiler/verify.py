"""Checks of each stage's result; on in the tests and with ``NENGO_DL_VERIFY=1``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from nengo.builder.operator import Operator

from nengo_dl.compiler.cut import Piece
from nengo_dl.compiler.distribute import Stage
from nengo_dl.compiler.graph import DependencyGraph
from nengo_dl.compiler.hoist import Schedule
from nengo_dl.compiler.kernel import merge_key
from nengo_dl.compiler.layout import Assemble, Layout, Run
from nengo_dl.compiler.operand import Concat, Gather, Recipe, RowSum, SegmentSum, Slice, Sum
from nengo_dl.compiler.signals import signal_size


class VerificationError(AssertionError):
    """A stage of the compiler broke its contract: a bug in nengo_dl or in a planner or
    simplification it was given.
    """


def enabled() -> bool:
    """Whether the environment asks for the checks."""
    return os.environ.get("NENGO_DL_VERIFY", "0") not in ("", "0")


def verify_plan(operators: Sequence[Operator], plan: Sequence[tuple[Operator, ...]]) -> None:
    """Every operator once, merged only with its like, after all that it depends on."""
    planned = [op for group in plan for op in group]
    if len(planned) != len(operators) or set(planned) != set(operators):
        raise VerificationError(
            f"the planner was given {len(operators)} operators and returned {len(set(planned))} "
            f"different ones in {len(planned)} places; each has to be planned once"
        )
    place = {}
    for index, group in enumerate(plan):
        if len({merge_key(op) for op in group}) > 1:
            raise VerificationError(f"group {index} mixes operators that cannot be merged: {group}")
        place.update(dict.fromkeys(group, index))
    _verify_order(DependencyGraph(operators), [place[op] for op in operators])


def _verify_order(graph: DependencyGraph, places: list[int]) -> None:
    """``places``: the number of the group of each operator."""
    operators = graph.operators
    # for each vertex, of the operators it depends on the one that is planned last
    latest: list[tuple[int, int]] = [(-1, -1)] * len(graph.successors)
    order = graph.sorted_vertices()
    if len(order) != len(graph.successors):
        raise VerificationError("the operators depend on each other in a circle")
    for vertex in order:
        place, pre = latest[vertex]
        if not graph.is_barrier(vertex):
            if places[vertex] <= place:
                raise VerificationError(
                    f"{operators[vertex]} depends on {operators[pre]} but is not planned after it"
                )
            place, pre = places[vertex], vertex
        for post in graph.successors[vertex]:
            latest[post] = max(latest[post], (place, pre))


def verify_layout(layout: Layout) -> None:
    """Every recipe has the width that is needed, of columns that exist, of tensors computed before
    it is read.
    """
    stored = layout.of_kind("constant", "parameter", "state")
    known = {s.tensor.index for s in stored} | {layout.time.index}
    known |= {t.index for t in layout.inputs.values()} | {t.index for t in layout.literals}
    for number, instruction in enumerate(layout.instructions):
        name = f"instruction {number}"
        if isinstance(instruction, Assemble):
            _check(instruction.recipe, instruction.tensor.width, name, known, layout)
            known.add(instruction.tensor.index)
        else:
            read = instruction.kernel.operands(instruction.group.operators)
            for slot, recipe in enumerate(instruction.operands):
                width = sum(signal_size(sig) for sig in read[slot])
                _check(recipe, width, f"operand {slot} of {name}", known, layout)
            for slot, tensor in enumerate(instruction.results):
                if tensor.width != _written_width(instruction, slot):
                    raise VerificationError(f"result {slot} of {name} has width {tensor.width}")
                known.add(tensor.index)
    for recipe in layout.outputs:
        _check(recipe, recipe.width, "what is probed", known, layout)
    states = layout.of_kind("state")
    if len(states) != len(layout.next_state):
        raise VerificationError(
            f"there are {len(states)} states but a next value of {len(layout.next_state)}"
        )
    for state, recipe in zip(states, layout.next_state, strict=True):
        _check(recipe, state.tensor.width, f"next {state.tensor.name}", known, layout)


def verify_schedule(schedule: Schedule) -> None:
    """Every instruction is somewhere, unless rows take its place; the loop reads nothing from
    before it but what is kept.
    """
    flow, n = schedule.flow, len(schedule.flow.layout.instructions)
    given = [k for k in range(n) if not flow.makes[k].isdisjoint(schedule.rows)]
    if sorted((*schedule.before, *schedule.loop, *given)) != list(range(n)):
        raise VerificationError("an instruction is in no part of the schedule, or in two")
    known = schedule.kept.union(schedule.rows, flow.states, {flow.layout.time.index})
    for number in schedule.loop:
        for k, recipe in enumerate(flow.layout.instructions[number].operands):
            if (number, k) not in schedule.operands and not recipe.tensors() <= known:
                raise VerificationError(
                    f"operand {k} of instruction {number} is not there in the loop"
                )
        known |= flow.makes[number]
    if not frozenset().union(*flow.next_reads, *flow.output_reads) <= known:
        raise VerificationError("a next state or an output is not there at the end of the loop")


def verify_stages(schedule: Schedule, stages: Sequence[Stage]) -> None:
    """All of the loop is in one stage, after all that it reads; states are where they change."""
    flow, made = schedule.flow, frozenset[int]()
    if sorted(n for stage in stages for n in stage.numbers) != list(schedule.loop):
        raise VerificationError("an instruction is in no stage, or in two")
    if sorted(k for stage in stages for k in stage.states) != list(range(len(flow.states))):
        raise VerificationError("a state is in no stage, or in two")
    of_loop = flow.made_by(schedule.loop, range(len(flow.states)))
    for number, stage in enumerate(stages):
        made |= flow.made_by(stage.numbers, stage.states)
        if not flow.read_by(stage.numbers, stage.states) & of_loop <= made:
            raise VerificationError(f"stage {number} reads what a later one makes")
        read = flow.read_by((), stage.states)
        if not stage.in_loop and not read <= flow.made_by(stage.numbers):
            raise VerificationError(f"stage {number} has states that it does not make, but no loop")


def verify_pieces(schedule: Schedule, pieces: Sequence[Piece]) -> None:
    """All of the loop is in one piece, which reads what is passed to it, or made there or by the
    calls before it.
    """
    flow, results = schedule.flow, frozenset[int]()
    if sorted(n for p in pieces for n in (*p.numbers, *p.calls)) != list(schedule.loop):
        raise VerificationError("an instruction is in no piece, or in two")
    of_loop = flow.made_by(schedule.loop)
    for number, piece in enumerate(pieces):
        here = piece.passed | results | flow.made_by(piece.numbers)
        if not flow.read_by((*piece.numbers, *piece.calls)) & of_loop <= here:
            raise VerificationError(f"piece {number} reads what is not passed to it")
        results = flow.made_by(piece.calls)


def _written_width(run: Run, slot: int) -> int:
    return sum(signal_size(run.kernel.writes(op)[slot]) for op in run.group.operators)


def _check(recipe: Recipe, width: int, name: str, known: set[int], layout: Layout) -> None:
    missing = recipe.tensors() - known
    if missing:
        names = ", ".join(layout.tensors[i].name for i in missing)
        raise VerificationError(f"{name} ({recipe}) reads {names} before it is computed")
    if recipe.width != width:
        raise VerificationError(f"{name} ({recipe}) has width {recipe.width}, not {width}")
    for part in _slices(recipe):
        end = layout.tensors[part.tensor].width
        if not 0 <= part.start <= part.stop <= end or part.whole != (part.width == end):
            raise VerificationError(f"{name} reads columns that do not exist: {part} of {end}")


def _slices(recipe: Recipe) -> Iterator[Slice]:
    """The slices that a recipe is put together from."""
    match recipe:
        case Slice():
            yield recipe
        case Concat(parts) | Gather(parts) | Sum(parts):
            for part in parts:
                yield from _slices(part)
        case RowSum(source) | SegmentSum(source):
            yield from _slices(source)
