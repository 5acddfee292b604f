"""A sequence in stages: what no state depends on is computed for all steps at once.

The loop over the steps is cut along the strongly connected parts of the step's data flow (loop
distribution; Kennedy and Allen, 1990, "Loop distribution with arbitrary control flow"). A product
of inputs with weights becomes one product of (n_steps x batch) rows, which is several times faster
than n_steps products of (batch) rows, and its gradient is summed over the steps inside the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nengo_dl.compiler.dataflow import Dataflow
from nengo_dl.compiler.hoist import Schedule
from nengo_dl.compiler.layout import Run
from nengo_dl.compiler.operand import Recipe, Slice

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


def distribute(schedule: Schedule, batch: int, least: int | None = None) -> tuple[Stage, ...]:
    """The loop in stages, for a batch of this size; one where cutting gains nothing.

    ``least`` is the number of multiplications of a step that take the place of `HEAVY`.
    """
    flow, loop = schedule.flow, schedule.loop
    least = HEAVY if least is None else least
    time = flow.layout.time.index
    heavy = {n for n in loop if _is_heavy(schedule, n, batch, least)}
    one_by_one = any(_sees_steps_in_turn(schedule, n) for n in loop)
    if not heavy or one_by_one or any(time in read for read in flow.output_reads):
        return (_stage(schedule, batch, True, loop, range(len(flow.states))),)
    parts = flow.parts(loop)
    places: list[int] = []  # even for loops, odd for what is computed at once
    for part in parts:
        latest = max((places[k] for k in part.after), default=-1)
        alone = len(part.numbers) == 1 and _is_alone(schedule, *part.numbers, part.states)
        if latest % 2 == 0:  # the latest is in a loop
            places.append(latest + (alone and part.numbers[0] in heavy))
        else:
            places.append(latest + (not alone))
    stages = []
    for place in sorted(set(places)):
        here = [part for part, own in zip(parts, places, strict=True) if own == place]
        numbers = sorted(n for part in here for n in part.numbers)
        states = sorted(k for part in here for k in part.states)
        stages.append(_stage(schedule, batch, place % 2 == 0, numbers, states))
    return tuple(stages)


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


def _is_heavy(schedule: Schedule, number: int, batch: int, least: int) -> bool:
    """Whether an instruction is a product with constant weights worth a stage of its own."""
    instruction = schedule.flow.layout.instructions[number]
    if not isinstance(instruction, Run):
        return False
    if instruction.kernel.carries:
        return (
            max(instruction.operands[k].width for k in instruction.kernel.carries) * batch >= least
        )
    if not instruction.kernel.every_step_alone:
        return False
    if instruction.kernel.layer is not None:
        return instruction.kernel.has_weights
    if (number, 0) not in schedule.operands or len(instruction.operands) < 2:
        return False
    return instruction.kernel.convolves or instruction.operands[0].width * batch >= least


def _is_light(schedule: Schedule, number: int, batch: int) -> bool:
    instruction = schedule.flow.layout.instructions[number]
    if not isinstance(instruction, Run):
        return True
    if not instruction.kernel.repeatable or instruction.kernel.convolves:
        return False
    widths = {r.width for r in instruction.operands} | {t.width for t in instruction.results}
    elementwise = len(widths - {1}) <= 1
    return elementwise or max(widths) * batch < HEAVY


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
