"""Neuron types that compute activations, and what is swapped for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.converter.spellings import (
    KINDS,
    LEAKY_SLOPE,
    LINEAR,
    Activation,
    as_function,
    identify,
)
from nengo_dl.neurons import ELU, GELU, ClippedReLU, LeakyReLU, SiLU

#: of Klambauer et al., 2017, "Self-normalizing neural networks" (arXiv:1706.02515)
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
#: name of an activation -> what makes a neuron type of its parameters; with a refractory period of
#: 1 s the rates are those of the plain function
_NEURONS: dict[str, Callable[..., NeuronType]] = {
    "relu": lambda **bounds: (
        ClippedReLU(**{"max_value": np.inf, **bounds}) if bounds else nengo.RectifiedLinear()
    ),
    "relu6": lambda: ClippedReLU(max_value=6.0),
    "leaky_relu": lambda negative_slope=LEAKY_SLOPE: LeakyReLU(negative_slope),
    "elu": lambda alpha=1.0: ELU(alpha),
    "gelu": lambda approximate=False: GELU(approximate),
    "selu": lambda: ELU(SELU_ALPHA, amplitude=SELU_SCALE),
    "silu": SiLU,
    "sigmoid": lambda: nengo.Sigmoid(tau_ref=1),
    "tanh": lambda: nengo.Tanh(tau_ref=1),
}


def is_linear(activation: Any) -> bool:
    """Whether an activation changes nothing."""
    return identify(activation) == LINEAR


def neuron_type(activation: Any) -> NeuronType | None:
    """The neuron type whose rates are the activation's output; None where there is none.

    Parameters
    ----------
    activation
        An activation in any spelling (see `spellings.identify`), or a neuron type.
    """
    activation = identify(activation)
    if isinstance(activation, NeuronType):
        return activation
    if not isinstance(activation, Activation) or activation.name not in _NEURONS:
        return None
    try:
        return _NEURONS[activation.name](**dict(activation.parameters + activation.precision))
    except ValidationError:  # such as a negative slope, with which no neurons can be made
        return None


def softmax_axes(activation: Any) -> tuple[int, ...] | None:
    """The axes of a softmax, the batch counted; None for what is no softmax."""
    activation = identify(activation)
    if not isinstance(activation, Activation) or activation.name != "softmax":
        return None
    axis = dict(activation.parameters).get("axis", -1)
    return tuple(axis) if isinstance(axis, tuple) else (axis,)


def describe(activation: Any) -> str:
    """An activation as a user would name it."""
    activation = identify(activation)
    return getattr(activation, "__name__", None) or str(activation)


def on_items(activation: Any) -> Any:
    """An activation as something that a TensorNode takes."""
    compute = as_function(activation)
    if isinstance(compute, keras.layers.Layer):
        return compute

    def function(x):
        return compute(x)

    function.__name__ = describe(activation)
    return function


def activation_problem(activation: Any, swaps: Swaps) -> str:
    """Why an activation needs a TensorNode; empty where it needs none."""
    swapped = swaps(activation)
    if is_linear(swapped) or softmax_axes(swapped) is not None or neuron_type(swapped) is not None:
        return ""
    return f"its activation {describe(swapped)!r} has no neuron type in Nengo"


def no_equivalent(layer: Any) -> str:
    """Why a layer of a type without a converter is a TensorNode."""
    if isinstance(layer, keras.layers.Activation):
        return f"its activation {describe(layer)!r} has no neuron type in Nengo"
    return f"there is no equivalent of {type(layer).__name__} in Nengo"


class Swaps:
    """The replacements of ``swap_activations``.

    Parameters
    ----------
    swaps
        Activations in any spelling, neuron types or their classes -> the same.

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
        self._swaps: dict[Any, Any] = {}
        #: as the user gave it
        self._unused: dict[Any, Any] = {}
        for key, value in (swaps or {}).items():
            same, new = _key(key), _value(value)
            if self._swaps.get(same, new) != new:
                raise ValidationError(
                    f"{describe(key)} has two replacements, {self._swaps[same]} and {new}, under "
                    "different names",
                    attr="swap_activations",
                )
            self._swaps[same], self._unused[same] = new, key
        self._seen: dict[str, None] = {}

    def __call__(self, activation: Any) -> Any:
        """What takes the place of an activation: itself, another function, or a neuron type."""
        key = self._key_of(activation)
        return activation if key is None else self._swaps[key]

    def apply(self, activation: Any) -> Any:
        """The same for a part of the network, which is noted."""
        if not is_linear(activation):
            self._seen[describe(activation)] = None
        self._unused.pop(self._key_of(activation), None)
        return self(activation)

    def _key_of(self, activation: Any) -> Any:
        if activation is None:
            return None
        key = _same(activation)
        return next((k for k in (key, type(key)) if _hashable(k) and k in self._swaps), None)

    def check_used(self, kept: Mapping[str, str]) -> None:
        """Every replacement has to have taken place.

        Parameters
        ----------
        kept
            The layers that are TensorNodes, or have one; activations inside of those stay.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the model does not have the activation of a key.
        """
        if not self._unused:
            return
        unused = ", ".join(describe(key) for key in self._unused.values())
        hint = f"; activations inside TensorNodes stay ({', '.join(kept)})" if kept else ""
        raise ValidationError(
            f"no layer has the activation {unused}; the model's are "
            f"{', '.join(self._seen) or 'none'}{hint}",
            attr="swap_activations",
        )


def _same(activation: Any) -> Any:
    """What all spellings of an activation have in common: its neuron type, where it has one."""
    same = identify(activation)
    if isinstance(same, Activation):
        same = replace(same, precision=())
    neurons = neuron_type(same)
    return same if neurons is None else neurons


def _hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _is_class(value: Any, *bases: type) -> bool:
    return isinstance(value, type) and issubclass(value, bases)


def _key(key: Any) -> Any:
    if _is_class(key, NeuronType):
        return key  # all that are of this type
    try:
        same = _same(key() if _is_class(key, *KINDS) else key)
    except ValueError:
        same = None
    if not isinstance(same, (Activation, NeuronType)) and not callable(same):
        raise ValidationError(
            f"the key {key!r} is not an activation; expected a function such as "
            "keras.activations.relu, its name, a layer such as keras.layers.ReLU(), or a neuron "
            "type",
            attr="swap_activations",
        )
    return same


def _value(value: Any) -> Any:
    try:
        new = identify(value() if _is_class(value, NeuronType, *KINDS) else value)
    except ValueError:
        new = None
    if not isinstance(new, (Activation, NeuronType)) and not callable(new):
        raise ValidationError(
            f"the value {value!r} is neither a neuron type, such as nengo.LIF(), nor an activation",
            attr="swap_activations",
        )
    return new
