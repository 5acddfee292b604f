"""Checks of each stage's result; on in the tests and with ``NENGO_DL_VERIFY=1``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nengo.builder.operator import Operator

from nengo_dl.compiler.graph import DependencyGraph
from nengo_dl.compiler.kernel import merge_key
from nengo_dl.compiler.layout import Assemble, Layout
from nengo_dl.compiler.operand import Recipe


class VerificationError(AssertionError):
    """A stage of the compiler broke its contract: a bug in nengo_dl or in a planner or simplification it was given."""


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
    graph = DependencyGraph(operators)
    vertex_place = [place[op] for op in operators]
    for pre, posts in enumerate(graph.successors[: len(operators)]):
        for post in _operators_behind(graph, posts):
            if vertex_place[pre] >= vertex_place[post]:
                raise VerificationError(
                    f"{operators[post]} depends on {operators[pre]} but is not planned after it"
                )


def _operators_behind(graph: DependencyGraph, posts: Sequence[int]):
    for post in posts:
        if graph.is_barrier(post):
            yield from _operators_behind(graph, graph.successors[post])
        else:
            yield post


def verify_layout(layout: Layout) -> None:
    """Every recipe uses only columns that exist and tensors that are computed before it is read."""
    known = {s.tensor.index for s in layout.stored} | {layout.time.index}
    known |= {t.index for t in layout.inputs.values()} | {t.index for t in layout.literals}
    for instruction in layout.instructions:
        if isinstance(instruction, Assemble):
            _check(instruction.recipe, known, layout)
            if instruction.recipe.width != instruction.tensor.width:
                raise VerificationError(f"{instruction} does not fill its tensor")
            known.add(instruction.tensor.index)
        else:
            for recipe in instruction.operands:
                _check(recipe, known, layout)
            known.update(t.index for t in instruction.results)
    for recipe in (*layout.next_state, *layout.outputs):
        _check(recipe, known, layout)
    for stored, recipe in zip(layout.of_kind("state"), layout.next_state, strict=True):
        if stored.tensor.width != recipe.width:
            raise VerificationError(f"the next value of {stored.tensor} has width {recipe.width}")


def _check(recipe: Recipe, known: set[int], layout: Layout) -> None:
    missing = recipe.tensors() - known
    if missing:
        names = ", ".join(layout.tensors[i].name for i in missing)
        raise VerificationError(f"{recipe} reads {names} before it is computed")
