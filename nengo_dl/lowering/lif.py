"""Leaky integrate-and-fire neurons: their rates, their spikes, with and without adaptation."""

from __future__ import annotations

import keras.ops as ops
import numpy as np
from nengo import neurons as nengo_neurons

from nengo_dl import tuning
from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import SoftLIFRate


@register_neurons(nengo_neurons.LIFRate)
def lif_rate(context, J, tau_rc, tau_ref, amplitude):
    """`nengo.LIFRate`."""
    j = J - 1.0
    active = j > 0
    # log1p(1 / j) where nothing fires would be evaluated (and differentiated) out of its domain
    j = ops.where(active, j, 1.0)
    return ops.where(active, amplitude / (tau_ref + tau_rc * ops.log1p(1.0 / j)), 0.0)


#: below this, softplus(x) is exp(x) to rounding
SMALL_SOFTPLUS = -30.0


@register_neurons(SoftLIFRate)
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
    fits = settings.dtype in _SERIES and all(
        settings.dt <= 0.1 * op.neurons.tau_rc and np.all(op.state["voltage"].initial_value <= 1)
        for op in operators
    )
    if not fits:
        return None
    n_neurons = settings.minibatch_size * sum(op.J.size for op in operators)
    positive = all(op.neurons.min_voltage >= 0 for op in operators)
    return fused_lif if positive and n_neurons >= tuning.FUSED_NEURONS else fast_lif


@register_neurons(
    nengo_neurons.LIF,
    rate=_lif_training,
    variant=_fast_lif_for,
)
def lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`nengo.LIF`."""
    dt = context.dt
    refractory_time = refractory_time - dt
    delta_t = ops.clip(dt - refractory_time, 0.0, dt)
    voltage = voltage - (J - voltage) * ops.expm1(-delta_t / tau_rc)
    return _fire(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude)


def lif_without_refractory_period(
    context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude
):
    """`lif` for a ``tau_ref`` of 0, where every step charges all neurons for all of its time: what
    a spike leaves of the refractory time is less than a step.
    """
    voltage = voltage - (J - voltage) * ops.expm1(-context.dt / tau_rc)
    refractory_time = refractory_time - context.dt
    return _fire(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude)


def _fire(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """The output, and the state after it, of neurons that have been charged."""
    dt = context.dt
    spiked = voltage > 1
    overshoot = ops.where(spiked, (voltage - 1.0) / ops.where(spiked, J - 1.0, 1.0), 0.0)
    t_spike = ops.stop_gradient(dt + tau_rc * ops.log1p(-overshoot))
    output = context.spikes(ops.cast(spiked, J.dtype), voltage - 1.0) * (amplitude / dt)
    voltage = ops.where(spiked, 0.0, ops.maximum(voltage, min_voltage))
    return output, voltage, ops.where(spiked, tau_ref + t_spike, refractory_time)


def _at_least(x, lowest):
    """`ops.maximum` as one instruction: that of XLA asks for not-a-number on its own."""
    return ops.where(x < lowest, lowest, x)


#: for each precision the coefficients of two polynomials, exact to its rounding for a step of up
#: to a tenth of ``tau_rc``: those of x / (1 - exp(-x)) from x^2 on, and of 2 atanh(s) / s, both in
#: even powers. For float32 fitted, to 2.3e-8 and 7e-11; for float64 the first terms of the series
#: (Abramowitz and Stegun, 1964, 23.1.1 and 4.6.33), to 2e-18.
_SERIES = {
    "float32": ([0.08332186], [2.000000000139297, 0.6666656624813879, 0.40107208568744274]),
    "float64": ([1 / 12, -1 / 720, 1 / 30240, -1 / 1209600], [2 / n for n in range(1, 15, 2)]),
}


def _polynomial(coefficients, x):
    value = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = coefficient + x * value
    return value


def _fast_charge(context, J, voltage, refractory_time, tau_rc):
    """Voltage and refractory time of `lif` before its spikes."""
    dt = context.dt
    refractory_time = ops.stop_gradient(refractory_time)
    delta_t = 2.0 * dt - refractory_time
    x = _at_least(ops.where(delta_t > dt, dt, delta_t), 0.0) * (1.0 / tau_rc)
    coefficients, _ = _SERIES[context.dtype]
    divisor = 1.0 + x * (0.5 + x * _polynomial(coefficients, x * x))
    voltage = voltage + ((J - voltage) * x) / divisor
    return voltage, refractory_time - dt


def _fast_log(context, s):
    """2 atanh(s), an odd polynomial: -log1p(-z) for s = z / (2 - z), for the overshoots z that a
    step of a tenth of ``tau_rc`` can make.
    """
    _, coefficients = _SERIES[context.dtype]
    return s * _polynomial(coefficients, s * s)


def fast_lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`lif` without transcendental functions, for ``dt <= 0.1 * tau_rc``.

    The divisions come last: XLA would repeat them for each of their readers.
    """
    dt = context.dt
    voltage, refractory_time = _fast_charge(context, J, voltage, refractory_time, tau_rc)
    over = _at_least(voltage - 1.0, 0.0)
    gap = J - 1.0
    s = over / ops.where(over > 0.0, (gap + gap) - over, 1.0)
    spiked = s > 0.0
    t_spike = ops.stop_gradient(dt - tau_rc * _fast_log(context, s))
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
    t_spike = dt + tau_rc * _fast_log(context, result)
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

_adaptive_lif = _adaptive(lif)

#: steps of neurons whose ``tau_ref`` is 0, and that have no refractory time to begin with
WITHOUT_REFRACTORY_PERIOD = {
    lif: lif_without_refractory_period,
    _adaptive_lif: _adaptive(lif_without_refractory_period),
}

register_neurons(
    nengo_neurons.AdaptiveLIF,
    ["tau_n", "inc_n", "tau_rc", "tau_ref", "min_voltage", "amplitude"],
    rate=_adaptive(_lif_training),
    variant=lambda operators, settings: _fast_adaptive_lif.get(_fast_lif_for(operators, settings)),
)(_adaptive_lif)
