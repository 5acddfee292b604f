"""What is the same in each step is computed once, before the loop over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nengo_dl.compiler.dataflow import Dataflow, Tensors
from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.compiler.program import Input


@dataclass(frozen=True)
class Schedule:
    """A layout in two parts: before the loop over the steps, and in it.

    Attributes
    ----------
    flow
        The data flow of the layout.
    changing, fixed
        Inputs whose values change from step to step, and those of the program that do not.
    rows
        For each changing input, the tensor that its row is the value of.
    before, loop
        Numbers of the instructions.
    operands
        Operands of the loop that are the same in each step, as pairs of the numbers of the
        instruction and of the operand.
    kept
        Tensors from before the loop that it reads besides.
    """

    flow: Dataflow
    changing: tuple[Input, ...]
    fixed: tuple[Input, ...]
    rows: tuple[int, ...]
    before: tuple[int, ...]
    loop: tuple[int, ...]
    operands: frozenset[tuple[int, int]]
    kept: Tensors


def hoist(flow: Dataflow, changing: Sequence[Input]) -> Schedule:
    """Move what depends on nothing that changes out of the loop: instructions, and operands of
    those that stay.

    Among ``changing`` may be Nodes whose function would else run in the loop: their rows take its
    place.
    """
    layout = flow.layout
    fixed = tuple(item for item in layout.inputs if item not in changing)
    known = {s.tensor.index for s in layout.of_kind("constant", "parameter")}
    known |= {t.index for t in layout.literals} | {layout.inputs[item].index for item in fixed}
    given = {item.operator: item for item in changing if item not in layout.inputs}
    rows = {item: layout.inputs[item].index for item in changing if item in layout.inputs}
    before, loop = [], []
    for number, instruction in enumerate(layout.instructions):
        if isinstance(instruction, Run) and not given.keys().isdisjoint(
            instruction.group.operators
        ):
            rows[given[instruction.group.operators[0]]] = instruction.results[0].index
        elif flow.reads[number] <= known and not has_effects(instruction):
            before.append(number)
            known |= flow.makes[number]
        else:
            loop.append(number)
    read = {
        (number, k): recipe.tensors()
        for number in loop
        for k, recipe in enumerate(layout.instructions[number].operands)
    }
    operands = frozenset(key for key, tensors in read.items() if tensors <= known)
    besides = (tensors for key, tensors in read.items() if key not in operands)
    return Schedule(
        flow,
        tuple(changing),
        fixed,
        tuple(rows[item] for item in changing),
        tuple(before),
        tuple(loop),
        operands,
        frozenset().union(*besides, *flow.next_reads, *flow.output_reads) & known,
    )


def has_effects(instruction: Run | Assemble) -> bool:
    """Whether an instruction may give something else in each step, whatever it reads."""
    if isinstance(instruction, Assemble):
        return False
    return (
        instruction.kernel.on_host
        or not instruction.operands
        or instruction.kernel.layer is not None
    )
