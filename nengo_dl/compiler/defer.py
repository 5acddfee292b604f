"""States whose next value is computed where it is needed, from what it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.layout import LARGE, Layout, Run, Stored
from nengo_dl.compiler.operand import Recipe, Slice, Tensor
from nengo_dl.compiler.signals import initial_values


def defer_large_updates(layout: Layout) -> Layout:
    """Carry, in place of a large state, the few operands that it is the result of, as the error and
    the activities of a change of weights: a loop that carries them moves a fraction of the memory.

    The run that computes the state moves to the head of the step. Before the first step the
    operands are zero, and so is the state.
    """
    for number, stored in list(_deferrable(layout)):
        layout = _deferred(layout, number, stored)
    return layout


def _deferrable(layout: Layout) -> Iterator[tuple[Run, Stored]]:
    """The large states that are zero at first and then all of a result of few operands, which
    nothing else reads, with the runs that compute them.
    """
    runs = {
        run.results[0].index: run
        for run in layout.instructions
        if isinstance(run, Run) and run.kernel.deferrable and len(run.results) == 1
    }
    recipes = [*layout.next_state, *layout.outputs]
    recipes.extend(recipe for instruction in layout.instructions for recipe in instruction.operands)
    for stored, recipe in zip(layout.of_kind("state"), layout.next_state, strict=True):
        run = runs.get(recipe.tensor) if isinstance(recipe, Slice) and recipe.whole else None
        if run is None or recipe.width < LARGE:
            continue
        result = run.results[0].index
        small = 4 * sum(operand.width for operand in run.operands) < recipe.width
        only_reader = sum(result in other.tensors() for other in recipes) == 1
        if small and only_reader and not any(np.any(initial_values(s)) for s in stored.signals):
            yield run, stored


def _deferred(layout: Layout, run: Run, stored: Stored) -> Layout:
    """The layout in which ``stored`` is computed at the head of the step."""
    made = replace(stored, tensor=replace(stored.tensor, kind="deferred"))
    tensors = [made.tensor if t.index == made.tensor.index else t for t in layout.tensors]
    operators, origins, states = run.group.operators, dict(layout.origins), []
    for k, recipe in enumerate(run.operands):
        name, end = f"operand {k} of {stored.tensor.name}", tensors[-1].base + tensors[-1].width
        tensors.append(Tensor(len(tensors), name, "state", recipe.width, end))
        signals = []
        for op, read in zip(operators, run.kernel.operands(operators)[k], strict=True):
            signals.append(Signal(np.zeros(read.shape), name=name))
            origins[signals[-1]] = run.kernel.writes(op)[0].base, k
        states.append(Stored(tensors[-1], tuple(signals)))
    head = replace(
        run,
        operands=tuple(Slice(s.tensor.index, 0, s.tensor.width, True) for s in states),
        results=(made.tensor,),
    )
    place = layout.of_kind("state").index(stored)
    before, after = layout.next_state[:place], layout.next_state[place + 1 :]
    next_state: tuple[Recipe, ...] = (*before, *run.operands, *after)
    new = {stored.tensor.index: (made, *states)}
    return replace(
        layout,
        tensors=tuple(tensors),
        stored=tuple(s for old in layout.stored for s in new.get(old.tensor.index, (old,))),
        instructions=(head, *(other for other in layout.instructions if other is not run)),
        next_state=next_state,
        origins=origins,
    )
