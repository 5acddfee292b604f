"""Neuron types of nengo_loihi, which need not be installed.

On Loihi an interval between spikes is a whole number of steps, and the decay of a voltage a number
of 12 bits (Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning", 2018).
Training uses the rates that follow, with the derivative of the smooth curve through the middle of
their stairs. The noise that an object may ask for in training (``nengo_dl_noise``) is not added.
"""

from __future__ import annotations

import keras.ops as ops
import numpy as np

from nengo_dl.lowering.lif import lif_rate, soft_lif_rate
from nengo_dl.lowering.neurons import register_neurons

#: largest decay of a voltage in a step, which stands for 1
DECAY_ONE = 2**12 - 1


def _loihi_lif_training(
    context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude
):
    dt = context.dt
    decay, n_refractory = _decay(dt, tau_rc), _n_refractory(dt, tau_ref)
    steps_rc = -1.0 / _numeric(decay).log1p(-decay)  # the time constant that has this decay
    above = J > 1.0
    j = ops.where(above, J - 1.0, 1.0)
    period = n_refractory + steps_rc * ops.log1p(1.0 / j)
    rate = ops.where(above, (amplitude / dt) / _ceil(period), 0.0)
    middle = dt * (n_refractory + 0.5)
    if context.lif_smoothing:
        smooth = soft_lif_rate(context, J, context.lif_smoothing, dt * steps_rc, middle, amplitude)
    else:
        smooth = lif_rate(context, J, dt * steps_rc, middle, amplitude)
    return _with_derivative(rate, smooth), voltage, refractory_time


@register_neurons(
    "nengo_loihi.neurons:LoihiLIF",
    state=["voltage", "refractory_time"],
    rate=_loihi_lif_training,
)
def loihi_lif(context, J, voltage, refractory_time, tau_rc, tau_ref, min_voltage, amplitude):
    """`nengo_loihi.neurons.LoihiLIF`."""
    dt = context.dt
    refractory_time = refractory_time - dt
    share = ops.clip(1.0 - refractory_time / dt, 0.0, 1.0)
    voltage = voltage + (J - voltage) * (1.0 - ops.power(1.0 - _decay(dt, tau_rc), share))
    spiked = voltage > 1
    output = context.spikes(ops.cast(spiked, J.dtype), voltage - 1.0) * (amplitude / dt)
    voltage = ops.where(spiked, 0.0, ops.maximum(voltage, min_voltage))
    refractory = dt * (1.0 + _n_refractory(dt, tau_ref))
    return output, voltage, ops.where(spiked, refractory, refractory_time)


def _loihi_rectified_linear_training(context, J, voltage, amplitude):
    dt = context.dt
    J = ops.relu(J)
    above = J > 0
    period = 1.0 / ops.where(above, J, 1.0) / dt
    rate = ops.where(above, (amplitude / dt) / _ceil(period), 0.0)
    return _with_derivative(rate, amplitude * J / (1.0 + 0.5 * dt * J)), voltage


@register_neurons(
    "nengo_loihi.neurons:LoihiSpikingRectifiedLinear",
    state=["voltage"],
    rate=_loihi_rectified_linear_training,
)
def loihi_spiking_rectified_linear(context, J, voltage, amplitude):
    """`nengo_loihi.neurons.LoihiSpikingRectifiedLinear`."""
    voltage = voltage + J * context.dt
    spiked = voltage > 1
    output = context.spikes(ops.cast(spiked, J.dtype), voltage - 1.0) * (amplitude / context.dt)
    return output, ops.where(spiked, 0.0, ops.relu(voltage))


def _numeric(value):
    # on a number, keras.ops would give float32 whatever the precision of the network
    return np if isinstance(value, float) else ops


def _decay(dt, tau_rc):
    xp = _numeric(tau_rc)
    return xp.round(-xp.expm1(-dt / tau_rc) * DECAY_ONE) / DECAY_ONE


def _n_refractory(dt, tau_ref):
    return _numeric(tau_ref).round(tau_ref / dt)


def _ceil(x):
    # on JAX, ops.ceil of Keras gives float32 whatever it is given
    whole = ops.trunc(x)
    return whole + ops.cast(x > whole, x.dtype)


def _with_derivative(value, smooth):
    return smooth + ops.stop_gradient(value - smooth)
