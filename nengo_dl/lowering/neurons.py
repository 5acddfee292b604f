"""Neuron types: each a function of the input current, its state and its parameters.

`register_neurons` enters one. All ensembles of a type are computed together, whatever their sizes
and parameters: a parameter is a number where all agree and one value a column where they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import keras.ops as ops
import numpy as np
from nengo import neurons as nengo_neurons
from nengo.builder.neurons import SimNeurons
from nengo.neurons import NeuronType, RatesToSpikesNeuronType

from nengo_dl.compiler.kernel import Kernel, Prepared, register
from nengo_dl.compiler.operators import StochasticNeurons
from nengo_dl.lowering.host import HostKernel
from nengo_dl.lowering.parameters import columns, split
from nengo_dl.neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from nengo_dl.surrogates import RateDerivative, fast_sigmoid


@dataclass(frozen=True)
class NeuronLowering:
    """How a neuron type is computed.

    ``step(context, J, *state, **parameters)`` returns the output, followed by the new state; all of
    shape (batch, neurons). ``rate`` has the same form and takes its place in training.
    ``variant(ops, settings)`` may return another function for a group of operators (None: no
    other).
    """

    neuron_type: type[NeuronType]
    step: Callable
    parameters: tuple[str, ...]
    state: tuple[str, ...]
    rate: Callable | None = None
    variant: Callable | None = None


_lowerings: dict[type[NeuronType], NeuronLowering] = {}


def register_neurons(
    neuron_type: type[NeuronType],
    parameters: Sequence[str] = (),
    state: Sequence[str] | None = None,
    rate: Callable | None = None,
    variant: Callable | None = None,
):
    """Decorator that gives a neuron type a native implementation.

    Parameters
    ----------
    neuron_type
        Ensembles of this type use it, and those of subclasses that do not override ``step``.
    parameters
        Names of attributes of the neuron type, passed to the function as keyword arguments (a
        number, or an array of shape (1, neurons)).
    state
        Names of the state variables, in the order in which the function takes and returns them; by
        default those of ``neuron_type.state``.
    rate
        A differentiable function with the same arguments and results, which takes the place of the
        decorated one in training.
    variant
        ``variant(operators, settings)`` returns a function to use in place of the decorated one for
        a group of operators, or None.

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
        _lowerings[neuron_type] = NeuronLowering(
            neuron_type, step, tuple(parameters), names, rate, variant
        )
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

    every_step_alone = True  # those that have a state are told by it

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

        simulated = self.lowering.step
        if self.lowering.variant is not None:
            simulated = self.lowering.variant(ops_, settings) or simulated

        def step(context, constants, J, *state):
            return self.run(simulated, context, (J, *state), {**numbers, **constants})

        return Prepared(step, arrays)

    def run(self, simulated: Callable, context, operands: tuple, arguments: dict) -> tuple:
        """A step, of a simulation with the function ``simulated`` or of training."""
        if not context.training:
            return _as_tuple(simulated(context, *operands, **arguments))
        return _train(self.lowering, simulated, context, operands, arguments)


def _train(lowering: NeuronLowering, simulated: Callable, context, operands: tuple, arguments):
    """A step of training: of the rates, or of the spikes with a derivative of their own."""
    rate = None if lowering.rate is None else partial(lowering.rate, **arguments)
    if context.surrogate is None and rate is not None:
        return _as_tuple(rate(context, *operands))
    if isinstance(context.surrogate, RateDerivative) and rate is not None:
        spiking = replace(context, surrogate=None)
        spikes, *state = _as_tuple(simulated(spiking, *operands, **arguments))
        rates = _as_tuple(rate(context, *operands))[0]
        return ops.stop_gradient(spikes) + (rates - ops.stop_gradient(rates)), *state
    if not callable(context.surrogate):
        # spikes without a rate to stand for them, or whose derivative was asked for
        context = replace(context, surrogate=fast_sigmoid())
    return _as_tuple(simulated(context, *operands, **arguments))


def _as_tuple(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


class StochasticKernel(NeuronKernel):
    """Neurons that need a random number each, drawn ahead."""

    def reads(self, op):
        return (op.J, op.draws)


class HostSpikesKernel(HostKernel):
    """Spikes made of rates by Nengo's own code; in training they are the rates."""

    differentiable = True

    def prepare(self, ops_, settings):
        spikes = super().prepare(ops_, settings)
        (op,) = ops_
        inputs, outputs = self.reads(op), self.writes(op)
        amplitude = op.neurons.amplitude

        def step(context, constants, *operands):
            if not context.training:
                return spikes.step(context, constants, *operands)
            given = dict(zip(inputs, operands, strict=True))
            return tuple(
                amplitude * given[op.J] if sig is op.output else given[sig] for sig in outputs
            )

        return Prepared(step, spikes.constants)


@register(SimNeurons)
def _choose_neurons(op):
    lowering = lowering_of(op.neurons)
    if lowering is not None and not op.state_extra:
        return NeuronKernel(lowering)
    return HostSpikesKernel() if isinstance(op.neurons, RatesToSpikesNeuronType) else None


@register(StochasticNeurons)
def _choose_stochastic_neurons(op):
    return StochasticKernel(_lowerings[nengo_neurons.StochasticSpiking])


@register_neurons(nengo_neurons.RectifiedLinear, ["amplitude"])
def rectified_linear(context, J, amplitude):
    """`nengo.RectifiedLinear`."""
    return amplitude * ops.relu(J)


def _rectified_linear_training(context, J, voltage, amplitude):
    return rectified_linear(context, J, amplitude), voltage


@register_neurons(
    nengo_neurons.SpikingRectifiedLinear, ["amplitude"], rate=_rectified_linear_training
)
def spiking_rectified_linear(context, J, voltage, amplitude):
    """`nengo.SpikingRectifiedLinear`."""
    return _whole_spikes(context, ops.relu(J), voltage, amplitude)


def _whole_spikes(context, rate, voltage, amplitude):
    """As many spikes as the integral of the rate has passed whole numbers."""
    voltage = voltage + rate * context.dt
    n_spikes = _with_surrogate(context, _floor(voltage), voltage)
    # the reset is not differentiated, as is usual: its gradient would go through each earlier spike
    return (amplitude / context.dt) * n_spikes, voltage - ops.stop_gradient(n_spikes)


def _with_surrogate(context, n_spikes, voltage):
    """Numbers of spikes with the surrogate's derivative at the nearest threshold: 1, 2, ..."""
    nearest = ops.maximum(1.0, _floor(ops.abs(voltage) + 0.5)) * ops.sign(voltage)
    return context.spikes(n_spikes, voltage - ops.stop_gradient(nearest))


def _floor(x):
    # on JAX, ops.floor of Keras gives float32 whatever it is given
    whole = ops.trunc(x)
    return whole - ops.cast(x < whole, x.dtype)


@register_neurons(LeakyReLU, ["negative_slope", "amplitude"])
def leaky_relu(context, J, negative_slope, amplitude):
    """`nengo_dl.LeakyReLU`."""
    return amplitude * ops.where(J < 0, negative_slope * J, J)


def _leaky_relu_training(context, J, voltage, negative_slope, amplitude):
    return leaky_relu(context, J, negative_slope, amplitude), voltage


@register_neurons(SpikingLeakyReLU, ["negative_slope", "amplitude"], rate=_leaky_relu_training)
def spiking_leaky_relu(context, J, voltage, negative_slope, amplitude):
    """`nengo_dl.SpikingLeakyReLU`."""
    voltage = voltage + ops.where(J < 0, negative_slope * J, J) * context.dt
    n_spikes = _with_surrogate(context, ops.trunc(voltage), voltage)
    return (amplitude / context.dt) * n_spikes, voltage - ops.stop_gradient(n_spikes)


@register_neurons(nengo_neurons.Sigmoid, ["tau_ref"])
def sigmoid(context, J, tau_ref):
    """`nengo.Sigmoid`."""
    return (1.0 / tau_ref) * ops.sigmoid(J)


@register_neurons(nengo_neurons.Tanh, ["tau_ref"])
def tanh(context, J, tau_ref):
    """`nengo.Tanh`."""
    return (1.0 / tau_ref) * (ops.tanh(J) if context.dtype == "float32" else _tanh(J))


def _tanh(x):
    # on JAX, ops.tanh of Keras gives float32 whatever it is given
    e = ops.expm1(-2.0 * ops.abs(x))
    return -ops.sign(x) * e / (e + 2.0)


@register_neurons(nengo_neurons.LIFRate, ["tau_rc", "tau_ref", "amplitude"])
def lif_rate(context, J, tau_rc, tau_ref, amplitude):
    """`nengo.LIFRate`."""
    j = J - 1.0
    active = j > 0
    # log1p(1 / j) where nothing fires would be evaluated (and differentiated) out of its domain
    j = ops.where(active, j, 1.0)
    return ops.where(active, amplitude / (tau_ref + tau_rc * ops.log1p(1.0 / j)), 0.0)


#: below this, softplus(x) is exp(x) to rounding
SMALL_SOFTPLUS = -30.0


@register_neurons(SoftLIFRate, ["sigma", "tau_rc", "tau_ref", "amplitude"])
def soft_lif_rate(context, J, sigma, tau_rc, tau_ref, amplitude):
    """LIFRate with a smooth threshold: the current above it is ``sigma * softplus((J - 1) /
    sigma)``.

    Hunsberger and Eliasmith, "Spiking deep networks with LIF neurons", 2015, equation 4.
    """
    x = (J - 1.0) / sigma
    small = x < SMALL_SOFTPLUS
    j = sigma * ops.softplus(ops.where(small, 0.0, x))
    # where j is too small to divide by, log1p(1 / j) is -log(j) = -(x + log(sigma))
    log_sigma = ops.log(ops.convert_to_tensor(sigma, dtype=context.dtype))
    return amplitude / (tau_ref + tau_rc * ops.where(small, -x - log_sigma, ops.log1p(1.0 / j)))


def _lif_training(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """The rate of LIF neurons, with a smooth threshold if the network asks for it."""
    if context.lif_smoothing:
        rate = soft_lif_rate(context, J, context.lif_smoothing, tau_rc, tau_ref, amplitude)
    else:
        rate = lif_rate(context, J, tau_rc, tau_ref, amplitude)
    return rate, voltage, refractory_time


def _fast_lif_for(operators, settings):
    """The fastest form that is exact to rounding for these neurons; None where there is none."""
    fits = settings.dtype == "float32" and all(
        settings.dt <= 0.1 * op.neurons.tau_rc and np.all(op.state["voltage"].initial_value <= 1)
        for op in operators
    )
    if not fits:
        return None
    return fused_lif if all(op.neurons.min_voltage >= 0 for op in operators) else fast_lif


@register_neurons(
    nengo_neurons.LIF,
    ["tau_rc", "tau_ref", "min_voltage", "amplitude"],
    rate=_lif_training,
    variant=_fast_lif_for,
)
def lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`nengo.LIF`."""
    dt = context.dt
    refractory_time = refractory_time - dt
    delta_t = ops.clip(dt - refractory_time, 0.0, dt)
    voltage = voltage - (J - voltage) * ops.expm1(-delta_t / tau_rc)
    spiked = voltage > 1
    overshoot = ops.where(spiked, (voltage - 1.0) / ops.where(spiked, J - 1.0, 1.0), 0.0)
    t_spike = ops.stop_gradient(dt + tau_rc * ops.log1p(-overshoot))
    output = context.spikes(ops.cast(spiked, J.dtype), voltage - 1.0) * (amplitude / dt)
    voltage = ops.where(spiked, 0.0, ops.maximum(voltage, min_voltage))
    return output, voltage, ops.where(spiked, tau_ref + t_spike, refractory_time)


def _at_least(x, lowest):
    """`ops.maximum` as one instruction: that of XLA asks for not-a-number on its own."""
    return ops.where(x < lowest, lowest, x)


def _fast_charge(context, J, voltage, refractory_time, tau_rc):
    """Voltage and refractory time of `lif` before its spikes.

    1 - exp(-x) is x / (1 + x/2 + C x^2), to 2.3e-8 on [0, 0.1].
    """
    dt = context.dt
    refractory_time = ops.stop_gradient(refractory_time) - dt
    delta_t = dt - refractory_time
    x = _at_least(ops.where(delta_t > dt, dt, delta_t), 0.0) * (1.0 / tau_rc)
    voltage = voltage + ((J - voltage) * x) / (1.0 + x * (0.5 + x * 0.08332186))
    return voltage, refractory_time


def _fast_log(s):
    """2 atanh(s), an odd polynomial: -log1p(-z) for s = z / (2 - z), to 7e-11 for the overshoots z
    that a step of a tenth of ``tau_rc`` can make.
    """
    u = s * s
    return s * (2.000000000139297 + u * (0.6666656624813879 + u * 0.40107208568744274))


def fast_lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`lif` in float32 without transcendental functions, for ``dt <= 0.1 * tau_rc``.

    The divisions come last: XLA would repeat them for each of their readers.
    """
    dt = context.dt
    voltage, refractory_time = _fast_charge(context, J, voltage, refractory_time, tau_rc)
    over = _at_least(voltage - 1.0, 0.0)
    gap = J - 1.0
    s = over / ops.where(over > 0.0, (gap + gap) - over, 1.0)
    spiked = s > 0.0
    t_spike = ops.stop_gradient(dt - tau_rc * _fast_log(s))
    output = context.spikes(ops.cast(spiked, J.dtype), voltage - 1.0) * (amplitude / dt)
    voltage = ops.where(spiked, 0.0, _at_least(voltage, min_voltage))
    return output, voltage, ops.where(spiked, tau_ref + t_spike, refractory_time)


def fused_lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`fast_lif` in two passes over the neurons, for voltages that are not negative.

    XLA makes one loop of operations that lead to a single result, and another of all that reads a
    single operand. So the first makes a number that has everything: the voltage of a neuron
    that does not spike and, negative, s of `_fast_log` where it does.
    """
    if context.training:  # the derivative of a spike is one of the voltage that made it
        return fast_lif(
            context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude
        )
    dt = context.dt
    voltage, refractory_time = _fast_charge(context, J, voltage, refractory_time, tau_rc)
    over = voltage - 1.0
    gap = J - 1.0
    spiked = over > 0.0
    result = ops.where(spiked, -over, _at_least(voltage, min_voltage))
    result = result / ops.where(spiked, (gap + gap) - over, 1.0)

    spiked = result < 0.0
    t_spike = dt + tau_rc * _fast_log(result)
    output = ops.cast(spiked, J.dtype) * (amplitude / dt)
    return output, _at_least(result, 0.0), ops.where(spiked, tau_ref + t_spike, refractory_time)


@register_neurons(
    nengo_neurons.AdaptiveLIFRate, ["tau_n", "inc_n", "tau_rc", "tau_ref", "amplitude"]
)
def adaptive_lif_rate(context, J, adaptation, tau_n, inc_n, **lif_parameters):
    """`nengo.AdaptiveLIFRate`."""
    rate = lif_rate(context, J - adaptation, **lif_parameters)
    return rate, _adapted(context, adaptation, rate, tau_n, inc_n)


def _adaptive(lif_step):
    """A LIF step with adaptation, which is taken off the current."""

    def step(context, J, voltage, refractory_time, adaptation, tau_n, inc_n, **parameters):
        output, *state = lif_step(context, J - adaptation, voltage, refractory_time, **parameters)
        return output, *state, _adapted(context, adaptation, output, tau_n, inc_n)

    return step


def _adapted(context, adaptation, output, tau_n, inc_n):
    return adaptation + (context.dt / tau_n) * (inc_n * output - adaptation)


_fast_adaptive_lif = {form: _adaptive(form) for form in (fast_lif, fused_lif)}

register_neurons(
    nengo_neurons.AdaptiveLIF,
    ["tau_n", "inc_n", "tau_rc", "tau_ref", "min_voltage", "amplitude"],
    rate=_adaptive(_lif_training),
    variant=lambda operators, settings: _fast_adaptive_lif.get(_fast_lif_for(operators, settings)),
)(_adaptive(lif))


@register_neurons(
    nengo_neurons.Izhikevich, ["tau_recovery", "coupling", "reset_voltage", "reset_recovery"]
)
def izhikevich(
    context, J, voltage, recovery, tau_recovery, coupling, reset_voltage, reset_recovery
):
    """`nengo.Izhikevich`."""
    dt = context.dt
    J = ops.maximum(J, -30.0)
    change = (0.04 * ops.square(voltage) + 5.0 * voltage + 140.0 - recovery + J) * 1000.0
    voltage = voltage + change * dt
    spiked = voltage >= 30.0
    # the distance from rest (-65 mV) to the threshold (30 mV) is the unit of the surrogate
    output = context.spikes(ops.cast(spiked, J.dtype), (voltage - 30.0) / 95.0) / dt
    voltage = ops.where(spiked, reset_voltage, voltage)
    change = (tau_recovery * (coupling * voltage - recovery)) * 1000.0
    recovery = recovery + change * dt
    recovery = ops.where(spiked, recovery + reset_recovery, recovery)
    return output, voltage, recovery


def _regular_training(context, rate, voltage, amplitude):
    return amplitude * rate, voltage


@register_neurons(nengo_neurons.RegularSpiking, ["amplitude"], rate=_regular_training)
def regular_spiking(context, rate, voltage, amplitude):
    """`nengo.RegularSpiking`, whose input is the rate of its base type."""
    return _whole_spikes(context, rate, voltage, amplitude)


def _stochastic_training(context, rate, uniform, amplitude, negative):
    return amplitude * rate


@register_neurons(
    nengo_neurons.StochasticSpiking, ["amplitude", "negative"], rate=_stochastic_training
)
def stochastic_spiking(context, rate, uniform, amplitude, negative):
    """`nengo.StochasticSpiking`.

    ``uniform`` has random numbers between 0 and 1, drawn ahead in Nengo's order.
    """
    # negative is 1 where the sign is kept apart, so that -0.3 is rounded as 0.3 is
    expected = context.dt * (negative * ops.abs(rate) + (1.0 - negative) * rate)
    sign = negative * ops.sign(rate) + (1.0 - negative)
    n_spikes = ops.trunc(expected)
    n_spikes = n_spikes + ops.cast(uniform < expected - n_spikes, rate.dtype)
    return (amplitude / context.dt) * n_spikes * sign
