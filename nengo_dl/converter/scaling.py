"""Neurons that fire faster by a factor, with the same output."""

from __future__ import annotations

import inspect
from typing import Any

import nengo
from nengo.neurons import NeuronType, RatesToSpikesNeuronType

from nengo_dl.neurons import ClippedReLU


def scaled(neurons: NeuronType, scale: float) -> tuple[NeuronType, float]:
    """A neuron type that fires ``scale`` times as fast and whose spikes are as much smaller.

    Returns
    -------
    NeuronType
        The other type; ``neurons`` itself where its output cannot be scaled, because it has no
        amplitude.
    float
        The factor on its input current. It is 1 for types whose curve is not linear but has a scale
        of its own (a maximum rate).
    """
    if scale == 1 or not has_amplitude(neurons):
        return neurons, 1.0
    amplitude = neurons.amplitude / scale
    if not isinstance(neurons, RatesToSpikesNeuronType):
        return changed(_stretched(neurons, scale), amplitude=amplitude), scale
    if isinstance(neurons.base_type, (nengo.Sigmoid, nengo.Tanh)):
        base = changed(neurons.base_type, tau_ref=neurons.base_type.tau_ref / scale)
        return changed(neurons, base_type=base, amplitude=amplitude), 1.0
    base = _stretched(neurons.base_type, scale)
    return changed(neurons, base_type=base, amplitude=amplitude), scale


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
