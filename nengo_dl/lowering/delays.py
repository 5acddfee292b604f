"""Delays, `nengo_dl.synapses.Delay`: the inputs of the last steps, in a ring.

The input goes to the slot of the present step, and what is read comes from another slot: nothing
else moves. XLA does that in place in the memory of the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.attributes import Attribute, Encoding, TrainedFilter
from nengo_dl.compiler.kernel import Kernel, Prepared
from nengo_dl.lowering.gathering import gather
from nengo_dl.lowering.parameters import trained_columns
from nengo_dl.synapses import Delay

#: the least width of a distribution, in steps: with it, all but 1 % is the input of one step if the
#: delay is a whole number of them, and halfway between two both count the same
NARROWEST = 0.3


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

    def columns(self, numbers: Any) -> Any:
        """Where the input of each element is that it had in a step of its own."""
        return self.slot(numbers) + np.arange(self.size, dtype=np.int32)


class _RingKernel(Kernel):
    """Delays, which keep the inputs of the last steps."""

    carries = {1: 1}

    def reads(self, op):
        return (op.input, op.state["buffer"])

    def writes(self, op):
        return (op.output, op.state["buffer"])


class DelayKernel(_RingKernel):
    """Delays of any lengths; those of a signal are all equal, or not.

    Parameters
    ----------
    process
        The delay of an operator.
    """

    def __init__(self, process: Delay):
        self.uniform = bool(np.all(process.tau == np.max(process.tau)))

    def merge_key(self, op):
        return (self.uniform,)

    def prepare(self, ops_, settings):
        rings = _rings(ops_, settings.dt)
        steps = np.concatenate([ring.steps for ring in rings])

        def step(context, constants, u, buffer):
            now = context.step_index
            buffer = _written(rings, u, buffer, now)
            if self.uniform:
                return _read_slots(rings, buffer, now), buffer
            return _read_columns(rings, buffer, now, steps), buffer

        def sequence(context, constants, u, buffer):
            inputs, buffer = _pushed(rings, u, buffer, context.step_index)
            return _shifted(inputs, steps, u.shape[1]), buffer

        return Prepared(step, sequence=sequence)


class TrainedDelayKernel(_RingKernel):
    """Delays that training changes: a normal distribution over the last inputs while it does, and
    whole steps elsewhere.

    Parameters
    ----------
    op
        An operator of the group.
    """

    def __init__(self, op: TrainedFilter):
        self.n_slots = op.state["buffer"].size // op.input.size

    def merge_key(self, op):
        return (self.n_slots,)

    def reads(self, op):
        return (*super().reads(op), *(_attribute(op, name).signal for name in ("tau", "spread")))

    def prepare(self, ops_, settings):
        rings, dt, longest = _rings(ops_, settings.dt), settings.dt, self.n_slots - 1
        sizes = [ring.size for ring in rings]
        tau = trained_columns([_attribute(op, "tau") for op in ops_], sizes)
        spread = trained_columns([_attribute(op, "spread") for op in ops_], sizes)

        def centre(stored):
            steps = tau(stored) / dt
            # with a gradient beyond the limits, too, which leads back
            return steps + ops.stop_gradient(ops.clip(steps, 0, longest) - steps)

        def step(context, constants, u, buffer, centre, width):
            now = context.step_index
            buffer = _written(rings, u, buffer, now)
            if context.training:
                ago = ops.mod(now - np.arange(self.n_slots, dtype=np.int32), self.n_slots)
                weights = _weights(ago, centre, width)
                parts = [ops.sum(weights[:, r.inputs] * r.part(buffer), axis=1) for r in rings]
                return ops.concatenate(parts, axis=1), buffer
            return _read_columns(rings, buffer, now, _whole(centre)), buffer

        def sequence(context, constants, u, buffer, centre, width):
            inputs, buffer = _pushed(rings, u, buffer, context.step_index)
            if context.training:
                weights = _weights(np.arange(self.n_slots, dtype=np.int32), centre, width)
                return _weighted(inputs, weights, u.shape[1]), buffer
            return _shifted(inputs, _whole(centre), u.shape[1]), buffer

        arrange = {2: centre, 3: lambda stored: spread(stored) / dt}
        return Prepared(step, arrange=arrange, sequence=sequence)


def delay_encodings(delay: Delay) -> dict[str, Encoding]:
    """How training holds the attributes of a delay; none where no limit is known.

    A delay counts in parts of the longest one. Its width has a long way to go, from many steps to a
    part of one, in the time in which the delay itself arrives.
    """
    if delay.longest is None:
        return {}
    return {
        "tau": Encoding(unit=delay.longest, limits=(0.0, delay.longest)),
        "spread": Encoding(positive=True, unit=3.0),
    }


def _attribute(op: TrainedFilter, name: str) -> Attribute:
    return next(attribute for attribute in op.attributes if attribute.name == name)


def _weights(ago: Any, centre: Any, width: Any) -> Any:
    """What the inputs of so many steps ago, (slots,), count for each element, (slots, width)."""
    distance = ops.cast(ago, centre.dtype)[:, None] - centre
    return ops.softmax(-0.5 * ops.square(distance / (width + NARROWEST)), axis=0)


def _whole(centre: Any) -> Any:
    """Delays in whole steps, (width,)."""
    return ops.cast(ops.round(centre[0]), "int32")


def _rings(operators: Sequence, dt: float) -> list[_Ring]:
    rings: list[_Ring] = []
    first = base = 0
    for op in operators:
        steps = op.process.steps(op.input.shape, dt).astype(np.int32)
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


def _written(rings: Sequence[_Ring], u: Any, buffer: Any, now: Any) -> Any:
    """The buffer with the inputs of this step."""
    u, zero = ops.broadcast_to(u, (buffer.shape[0], u.shape[1])), 0 * now
    for ring in rings:
        buffer = ops.slice_update(buffer, [zero, ring.slot(now)], u[:, ring.inputs])
    return buffer


def _read_columns(rings: Sequence[_Ring], buffer: Any, now: Any, steps: Any) -> Any:
    """The delayed inputs, of any delays."""
    columns = [ring.columns(now - steps[ring.inputs]) for ring in rings]
    return gather(buffer, ops.concatenate(columns))


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


def _shifted(inputs: Any, steps: Any, n_steps: int) -> Any:
    """What is left of the inputs if each element is delayed, (batch, steps, width).

    A shift by any number of steps is one by 1, 2, 4, ... steps, or none: a few selections, where
    the gradient of a gather would be a sum of single numbers.
    """
    longest = inputs.shape[1] - n_steps
    shifts = longest - steps
    if isinstance(shifts, np.ndarray) and np.ptp(shifts) == 0:
        return inputs[:, shifts[0] : shifts[0] + n_steps]
    n_bits = longest.bit_length()
    missing = max(0, n_steps + 2**n_bits - 1 - inputs.shape[1])
    x = ops.pad(inputs, ((0, 0), (0, missing), (0, 0)))
    for bit in range(n_bits):
        kept = x.shape[1] - 2**bit
        is_set = ops.mod(shifts // 2**bit, 2) == 1
        x = ops.where(is_set, x[:, 2**bit :], x[:, :kept])
    return x[:, :n_steps]


def _weighted(inputs: Any, weights: Any, n_steps: int) -> Any:
    """The sums of the inputs of so many steps ago, times their weights, (batch, steps, width)."""
    longest = inputs.shape[1] - n_steps
    terms = [
        weights[k] * inputs[:, longest - k : longest - k + n_steps] for k in range(longest + 1)
    ]
    return sum(terms[1:], terms[0])
