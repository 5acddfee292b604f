"""Neurons that fire faster by a factor, with the same output."""

from __future__ import annotations

import inspect
from typing import Any

import nengo
from nengo.neurons import NeuronType, RatesToSpikesNeuronType

from nengo_dl.neurons import (
    ELU,
    GELU,
    ClippedReLU,
    IntegratedSpiking,
    LeakyReLU,
    SiLU,
    SpikingLeakyReLU,
)

#: rate types with an amplitude whose rates do not grow as their current does
CURVED = (ELU, GELU, SiLU)
_RATES: dict[type[NeuronType], type[NeuronType]] = {
    nengo.LIF: nengo.LIFRate,
    nengo.SpikingRectifiedLinear: nengo.RectifiedLinear,
    SpikingLeakyReLU: LeakyReLU,
}


def scaled(neurons: NeuronType, scale: float) -> tuple[NeuronType, float]:
    """A neuron type that fires ``scale`` times as fast and whose spikes are as much smaller.

    Returns
    -------
    NeuronType
        The other type; ``neurons`` itself where its output cannot be scaled, because it has no
        amplitude, or has no spikes and a curve that is not linear.
    float
        The factor on its input current. It is 1 for types whose rates are made of the current
        without a scale, such as those with a largest rate.
    """
    if scale == 1 or not has_amplitude(neurons):
        return neurons, 1.0
    amplitude = neurons.amplitude / scale
    if isinstance(neurons, IntegratedSpiking):
        return changed(neurons, amplitude=amplitude), 1.0
    base = getattr(neurons, "base_type", neurons)
    if not isinstance(neurons, RatesToSpikesNeuronType):
        if isinstance(base, CURVED):
            return neurons, 1.0
        return changed(_stretched(neurons, scale), amplitude=amplitude), scale
    if isinstance(base, (nengo.Sigmoid, nengo.Tanh)):
        base = changed(base, tau_ref=base.tau_ref / scale)
        return changed(neurons, base_type=base, amplitude=amplitude), 1.0
    if isinstance(base, CURVED):
        base = changed(base, amplitude=base.amplitude * scale)
        return changed(neurons, base_type=base, amplitude=amplitude), 1.0
    base = _stretched(base, scale)
    return changed(neurons, base_type=base, amplitude=amplitude), scale


def rate_type(neurons: NeuronType) -> NeuronType | None:
    """The type whose output is the mean output of a spiking one; a rate type itself, and None where
    there is no such type without a state.
    """
    if isinstance(neurons, IntegratedSpiking):
        return neurons.base_type
    if isinstance(neurons, RatesToSpikesNeuronType):
        return _times(neurons.base_type, neurons.amplitude)
    rate = _RATES.get(type(neurons))
    if rate is not None:
        names = [name for name in _arguments(rate()) if name != "initial_state"]
        return rate(**{name: getattr(neurons, name) for name in names})
    return None if neurons.spiking or neurons.state else neurons


def _times(neurons: NeuronType, factor: float) -> NeuronType | None:
    """A rate type with ``factor`` times the output."""
    if neurons.spiking or neurons.state:
        return None
    if factor == 1:
        return neurons
    if has_amplitude(neurons):
        return changed(neurons, amplitude=neurons.amplitude * factor)
    if isinstance(neurons, (nengo.Sigmoid, nengo.Tanh)):
        return changed(neurons, tau_ref=neurons.tau_ref / factor)
    return None


def _stretched(neurons: NeuronType, scale: float) -> NeuronType:
    """What is measured in units of the current, measured in those of the scaled current."""
    if not isinstance(neurons, ClippedReLU):
        return neurons
    return changed(
        neurons, max_value=neurons.max_value * scale, threshold=neurons.threshold * scale
    )


def has_amplitude(neurons: NeuronType) -> bool:
    """Whether the height of the spikes (or the factor on the rates) can be chosen."""
    return "amplitude" in _arguments(neurons)


def changed(neurons: NeuronType, **attributes: Any) -> NeuronType:
    """A neuron type with other values of some attributes."""
    kept = {name: getattr(neurons, name) for name in _arguments(neurons) if name not in attributes}
    return type(neurons)(**kept, **attributes)


def _arguments(neurons: NeuronType) -> list[str]:
    """Arguments of the constructor, each of which is an attribute too."""
    names = list(inspect.signature(type(neurons).__init__).parameters)[1:]
    return [name for name in names if hasattr(neurons, name)]
