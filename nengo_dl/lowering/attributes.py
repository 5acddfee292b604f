"""Neurons and synapses some of whose attributes training changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras.ops as ops
import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.synapses import Alpha, Lowpass

from nengo_dl.compiler.attributes import Attribute, TrainedFilter, TrainedNeurons
from nengo_dl.compiler.kernel import Kernel, Prepared, register
from nengo_dl.lowering.filters import alpha_coefficients, alpha_step, lowpass_decay
from nengo_dl.lowering.neurons import NeuronKernel, lowering_of
from nengo_dl.lowering.parameters import columns, split


def trainable_attributes(operator: Operator) -> dict[str, bool]:
    """The attributes of an operator's neuron type or synapse that can be trained, and whether
    each has to stay positive.
    """
    if isinstance(operator, SimNeurons):
        lowering = lowering_of(operator.neurons)
        if lowering is None or operator.state_extra:
            return {}
        return {
            name: getattr(getattr(type(operator.neurons), name, None), "low", None) == 0
            for name in lowering.parameters
            if not isinstance(getattr(operator.neurons, name), (bool, np.bool_))
        }
    if isinstance(operator, SimProcess) and type(operator.process) in (Lowpass, Alpha):
        if operator.process.analog and operator.process.method == "zoh":
            return {"tau": True}
    return {}


def _values(attributes: Sequence[Attribute], sizes: Sequence[int]) -> Callable[[Any], Any]:
    """A function that turns the signals of an attribute, (1, operators), into its values, one a
    column.
    """
    initial = columns([a.initial for a in attributes], [1] * len(sizes))
    positive, size = attributes[0].positive, max(sizes)

    def arrange(stored):
        first = ops.convert_to_tensor(initial, dtype=stored.dtype)
        values = first * ops.exp(stored) if positive else first + stored
        if all(n == size for n in sizes):
            return ops.reshape(ops.repeat(values, size, axis=1), (1, -1))
        return ops.take(values, np.repeat(np.arange(len(sizes)), sizes), axis=1)

    return arrange


class TrainedNeuronsKernel(NeuronKernel):
    """All neurons of a type whose trained attributes are the same ones."""

    def __init__(self, lowering, names: tuple[str, ...]):
        super().__init__(lowering)
        self.names = names

    def merge_key(self, op):
        return (*super().merge_key(op), self.names)

    def reads(self, op):
        return (*super().reads(op), *(a.signal for a in op.attributes))

    def prepare(self, ops_, settings):
        sizes = [op.J.size for op in ops_]
        numbers, arrays = split(
            {
                name: columns([getattr(op.neurons, name) for op in ops_], sizes)
                for name in self.lowering.parameters
                if name not in self.names
            }
        )
        n_state, names = 1 + len(self.lowering.state), self.names
        arrange = {
            n_state + k: _values([op.attributes[k] for op in ops_], sizes)
            for k in range(len(names))
        }

        def step(context, constants, *operands):
            trained = dict(zip(names, operands[n_state:], strict=True))
            arguments = {**numbers, **constants, **trained}
            # variants for speed hold for a range of the attributes only
            return self.run(self.lowering.step, context, operands[:n_state], arguments)

        return Prepared(step, arrays, arrange=arrange)


class _TrainedFilterKernel(Kernel):
    """Filters with a trained time constant."""

    def merge_key(self, op):
        return ()

    def reads(self, op):
        return (op.input, op.state["X"], op.attributes[0].signal)

    def writes(self, op):
        return (op.output, op.state["X"])


class TrainedLowpassKernel(_TrainedFilterKernel):
    """``x = a x + (1 - a) u`` with ``a = exp(-dt / tau)``"""

    def prepare(self, ops_, settings):
        tau = _values([op.attributes[0] for op in ops_], [op.input.size for op in ops_])

        def step(context, constants, u, x, decay):
            x = u + decay * (x - u)
            return x, x

        return Prepared(step, arrange={2: lambda stored: lowpass_decay(tau(stored), settings.dt)})


class TrainedAlphaKernel(_TrainedFilterKernel):
    """Alpha filters, with the state that Nengo gives them, of which all are one size."""

    def __init__(self, size: int):
        self.size = size

    def merge_key(self, op):
        return (self.size,)

    def prepare(self, ops_, settings):
        n, size, dt = len(ops_), self.size, settings.dt
        tau = _values([op.attributes[0] for op in ops_], [size] * n)

        def step(context, constants, u, x, coefficients):
            x = ops.reshape(x, (-1, n, 2, size))
            u = ops.reshape(u, (-1, n, size))
            a = ops.reshape(coefficients, (4, n, size))
            y, rate, level = alpha_step(a, u, x[:, :, 0], x[:, :, 1])
            x = ops.stack([rate, level], axis=2)
            return ops.reshape(y, (-1, n * size)), ops.reshape(x, (-1, n * 2 * size))

        arrange = {2: lambda stored: alpha_coefficients(tau(stored), dt)}
        return Prepared(step, arrange=arrange)


@register(TrainedNeurons)
def _choose_trained_neurons(op):
    return TrainedNeuronsKernel(lowering_of(op.neurons), tuple(a.name for a in op.attributes))


@register(TrainedFilter)
def _choose_trained_filter(op):
    if type(op.process) is Alpha:
        return TrainedAlphaKernel(op.input.size)
    return TrainedLowpassKernel()
