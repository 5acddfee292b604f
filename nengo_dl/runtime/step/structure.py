"""What the functions of a network depend on besides the values and shapes of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.compiler.operand import Tensor
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.step.fingerprint import NoFingerprint, fingerprint
from nengo_dl.runtime.step.lowered_network import LoweredNetwork


def step_structure(
    lowered: LoweredNetwork, changing: Sequence[Input], training: bool
) -> str | None:
    """Equal for steps (`LoweredNetwork.functions`) that compute the same from the same arguments.

    None where that cannot be said: a step that calls Python, a Keras layer, or a user's own code.
    """
    try:
        return fingerprint(_of_step(lowered, changing, training))
    except NoFingerprint:
        return None


def _of_step(lowered: LoweredNetwork, changing: Sequence[Input], training: bool) -> tuple:
    layout, schedule = lowered.layout, lowered.schedule(changing)
    return (
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        training,
        lowered.settings,
        [
            _of_instruction(lowered, n, instruction)
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


def _of_instruction(lowered: LoweredNetwork, number: int, instruction: Assemble | Run) -> tuple:
    parts = (instruction.operands, [_of_tensor(tensor) for tensor in instruction.results])
    if isinstance(instruction, Assemble):
        return parts
    prepared = lowered.kernels[number]
    if instruction.kernel.on_host or instruction.kernel.layer is not None:
        raise NoFingerprint("Python code or a Keras layer in the step")
    return (*parts, prepared.step, list(prepared.constants), prepared.arrange)


def _of_tensor(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.index, tensor.kind, tensor.width  # the name is for people
