"""Attributes of neuron types and synapses, as keyword arguments of the objects that have them.

Nengo's neuron types and synapses cannot be changed, so an object is given new ones. Needs Nengo and
NumPy only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Probe
from nengo.base import NengoObject
from nengo.neurons import RatesToSpikesNeuronType
from nengo.params import FrozenObject, iter_params

#: arguments of every linear filter
_GENERAL = ("default_size_in", "default_size_out", "default_dt", "seed", "analog", "method")


def holder_name(obj: NengoObject) -> str | None:
    """Where an object keeps such attributes: "neuron_type", "synapse", or nowhere."""
    if isinstance(obj, Ensemble):
        return "neuron_type"
    return "synapse" if isinstance(obj, (Connection, Probe)) else None


def holder(obj: NengoObject, attribute: str) -> FrozenObject | None:
    """The neuron type (or its base type) or synapse of an object that has the attribute."""
    name = holder_name(obj)
    found = None if name is None else getattr(obj, name)
    if isinstance(found, RatesToSpikesNeuronType) and attribute not in iter_params(found):
        found = found.base_type
    return found if found is not None and attribute in iter_params(found) else None


def attribute_params(obj: NengoObject, values: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword argument that gives an object's neuron type or synapse other attributes."""
    if not values:
        return {}
    name = holder_name(obj)
    assert name is not None  # only those that have one have values
    old = getattr(obj, name)
    numbers = {k: float(v) if np.ndim(v) == 0 else np.array(v) for k, v in values.items()}
    own = {k: v for k, v in numbers.items() if holder(obj, k) is old}
    inner = {k: v for k, v in numbers.items() if k not in own}
    if inner:
        own["base_type"] = changed(old.base_type, inner)
    return {name: changed(old, own)}


def changed(old: FrozenObject, values: Mapping[str, Any]) -> FrozenObject:
    """An object made like ``old``, by its constructor, but for some arguments."""
    arguments = {name: getattr(old, name) for name in _argument_names(type(old))}
    return type(old)(**{**arguments, **values})


def _argument_names(cls: type) -> list[str]:
    """Arguments of a constructor, which Nengo keeps under their own names."""
    parameters = inspect.signature(cls).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if len(names) < len(parameters):  # it passes the rest on to that of a synapse
        names += [name for name in _GENERAL if name in iter_params(cls) and name not in names]
    return names
