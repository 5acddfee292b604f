"""Keras activations and the neuron types that compute them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.neurons import ClippedReLU, LeakyReLU

#: slope of ``keras.activations.leaky_relu`` where none is given
KERAS_LEAKY_SLOPE = 0.2

#: function -> what makes the neuron type; with a refractory period of 1 s the rates are those of
#: the plain function
_NEURONS: dict[Callable, Callable[[], NeuronType]] = {
    keras.activations.relu: nengo.RectifiedLinear,
    keras.activations.relu6: lambda: ClippedReLU(max_value=6.0),
    keras.activations.leaky_relu: lambda: LeakyReLU(negative_slope=KERAS_LEAKY_SLOPE),
    keras.activations.sigmoid: lambda: nengo.Sigmoid(tau_ref=1),
    keras.activations.tanh: lambda: nengo.Tanh(tau_ref=1),
}


def is_linear(activation: Any) -> bool:
    """Whether an activation changes nothing."""
    if isinstance(activation, keras.layers.Activation):
        activation = activation.activation
    return activation is None or activation is keras.activations.linear


def neuron_type(activation: Any) -> NeuronType | None:
    """The neuron type whose rates are the activation's output; None where there is none.

    Parameters
    ----------
    activation
        A function of ``keras.activations``, a layer (ReLU, LeakyReLU, Activation) or a neuron type.
    """
    if isinstance(activation, NeuronType):
        return activation
    if isinstance(activation, keras.layers.Activation):
        return neuron_type(activation.activation)
    if isinstance(activation, keras.layers.ReLU):
        return _relu(activation)
    if isinstance(activation, keras.layers.LeakyReLU):
        return LeakyReLU(negative_slope=float(activation.negative_slope))
    try:
        make = _NEURONS.get(activation)
    except TypeError:  # not hashable
        return None
    return None if make is None else make()


def _relu(layer: keras.layers.ReLU) -> NeuronType:
    slope, threshold = float(layer.negative_slope), float(layer.threshold)
    if layer.max_value is None and threshold == 0:
        return LeakyReLU(negative_slope=slope) if slope else nengo.RectifiedLinear()
    return ClippedReLU(
        max_value=np.inf if layer.max_value is None else float(layer.max_value),
        negative_slope=slope,
        threshold=threshold,
    )


def function_of(activation: Any) -> Any:
    """The function of ``keras.activations`` that a layer stands for, where there is one."""
    if isinstance(activation, keras.layers.Activation):
        return activation.activation
    if isinstance(activation, keras.layers.ReLU):
        plain = not activation.negative_slope and not activation.threshold
        if plain and activation.max_value is None:
            return keras.activations.relu
        if plain and activation.max_value == 6:
            return keras.activations.relu6
    if isinstance(activation, keras.layers.LeakyReLU):
        if activation.negative_slope == KERAS_LEAKY_SLOPE:
            return keras.activations.leaky_relu
    return activation


def describe(activation: Any) -> str:
    """An activation as a user would name it."""
    return getattr(activation, "__name__", None) or str(activation)


class Swaps:
    """The replacements of ``swap_activations``.

    Parameters
    ----------
    swaps
        Functions of ``keras.activations`` (or their names), neuron types or their classes -> neuron
        types or functions.

    Raises
    ------
    nengo.exceptions.ValidationError
        For a key or a value that is none of those.
    """

    def __init__(self, swaps: Mapping[Any, Any] | None):
        if swaps is not None and not isinstance(swaps, Mapping):
            raise ValidationError(
                f"expected a dict of activation -> neuron type, got {swaps!r}",
                attr="swap_activations",
            )
        self.swaps = {_key(key): _value(value) for key, value in (swaps or {}).items()}
        self.unused = dict.fromkeys(self.swaps)
        self.seen: dict[str, None] = {}

    def __call__(self, activation: Any) -> Any:
        """What takes the place of an activation: itself, another function, or a neuron type."""
        if is_linear(activation) and keras.activations.linear not in self.swaps:
            return activation
        self.seen[describe(function_of(activation))] = None
        function = keras.activations.linear if is_linear(activation) else function_of(activation)
        neurons = neuron_type(activation)
        for key in (function, activation, neurons, type(neurons)):
            if _hashable(key) and key in self.swaps:
                self.unused.pop(key, None)
                return self.swaps[key]
        return activation


def _hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _key(key: Any) -> Any:
    if isinstance(key, str):
        try:
            return keras.activations.get(key)
        except ValueError:
            key_is_known = False
    else:
        key_is_known = callable(key) or isinstance(key, NeuronType)
    if not key_is_known:
        raise ValidationError(
            f"the key {key!r} is no activation; expected a function of keras.activations, its "
            "name, or a neuron type",
            attr="swap_activations",
        )
    return key


def _value(value: Any) -> Any:
    if isinstance(value, type) and issubclass(value, NeuronType):
        return value()
    if isinstance(value, str):
        return keras.activations.get(value)
    if not isinstance(value, NeuronType) and not callable(value):
        raise ValidationError(
            f"the value {value!r} is neither a neuron type, such as nengo.LIF(), nor an activation",
            attr="swap_activations",
        )
    return value
