"""What the functions of a network depend on besides the values and shapes of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from nengo_dl.compiler.cut import is_call
from nengo_dl.compiler.hoist import Schedule
from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.compiler.operand import Tensor
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.step.fingerprint import NoFingerprint, fingerprint
from nengo_dl.runtime.step.lowered_network import LoweredNetwork


def step_structure(
    lowered: LoweredNetwork, changing: Sequence[Input], training: bool, apart: bool = False
) -> str | None:
    """Equal for steps (`LoweredNetwork.functions`) that compute the same from the same arguments.

    None where that cannot be said: a step that calls Python, a Keras layer, or a user's own code.
    What is called between compiled pieces counts for nothing where it is ``apart`` from the step.
    """
    try:
        return fingerprint(_of_step(lowered, lowered.schedule(changing), training, apart))
    except NoFingerprint:
        return None


def _of_step(lowered: LoweredNetwork, schedule: Schedule, training: bool, apart: bool) -> tuple:
    layout = lowered.layout
    calls = {n for n in schedule.loop if apart and is_call(schedule, n)}
    return (
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        training,
        lowered.settings,
        [
            _of_instruction(lowered, n, instruction, n in calls)
            for n, instruction in enumerate(layout.instructions)
        ],
        [_of_tensor(stored.tensor) for stored in layout.stored],
        [(_of_tensor(tensor), value) for tensor, value in layout.literals.items()],
        _of_tensor(layout.time),
        [layout.inputs[item].index for item in schedule.fixed],
        (schedule.rows, schedule.before, schedule.loop),
        (sorted(schedule.operands), sorted(schedule.kept)),
        layout.next_state,
        layout.outputs,
    )


def _of_instruction(
    lowered: LoweredNetwork, number: int, instruction: Assemble | Run, called: bool
) -> tuple:
    parts = (instruction.operands, [_of_tensor(tensor) for tensor in instruction.results])
    if isinstance(instruction, Assemble):
        return parts
    prepared = lowered.kernels[number]
    if called:
        return (*parts, "called", prepared.arrange)
    if instruction.kernel.on_host or instruction.kernel.layer is not None:
        raise NoFingerprint("Python code or a Keras layer in the step")
    return (*parts, prepared.step, list(prepared.constants), prepared.arrange)


def _of_tensor(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.index, tensor.kind, tensor.width  # the name is for people
