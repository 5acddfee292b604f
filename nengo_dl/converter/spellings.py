"""Which activation it is, however a program spells it.

Keras has each function in several places, TensorFlow and JAX have most of them too, and a model
keeps the one that it was given.
"""

from __future__ import annotations

import functools
import inspect
import sys
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from nengo_dl._private.keras import operations, relu_operation

#: what ``keras.activations`` has besides functions of a tensor that keep its shape
_OTHERS = ("deserialize", "get", "serialize", "glu", "threshold")
#: name in ``keras.activations`` -> the function's own name, which differs for e.g. "swish"
_NAMES = {
    name: function.__name__
    for name, function in vars(keras.activations).items()
    if inspect.isfunction(function) and name not in _OTHERS
}
#: module that has the functions -> those that it calls something else; looked at only where the
#: program has imported it
_MODULES: dict[str, dict[str, str]] = {
    "keras.activations": {},
    "keras.ops": {"exp": "exponential"},
    "tensorflow.nn": {},
    "tensorflow": {"exp": "exponential", "identity": "linear"},
    "jax.nn": {"identity": "linear", "soft_sign": "softsign"},
    "jax.numpy": {"exp": "exponential"},
}
#: slope of ``keras.activations.leaky_relu`` where none is given
LEAKY_SLOPE = inspect.signature(keras.activations.leaky_relu).parameters["negative_slope"].default
#: parameters that TensorFlow calls something else
_PARAMETERS = {("leaky_relu", "alpha"): "negative_slope"}
#: parameters that say how well a function is computed, not which it is
_PRECISION = ("approximate",)


#: layers and operations that are an activation, with its parameters as attributes
KINDS: dict[type, str] = {
    keras.layers.ELU: "elu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.ReLU: "relu",
    keras.layers.Softmax: "softmax",
    relu_operation(): "relu",
    **{cls: n for n in _NAMES.values() for cls in operations({"exponential": "exp"}.get(n, n))},
}
OPERATIONS = tuple(cls for cls in KINDS if not issubclass(cls, keras.layers.Layer))


@dataclass(frozen=True)
class Activation:
    """A function of ``keras.activations``, equal for all spellings of it.

    Attributes
    ----------
    name
        Name of the function.
    parameters
        Name and value of those that are not as by default.
    precision
        The same for those that make another approximation of the function, not another function.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()
    precision: tuple[tuple[str, Any], ...] = field(default=(), compare=False)

    def __call__(self, x: Any) -> Any:
        """The function of a tensor."""
        function = getattr(keras.activations, self.name)
        return function(x, **dict(self.parameters), **dict(self.precision))

    def __str__(self) -> str:
        """As a program may spell it."""
        if not self.parameters:
            return self.name
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters)
        return f"functools.partial(keras.activations.{self.name}, {arguments})"


LINEAR = Activation("linear")


def identify(activation: Any) -> Any:
    """The `Activation` that something is. What Keras does not have is returned as it is.

    Parameters
    ----------
    activation
        A function of Keras, TensorFlow or JAX, such a function with keywords
        (``functools.partial``), its name in ``keras.activations``, a layer or an operation that is
        or applies one, or None, which is linear.

    Raises
    ------
    ValueError
        For a string that is no name in ``keras.activations``.
    """
    function, keywords = _unwrapped(activation)
    name = _name(function)
    known = None if name is None else _with_parameters(name, function, keywords)
    return known or (activation if keywords else function)


def as_function(activation: Any) -> Any:
    """What computes an activation: where Keras has it Keras's function, for whichever backend."""
    known = identify(activation)
    plain = isinstance(known, Activation) and not known.parameters and not known.precision
    return getattr(keras.activations, known.name) if plain else known


def _unwrapped(activation: Any) -> tuple[Any, dict[str, Any]]:
    """What a layer or partial applies, and with which keywords."""
    if activation is None or isinstance(activation, str):
        return keras.activations.get(activation), {}
    keywords = {}
    if isinstance(activation, functools.partial) and not activation.args:
        inner, keywords = activation.func, activation.keywords
    elif _is_a(activation, keras.layers.Activation):
        inner = activation.activation
    elif _is_a(activation, keras.layers.Lambda):
        inner, keywords = activation.function, activation.arguments or {}
    else:
        return activation, {}
    function, further = _unwrapped(inner)
    return function, {**further, **keywords}


def _is_a(layer: Any, cls: Any) -> bool:
    return isinstance(layer, cls) and getattr(type(layer), "call", None) is cls.call


def _name(function: Any) -> str | None:
    """Name in ``keras.activations`` of a function, layer or operation."""
    for cls, name in KINDS.items():
        if _is_a(function, cls):
            return name
    for place, others in _MODULES.items():
        package, _, inner = place.partition(".")
        module = sys.modules.get(package)
        module = getattr(module, inner, None) if inner else module
        for spelled, name in {**_NAMES, **others}.items():
            if module is not None and getattr(module, spelled, None) is function:
                return name
    return None


def _with_parameters(name: str, function: Any, keywords: dict[str, Any]) -> Activation | None:
    """The function of that name with parameters; None where Keras's has no such parameters."""
    signature = inspect.signature(getattr(keras.activations, name)).parameters
    defaults = {p.name: p.default for p in list(signature.values())[1:]}
    if isinstance(function, tuple(KINDS)):
        given = {p: getattr(function, p) for p in defaults if hasattr(function, p)}
    else:
        own = inspect.signature(function).parameters.values()
        given = {p.name: p.default for p in own if p.default is not p.empty}
    given = {_PARAMETERS.get((name, p), p): v for p, v in given.items()}
    keywords = {_PARAMETERS.get((name, p), p): v for p, v in keywords.items()}
    if not set(keywords) <= set(defaults):
        return None
    values = {p: _plain({**given, **keywords}.get(p, default)) for p, default in defaults.items()}
    # TensorFlow's softmax has None for the last axis
    values = {p: v for p, v in values.items() if v is not None and v != defaults[p]}
    name, values = _simplest(name, values)
    try:
        hash(tuple(values.values()))
    except TypeError:  # a list of axes
        return None
    precision = tuple((p, values.pop(p)) for p in _PRECISION if p in values)
    return Activation(name, tuple(values.items()), precision)


def _plain(value: Any) -> Any:
    """A number as Python has it."""
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and not value.ndim else value


def _simplest(name: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Of the forms of ReLU that are special cases of each other, the one with fewest parameters."""
    if name == "leaky_relu":
        name, values = "relu", {"negative_slope": LEAKY_SLOPE, **values}
    if name == "relu":
        nothing = (("negative_slope", 0), ("max_value", np.inf))
        values = {p: v for p, v in values.items() if (p, v) not in nothing}
        if values == {"max_value": 6}:
            return "relu6", {}
        if set(values) == {"negative_slope"}:
            return "leaky_relu", {} if values["negative_slope"] == LEAKY_SLOPE else values
    return name, values
