"""Spikes whose average so far is that of a rate."""

from __future__ import annotations

import keras.ops as ops

from nengo_dl.lowering.neuron_types import whole
from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import IntegratedSpiking, RunningMean


@register_neurons(RunningMean)
def running_mean(context, J, total, n_currents):
    """`nengo_dl.neurons.RunningMean`."""
    n_currents = n_currents + 1.0
    total = total + J
    return total / n_currents, total, n_currents


def _graded(context, rate, voltage, charge, elapsed, amplitude, signed):
    """The charge of a step, not rounded to spikes."""
    elapsed = elapsed + 1.0
    total = elapsed * rate * (context.dt / amplitude)
    return (total - charge) * (amplitude / context.dt), voltage, total, elapsed


@register_neurons(IntegratedSpiking, rate=_graded)
def integrated_spiking(context, rate, voltage, charge, elapsed, amplitude, signed):
    """`nengo_dl.IntegratedSpiking`, whose input is the rate for the mean current."""
    elapsed = elapsed + 1.0
    total = elapsed * rate * (context.dt / amplitude)
    voltage = voltage + (total - charge)
    # `signed` is 0 or 1, or that for each neuron; without it there is no spike below a voltage of 1
    lowest = 1.0 - 1e9 * signed
    n_spikes = ops.maximum(whole(voltage), lowest - 1.0)
    threshold = ops.stop_gradient(ops.maximum(whole(voltage + 0.5), lowest))
    n_spikes = context.spikes(n_spikes, voltage - threshold)
    output = (amplitude / context.dt) * n_spikes
    return output, voltage - ops.stop_gradient(n_spikes), total, elapsed
