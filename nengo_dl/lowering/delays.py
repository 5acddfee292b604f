"""Delays, `nengo_dl.synapses.Delay`: the inputs of the last steps, in a ring.

The input goes to the slot of the present step, and what is read comes from another slot: nothing
else moves. XLA does that in place in the memory of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.kernel import Kernel, Prepared
from nengo_dl.synapses import Delay


class _Ring:
    """The ring of one operator, in the columns of the buffer of its group.

    Attributes
    ----------
    size, n_slots
        Elements of the signal, and inputs of each that are kept.
    inputs, base
        Where its elements are in the input of the group, and where its ring begins.
    steps
        The delay of each element.
    """

    def __init__(self, steps: np.ndarray, n_slots: int, first: int, base: int):
        self.size, self.n_slots, self.steps = len(steps), n_slots, steps
        self.inputs, self.base = slice(first, first + self.size), base

    def slot(self, number: Any) -> Any:
        """Where the input of a step is, in the buffer."""
        return self.base + self.size * ops.mod(number, self.n_slots)

    def part(self, buffer: Any) -> Any:
        """Its inputs, (batch, n_slots, size)."""
        part = buffer[:, self.base : self.base + self.n_slots * self.size]
        return ops.reshape(part, (-1, self.n_slots, self.size))

    def before(self, buffer: Any, first: Any) -> Any:
        """The inputs before a step, the oldest one first, (batch, n_slots - 1, size)."""
        return _rolled(self.part(buffer), ops.mod(first + 1, self.n_slots))[:, :-1]

    def after(self, inputs: Any, following: Any) -> Any:
        """The ring before a step, of the inputs up to then, (batch, n_slots * size)."""
        last = inputs[:, -self.n_slots :]
        return ops.reshape(
            _rolled(last, ops.mod(-following, self.n_slots)), (-1, self.n_slots * self.size)
        )

    def columns(self, number: Any) -> Any:
        """Where the delayed input of each element is."""
        return self.slot(number - self.steps.astype(np.int32)) + np.arange(
            self.size, dtype=np.int32
        )


class DelayKernel(Kernel):
    """Delays of any lengths; those of a signal are all equal, or not.

    All steps at once are the inputs, shifted.

    Parameters
    ----------
    process
        The delay of an operator.
    """

    carries = {1: 1}  # noqa: RUF012

    def __init__(self, process: Delay):
        self.uniform = bool(np.all(process.tau == np.max(process.tau)))

    def merge_key(self, op):
        return (self.uniform,)

    def reads(self, op):
        return (op.input, op.state["buffer"])

    def writes(self, op):
        return (op.output, op.state["buffer"])

    def prepare(self, ops_, settings):
        rings = _rings(ops_, settings.dt)
        read = _read_slots if self.uniform else _read_columns

        def step(context, constants, u, buffer):
            batch, now = buffer.shape[0], context.step_index
            u, zero = ops.broadcast_to(u, (batch, u.shape[1])), 0 * now
            for ring in rings:
                buffer = ops.slice_update(buffer, [zero, ring.slot(now)], u[:, ring.inputs])
            return read(rings, buffer, now), buffer

        def sequence(context, constants, u, buffer):
            inputs, buffer = _pushed(rings, u, buffer, context.step_index)
            return _shifted(rings, inputs, u.shape[1]), buffer

        return Prepared(step, sequence=sequence)


def _rings(operators: Sequence, dt: float) -> list[_Ring]:
    rings: list[_Ring] = []
    first = base = 0
    for op in operators:
        steps = op.process.steps(op.input.shape, dt)
        rings.append(_Ring(steps, op.process.n_slots(dt), first, base))
        first, base = first + len(steps), base + op.state["buffer"].size
    return rings


def _read_slots(rings: Sequence[_Ring], buffer: Any, now: Any) -> Any:
    """The delayed inputs where all elements of a ring have the same delay."""
    batch = buffer.shape[0]
    parts = [
        ops.slice(buffer, [0 * now, ring.slot(now - int(ring.steps[0]))], (batch, ring.size))
        for ring in rings
    ]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=1)


def _read_columns(rings: Sequence[_Ring], buffer: Any, now: Any) -> Any:
    """The delayed inputs, of any delays."""
    batch, width = buffer.shape
    columns = ops.concatenate([ring.columns(now) for ring in rings])
    if batch == 1:
        return ops.take(buffer, columns, axis=1)
    # as one vector: XLA's gather along the last of two axes is several times slower
    offsets = np.arange(batch, dtype=np.int32)[:, None] * width
    return ops.take(ops.reshape(buffer, (-1,)), columns[None] + offsets, axis=0)


# -- all steps at once -----------------------------------------------------------------------------


def _rolled(x: Any, start: Any) -> Any:
    """(batch, slots, size) from slot ``start`` on, and then those before it."""
    zero = 0 * start
    return ops.slice(ops.concatenate([x, x], axis=1), [zero, start, zero], x.shape)


def _pushed(rings: Sequence[_Ring], u: Any, buffer: Any, first: Any) -> tuple[Any, Any]:
    """All inputs, from those that the longest delay needs in the first step on, (batch, most slots
    - 1 + steps, width), and the buffer after the last step.
    """
    longest, n_steps = max(ring.n_slots for ring in rings), u.shape[1]
    inputs, after = [], []
    for ring in rings:
        before = ring.before(buffer, first)
        own = ops.concatenate([before, u[:, :, ring.inputs]], axis=1)
        after.append(ring.after(own, first + n_steps))
        inputs.append(ops.pad(own, ((0, 0), (longest - ring.n_slots, 0), (0, 0))))
    return ops.concatenate(inputs, axis=2), ops.concatenate(after, axis=1)


def _shifted(rings: Sequence[_Ring], inputs: Any, n_steps: int) -> Any:
    """What is left of the inputs if each element is shifted by its delay, (batch, steps, width).

    A shift by any number of steps is one by 1, 2, 4, ... steps, or none: a few selections, where
    the gradient of a gather would be a sum of single numbers.
    """
    shifts = inputs.shape[1] - n_steps - np.concatenate([ring.steps for ring in rings])
    if np.ptp(shifts) == 0:
        return inputs[:, shifts[0] : shifts[0] + n_steps]
    n_bits = int(np.max(shifts)).bit_length()
    missing = max(0, n_steps + 2**n_bits - 1 - inputs.shape[1])
    x = ops.pad(inputs, ((0, 0), (0, missing), (0, 0)))
    for bit in range(n_bits):
        kept = x.shape[1] - 2**bit
        x = ops.where(shifts >> bit & 1 == 1, x[:, 2**bit :], x[:, :kept])
    return x[:, :n_steps]
