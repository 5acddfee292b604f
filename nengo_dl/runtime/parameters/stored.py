"""Which signals are trainable parameters, and the Nengo object and attribute that each belongs
to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nengo import Connection, Network
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.signal import Signal
from nengo.neurons import Direct

from nengo_dl import config
from nengo_dl.compiler.layout import Stored


@dataclass(frozen=True)
class Parameter:
    """A parameter of a Nengo object.

    ``attribute`` is "encoders" (scaled by gain and radius, as Nengo's builder does), "bias" or
    "weights" (decoders included), or the name of an attribute of a neuron type or synapse.
    """

    obj: NengoObject
    attribute: str
    signal: Signal


def find_parameters(model: Model, toplevel: Network | None) -> list[Parameter]:
    """All parameters of the network's objects, in the order of the objects; trainable or not."""
    if toplevel is None:
        return []
    found = []
    for ens in toplevel.all_ensembles:
        if isinstance(ens.neuron_type, Direct):
            continue  # Nengo gives it encoders for form's sake, which cannot be set
        found.append((ens, "encoders", model.sig[ens].get("encoders")))
        found.append((ens, "bias", model.sig[ens.neurons].get("bias")))
    for conn in toplevel.all_connections:
        found.append((conn, "weights", model.sig[conn].get("weights")))
    return [Parameter(obj, name, sig) for obj, name, sig in found if sig is not None]


def find_trainable(
    model: Model, toplevel: Network | None, parameters: Iterable[Parameter]
) -> dict[Signal, str]:
    """The base signals that training changes, and the attribute that each one is.

    By default encoders, biases and connection weights; not those that a learning rule changes while
    the network runs.
    """
    if toplevel is None:
        return {}
    resolver = config.TrainableResolver(toplevel)
    written = {sig.base for op in model.operators for sig in (*op.sets, *op.incs, *op.updates)}
    return {
        p.signal.base: p.attribute
        for p in parameters
        if p.signal.base not in written and _trains(p, resolver)
    }


def find_quantizers(
    toplevel: Network | None, parameters: Iterable[Parameter]
) -> dict[Signal, Callable]:
    """The weights of connections that are rounded, and how."""
    if toplevel is None:
        return {}
    settings = config.ConnectionSettings(toplevel)
    found = {
        p.signal.base: settings.quantizer(p.obj)
        for p in parameters
        if isinstance(p.obj, Connection) and p.attribute == "weights"
    }
    return {signal: quantizer for signal, quantizer in found.items() if quantizer is not None}


def _trains(parameter: Parameter, resolver: config.TrainableResolver) -> bool:
    if parameter.attribute not in ("encoders", "bias", "weights"):
        return True  # it is a parameter only because it was asked for
    if parameter.attribute == "bias":
        choice = resolver.bias(parameter.obj)
    else:
        choice = resolver(parameter.obj)
    return choice is None or choice


def describe(
    stored: Stored, by_signal: dict[Signal, Parameter], names: Mapping[NengoObject, str]
) -> tuple[str, str]:
    """Names for a stored tensor, of what it holds and of whom, e.g. ``encoders_of_2_ensembles`` and
    ``a_and_1_more``, of the letters that Keras and TensorFlow take.

    ``names`` are those of `object_names`.
    """
    members = [by_signal[sig] for sig in stored.signals]
    (attribute, *_) = dict.fromkeys(p.attribute for p in members)
    kinds = dict.fromkeys(type(p.obj).__name__.lower() for p in members)
    kind = "_and_".join(kind + "s" * (len(members) > 1) for kind in kinds)
    obj, more = members[0].obj, len(members) - 1
    owner = names.get(obj, type(obj).__name__.lower()) + f" and {more} more" * (more > 0)
    return f"{attribute}_of_{len(members)}_{kind}", re.sub(r"[^A-Za-z0-9_.-]", "_", owner)
