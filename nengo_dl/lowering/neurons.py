"""Neuron types: each a function of the input current, its state and its parameters.

`register_neurons` enters one. All ensembles of a type are computed together, whatever their sizes and parameters: a
parameter is a number where all agree and one value a column where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras.ops as ops
from nengo import neurons as nengo_neurons
from nengo.builder.neurons import SimNeurons
from nengo.neurons import NeuronType

from nengo_dl.compiler.kernel import Kernel, Prepared, register
from nengo_dl.lowering.parameters import columns, split


@dataclass(frozen=True)
class NeuronLowering:
    """How a neuron type is computed.

    ``step(context, J, *state, **parameters)`` returns the output, followed by the new state; all of shape
    (batch, neurons).
    """

    neuron_type: type[NeuronType]
    step: Callable
    parameters: tuple[str, ...]
    state: tuple[str, ...]


_lowerings: dict[type[NeuronType], NeuronLowering] = {}


def register_neurons(
    neuron_type: type[NeuronType], parameters: Sequence[str] = (), state: Sequence[str] | None = None
):
    """Decorator that gives a neuron type a native implementation.

    Parameters
    ----------
    neuron_type
        Ensembles of this type use it, and those of subclasses that do not override ``step``.
    parameters
        Names of attributes of the neuron type, passed to the function as keyword arguments (a number, or an array of
        shape (1, neurons)).
    state
        Names of the state variables, in the order in which the function takes and returns them; by default those of
        ``neuron_type.state``.

    Examples
    --------
    ::

        @nengo_dl.register_neurons(MyNeurons, parameters=["gain"])
        def my_neurons(context, J, voltage, gain):
            voltage = voltage + context.dt * J * gain
            return ops.tanh(voltage), voltage
    """
    names = tuple(neuron_type.state if state is None else state)

    def decorate(step):
        _lowerings[neuron_type] = NeuronLowering(neuron_type, step, tuple(parameters), names)
        return step

    return decorate


def lowering_of(neurons: NeuronType) -> NeuronLowering | None:
    """The lowering of a neuron type; None where there is none or a subclass changed the maths."""
    for cls in type(neurons).__mro__:
        if cls in _lowerings:
            same = type(neurons).step is cls.step
            return _lowerings[cls] if same else None
    return None


class NeuronKernel(Kernel):
    """All neurons of a type."""

    def __init__(self, lowering: NeuronLowering):
        self.lowering = lowering

    def merge_key(self, op):
        return (self.lowering.step,)

    def reads(self, op):
        return (op.J, *(op.state[name] for name in self.lowering.state))

    def writes(self, op):
        return (op.output, *(op.state[name] for name in self.lowering.state))

    def prepare(self, ops_, settings):
        sizes = [op.J.size for op in ops_]
        numbers, arrays = split(
            {
                name: columns([getattr(op.neurons, name) for op in ops_], sizes)
                for name in self.lowering.parameters
            }
        )

        def step(context, constants, J, *state):
            result = self.lowering.step(context, J, *state, **numbers, **constants)
            return result if isinstance(result, tuple) else (result,)

        return Prepared(step, arrays)


@register(SimNeurons)
def _choose_neurons(op):
    lowering = lowering_of(op.neurons)
    return None if lowering is None or op.state_extra else NeuronKernel(lowering)


@register_neurons(nengo_neurons.RectifiedLinear, ["amplitude"])
def rectified_linear(context, J, amplitude):
    return amplitude * ops.maximum(J, 0.0)


@register_neurons(nengo_neurons.SpikingRectifiedLinear, ["amplitude"])
def spiking_rectified_linear(context, J, voltage, amplitude):
    voltage = voltage + ops.maximum(J, 0.0) * context.dt
    n_spikes = ops.floor(voltage)
    return (amplitude / context.dt) * n_spikes, voltage - n_spikes


@register_neurons(nengo_neurons.Sigmoid, ["tau_ref"])
def sigmoid(context, J, tau_ref):
    return (1.0 / tau_ref) * ops.sigmoid(J)


@register_neurons(nengo_neurons.Tanh, ["tau_ref"])
def tanh(context, J, tau_ref):
    return (1.0 / tau_ref) * ops.tanh(J)


@register_neurons(nengo_neurons.LIFRate, ["tau_rc", "tau_ref", "amplitude"])
def lif_rate(context, J, tau_rc, tau_ref, amplitude):
    j = J - 1.0
    active = j > 0
    # log1p(1 / j) where nothing fires would be evaluated (and differentiated) out of its domain
    j = ops.where(active, j, 1.0)
    return ops.where(active, amplitude / (tau_ref + tau_rc * ops.log1p(1.0 / j)), 0.0)


@register_neurons(nengo_neurons.LIF, ["tau_rc", "tau_ref", "min_voltage", "amplitude"])
def lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    dt = context.dt
    refractory_time = refractory_time - dt
    delta_t = ops.clip(dt - refractory_time, 0.0, dt)
    voltage = voltage - (J - voltage) * ops.expm1(-delta_t / tau_rc)
    spiked = voltage > 1
    overshoot = ops.where(spiked, (voltage - 1.0) / ops.where(spiked, J - 1.0, 1.0), 0.0)
    t_spike = dt + tau_rc * ops.log1p(-overshoot)
    output = ops.cast(spiked, J.dtype) * (amplitude / dt)
    voltage = ops.where(spiked, 0.0, ops.maximum(voltage, min_voltage))
    return output, voltage, ops.where(spiked, tau_ref + t_spike, refractory_time)
