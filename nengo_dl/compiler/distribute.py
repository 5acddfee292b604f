"""A sequence in stages: what no state depends on is computed for all steps at once.

The loop over the steps is cut along the strongly connected parts of the step's data flow (loop
distribution; Kennedy and Allen, 1990, "Loop distribution with arbitrary control flow"). A product
of inputs with weights becomes one product of (n_steps x batch) rows, which is several times faster
than n_steps products of (batch) rows, and its gradient is summed over the steps inside the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nengo.builder.operator import Operator

from nengo_dl.compiler.dataflow import Dataflow, Part
from nengo_dl.compiler.hoist import Schedule, hoist
from nengo_dl.compiler.kernel import is_wiring
from nengo_dl.compiler.layout import Run, make_layout
from nengo_dl.compiler.operand import Recipe, Slice, Tensor
from nengo_dl.compiler.program import Program

#: multiplications of a step from which on a product is worth a stage of its own: from there on its
#: gain is more than the time that another loop takes
HEAVY = 30_000


@dataclass(frozen=True)
class Stage:
    """Instructions and states that run together.

    Attributes
    ----------
    in_loop
        Whether step by step, or for all steps at once.
    numbers, states
        Of the instructions and the states.
    light
        Whether a step may be computed twice, and is worth it for the gradient: there is no
        convolution and no large product. To keep what a step of neurons computes, and to read it
        again, takes longer than to compute it again.
    """

    in_loop: bool
    numbers: tuple[int, ...]
    states: tuple[int, ...]
    light: bool


def distribute(schedule: Schedule, batch: int, kernels: bool = False) -> tuple[Stage, ...]:
    """The loop in stages, for a batch of this size; one where cutting gains nothing.

    With ``kernels`` each loop may be a kernel of its own: every product is worth a stage, and what
    does not depend on each other, and has one width, is in loops of its own.
    """
    parts, places = _placed_parts(schedule, batch, kernels)
    stages = []
    for place in sorted(set(places)):
        here = [k for k, own in enumerate(places) if own == place]
        in_loop = place % 2 == 0
        groups: list[list[int]] = [here]
        if in_loop and kernels:
            groups = _apart(schedule, parts, here)
        for group in groups:
            numbers = sorted(n for k in group for n in parts[k].numbers)
            states = sorted(s for k in group for s in parts[k].states)
            stages.append(_stage(schedule, batch, in_loop, numbers, states))
    return tuple(stages)


def _apart(schedule: Schedule, parts: Sequence[Part], here: Sequence[int]) -> list[list[int]]:
    """These parts in groups that do not depend on each other: those of one width, and all others
    together.
    """
    groups: list[list[int]] = []
    for k in here:  # a part comes after those that it reads
        joined = [group for group in groups if not parts[k].after.isdisjoint(group)]
        groups = [group for group in groups if group not in joined]
        groups.append([*(part for group in joined for part in group), k])
    layout = schedule.flow.layout

    def read_and_made(group: Sequence[int]) -> Iterator[Recipe | Tensor]:
        for k in group:
            for instruction in (layout.instructions[n] for n in parts[k].numbers):
                yield from (*instruction.operands, *instruction.results)
            yield from (layout.next_state[s] for s in parts[k].states)

    alone = [group for group in groups if _has_one_width(read_and_made(group))]
    others = [k for group in groups if group not in alone for k in group]
    return [*alone, others] if others else alone


def separate_stages(
    program: Program, plan: Sequence[tuple[Operator, ...]], batch: int
) -> list[tuple[Operator, ...]]:
    """Split the groups of a plan so that operators of a group are of one stage, of the stages with
    ``kernels``, and equally far from its start.

    What a synapse separates is computed in the same step, and planned together: the neurons of
    several layers, all filters. Then these layers would depend on each other, in one loop.
    """
    layout = make_layout(program, [(op,) for group in plan for op in group])
    schedule = hoist(Dataflow(layout), tuple(layout.inputs))
    parts, places = _placed_parts(schedule, batch, kernels=True)
    place_of: dict[Operator, tuple[int, int]] = {}
    depths: list[int] = []
    for part, place in zip(parts, places, strict=True):
        depths.append(max((depths[k] + 1 for k in part.after if places[k] == place), default=0))
        runs = (layout.instructions[number] for number in part.numbers)
        here = place, depths[-1]
        place_of.update((r.group.operators[0], here) for r in runs if isinstance(r, Run))
    groups: list[tuple[Operator, ...]] = []
    for group in plan:
        apart: dict[Any, list[Operator]] = {}
        for op in group:
            # a sum that several copies read is a tensor for all of them
            apart.setdefault(op if is_wiring(op) else place_of.get(op), []).append(op)
        groups.extend(map(tuple, apart.values()))
    return groups


def _placed_parts(schedule: Schedule, batch: int, kernels: bool) -> tuple[list[Part], list[int]]:
    """The parts of the loop, and the place of each in the order of stages: even for loops, odd for
    what is computed at once.
    """
    flow, loop = schedule.flow, schedule.loop
    time = flow.layout.time.index
    heavy = {n for n in loop if _is_heavy(schedule, n, batch, kernels)}
    one_by_one = any(_sees_steps_in_turn(schedule, n) for n in loop)
    if not heavy or one_by_one or any(time in read for read in flow.output_reads):
        return [Part(tuple(range(len(flow.states))), loop, frozenset())], [0]
    parts = flow.parts(loop)
    places: list[int] = []
    for part in parts:
        latest = max((places[k] for k in part.after), default=-1)
        alone = len(part.numbers) == 1 and _is_alone(schedule, *part.numbers, part.states)
        if latest % 2 == 0:  # the latest is in a loop
            places.append(latest + (alone and part.numbers[0] in heavy))
        else:
            places.append(latest + (not alone))
    return parts, places


def _stage(schedule: Schedule, batch: int, in_loop: bool, numbers, states) -> Stage:
    light = all(_is_light(schedule, n, batch) for n in numbers)
    return Stage(in_loop, tuple(numbers), tuple(states), light)


def _sees_steps_in_turn(schedule: Schedule, number: int) -> bool:
    """Whether an instruction is Python code or a Keras layer that has to see the steps in order."""
    instruction = schedule.flow.layout.instructions[number]
    if not isinstance(instruction, Run):
        return False
    layer = instruction.kernel.layer is not None and not instruction.kernel.every_step_alone
    return instruction.kernel.on_host or layer


def _is_heavy(schedule: Schedule, number: int, batch: int, kernels: bool) -> bool:
    """Whether an instruction is a product with constant weights worth a stage of its own."""
    instruction = schedule.flow.layout.instructions[number]
    if not isinstance(instruction, Run):
        return False
    if instruction.kernel.carries:
        width = max(instruction.operands[k].width for k in instruction.kernel.carries)
        return kernels or width * batch >= HEAVY
    if not instruction.kernel.every_step_alone:
        return False
    if instruction.kernel.layer is not None:
        return instruction.kernel.has_weights
    if (number, 0) not in schedule.operands or len(instruction.operands) < 2:
        return False
    if kernels:
        return not _has_one_width((*instruction.operands, *instruction.results))
    return instruction.kernel.convolves or instruction.operands[0].width * batch >= HEAVY


def _is_light(schedule: Schedule, number: int, batch: int) -> bool:
    instruction = schedule.flow.layout.instructions[number]
    if not isinstance(instruction, Run):
        return True
    if not instruction.kernel.repeatable or instruction.kernel.convolves:
        return False
    values = *instruction.operands, *instruction.results
    return _has_one_width(values) or max(value.width for value in values) * batch < HEAVY


def _has_one_width(values: Iterable[Recipe | Tensor]) -> bool:
    """Whether values have one number for each element, or one for all."""
    return len({value.width for value in values} - {1}) <= 1


def _is_alone(schedule: Schedule, number: int, states: Sequence[int]) -> bool:
    """Whether an instruction, with the states that it depends on, can be computed for all steps at
    once.
    """
    flow, instruction = schedule.flow, schedule.flow.layout.instructions[number]
    if flow.layout.time.index in flow.reads[number]:
        return False
    if states:
        return isinstance(instruction, Run) and _carries(flow, number, instruction, states)
    return not isinstance(instruction, Run) or instruction.kernel.every_step_alone


def _carries(flow: Dataflow, number: int, run: Run, states: Sequence[int]) -> bool:
    """Whether states are, as they are, what an instruction carries from step to step, which nothing
    else reads.
    """
    after = {flow.states[k]: _whole_tensor(flow.layout.next_state[k]) for k in states}
    results = {operand: run.results[k].index for operand, k in run.kernel.carries.items()}
    if after != {_whole_tensor(run.operands[k]): result for k, result in results.items()}:
        return False
    tensors = {*after, *results.values()}
    others = [
        *(read for n, read in enumerate(flow.reads) if n != number),
        *(read for k, read in enumerate(flow.next_reads) if k not in states),
        *flow.output_reads,
    ]
    return all(tensors.isdisjoint(read) for read in others)


def _whole_tensor(recipe: Recipe) -> int | None:
    """The tensor that a recipe is, as it is."""
    return recipe.tensor if isinstance(recipe, Slice) and recipe.whole else None
