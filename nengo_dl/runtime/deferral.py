"""States whose next value is computed where it is needed, from what it is made of."""

from __future__ import annotations

from nengo_dl.compiler.layout import LARGE, Layout, Run
from nengo_dl.compiler.operand import Slice


def deferred_states(layout: Layout) -> dict[int, tuple[int, int]]:
    """The large states that are all of a result with few operands, as the change of weights by an
    error and activities: by number of the state, the number of the run and that of the result.

    A loop that carries the operands moves a fraction of the memory.
    """
    runs = {
        tensor.index: (run, number, slot)
        for number, run in enumerate(layout.instructions)
        if isinstance(run, Run) and run.kernel.deferrable
        for slot, tensor in enumerate(run.results)
    }
    found = {}
    for k, recipe in enumerate(layout.next_state):
        source = runs.get(recipe.tensor) if isinstance(recipe, Slice) and recipe.whole else None
        if source is not None and recipe.width >= LARGE:
            run, number, slot = source
            if 4 * sum(operand.width for operand in run.operands) < recipe.width:
                found[k] = number, slot
    return found
