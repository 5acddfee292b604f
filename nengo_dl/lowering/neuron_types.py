"""Neuron types other than `lif`'s."""

from __future__ import annotations

import keras.ops as ops
from nengo import neurons as nengo_neurons

from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import LeakyReLU, SpikingLeakyReLU


@register_neurons(nengo_neurons.RectifiedLinear)
def rectified_linear(context, J, amplitude):
    """`nengo.RectifiedLinear`."""
    return amplitude * ops.relu(J)


def _rectified_linear_training(context, J, voltage, amplitude):
    return rectified_linear(context, J, amplitude), voltage


@register_neurons(nengo_neurons.SpikingRectifiedLinear, rate=_rectified_linear_training)
def spiking_rectified_linear(context, J, voltage, amplitude):
    """`nengo.SpikingRectifiedLinear`."""
    return _whole_spikes(context, ops.relu(J), voltage, amplitude)


def _whole_spikes(context, rate, voltage, amplitude):
    """As many spikes as the integral of the rate has passed whole numbers."""
    voltage = voltage + rate * context.dt
    n_spikes = _with_surrogate(context, whole(voltage), voltage)
    # the reset is not differentiated, as is usual: its gradient would go through each earlier spike
    return (amplitude / context.dt) * n_spikes, voltage - ops.stop_gradient(n_spikes)


def _with_surrogate(context, n_spikes, voltage):
    """Numbers of spikes with the surrogate's derivative at the nearest threshold: 1, 2, ..."""
    nearest = ops.maximum(1.0, whole(ops.abs(voltage) + 0.5)) * ops.sign(voltage)
    return context.spikes(n_spikes, voltage - ops.stop_gradient(nearest))


def whole(x):
    """The largest whole number that is not above ``x``."""
    # on JAX, ops.floor of Keras gives float32 whatever it is given
    whole = ops.trunc(x)
    return whole - ops.cast(x < whole, x.dtype)


@register_neurons(LeakyReLU)
def leaky_relu(context, J, negative_slope, amplitude):
    """`nengo_dl.LeakyReLU`."""
    return amplitude * ops.where(J < 0, negative_slope * J, J)


def _leaky_relu_training(context, J, voltage, negative_slope, amplitude):
    return leaky_relu(context, J, negative_slope, amplitude), voltage


@register_neurons(SpikingLeakyReLU, rate=_leaky_relu_training)
def spiking_leaky_relu(context, J, voltage, negative_slope, amplitude):
    """`nengo_dl.SpikingLeakyReLU`."""
    voltage = voltage + ops.where(J < 0, negative_slope * J, J) * context.dt
    n_spikes = _with_surrogate(context, ops.trunc(voltage), voltage)
    return (amplitude / context.dt) * n_spikes, voltage - ops.stop_gradient(n_spikes)


@register_neurons(nengo_neurons.Sigmoid)
def sigmoid(context, J, tau_ref):
    """`nengo.Sigmoid`."""
    return (1.0 / tau_ref) * ops.sigmoid(J)


@register_neurons(nengo_neurons.Tanh)
def tanh(context, J, tau_ref):
    """`nengo.Tanh`."""
    return (1.0 / tau_ref) * exact_tanh(context, J)


def exact_tanh(context, x):
    """The hyperbolic tangent, in the precision of ``x``."""
    if context.dtype == "float32":
        return ops.tanh(x)
    # on JAX, ops.tanh of Keras gives float32 whatever it is given
    e = ops.expm1(-2.0 * ops.abs(x))
    return -ops.sign(x) * e / (e + 2.0)


@register_neurons(nengo_neurons.Izhikevich)
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


@register_neurons(nengo_neurons.RegularSpiking, rate=_regular_training)
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
