"""Neurons and synapses some of whose attributes training changes."""

from __future__ import annotations

import keras.ops as ops
import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.synapses import Alpha, Lowpass

from nengo_dl.compiler.attributes import Encoding, TrainedFilter, TrainedNeurons
from nengo_dl.compiler.kernel import Kernel, Prepared, is_host_call, register
from nengo_dl.compiler.series import in_series
from nengo_dl.lowering.delays import TrainedDelayKernel, delay_encodings
from nengo_dl.lowering.filters import alpha_coefficients, alpha_step, lowpass_decay
from nengo_dl.lowering.neurons import NeuronKernel, lowering_of
from nengo_dl.lowering.parameters import columns, split, trained_columns
from nengo_dl.synapses import Delay


def trainable_attributes(operator: Operator) -> dict[str, Encoding]:
    """The attributes of an operator's neuron type or synapse that can be trained, and how training
    holds each.
    """
    if isinstance(operator, SimNeurons):
        lowering = lowering_of(operator.neurons)
        if lowering is None or operator.state_extra:
            return {}
        return {
            name: Encoding(getattr(getattr(type(operator.neurons), name, None), "low", None) == 0)
            for name in lowering.parameters
            if not isinstance(getattr(operator.neurons, name), (bool, np.bool_))
        }
    if isinstance(operator, SimProcess) and type(operator.process) in (Lowpass, Alpha):
        if operator.process.analog and operator.process.method == "zoh":
            return {"tau": Encoding(positive=True)}
    if _is_delay(operator):
        on_host = any(map(is_host_call, in_series(operator)))
        return {} if on_host else delay_encodings(operator.process)
    return {}


def trained_with(operator: Operator, name: str) -> tuple[str, ...]:
    """The attributes of an operator's synapse that training changes where it changes this one."""
    return tuple(trainable_attributes(operator)) if _is_delay(operator) else (name,)


def _is_delay(operator: Operator) -> bool:
    return isinstance(operator, SimProcess) and type(operator.process) is Delay


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
            n_state + k: trained_columns([op.attributes[k] for op in ops_], sizes)
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
        tau = trained_columns([op.attributes[0] for op in ops_], [op.input.size for op in ops_])

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
        tau = trained_columns([op.attributes[0] for op in ops_], [size] * n)

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
    if type(op.process) is Delay:
        return TrainedDelayKernel(op)
    if type(op.process) is Alpha:
        return TrainedAlphaKernel(op.input.size)
    return TrainedLowpassKernel()
