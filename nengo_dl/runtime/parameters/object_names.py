"""Readable unique names of a network's objects, the same each time that the same code makes the
network.
"""

from __future__ import annotations

from typing import Any

from nengo import Connection, Network, Probe
from nengo.base import NengoObject, ObjView
from nengo.ensemble import Neurons

from nengo_dl.runtime.inputs.names import unique


def object_names(network: Network) -> dict[NengoObject, str]:
    """Name of each object in ``network`` and in the networks inside it.

    A name is the object's label, or its type, or for a connection without a label what it
    connects; ``_1``, ``_2``, ...
    is added where a name was given before. Objects of an inner network have its name in front:
    ``"vision/layer 1"``.
    """
    names: dict[NengoObject, str] = {}
    prefixes = {network: ""}
    taken: dict[str, int] = {}
    _name_places(network, prefixes, names, taken)
    for inner, prefix in prefixes.items():
        for conn in inner.connections:
            ends = [_end(obj, names, prefix) for obj in (conn.pre, conn.post)]
            names[conn] = unique(prefix + _clean(conn.label or " to ".join(ends)), taken)
        for probe in inner.probes:
            target = _end(probe.target, names, prefix)
            names[probe] = unique(prefix + _clean(probe.label or f"probe of {target}"), taken)
    return names


def _name_places(network: Network, prefixes: dict, names: dict, taken: dict[str, int]) -> None:
    """Names of ensembles and Nodes, and for each inner network what stands in front of its
    objects' names.
    """
    prefix = prefixes[network]
    for obj in (*network.ensembles, *network.nodes):
        names[obj] = unique(prefix + _clean(obj.label or type(obj).__name__.lower()), taken)
    for inner in network.networks:
        prefixes[inner] = unique(prefix + _clean(inner.label or "network"), taken) + "/"
        _name_places(inner, prefixes, names, taken)


def _end(obj: Any, names: dict, prefix: str) -> str:
    """What stands for one end of a connection, seen from the network whose objects have
    ``prefix``.
    """
    obj = obj.obj if isinstance(obj, ObjView) else obj
    if isinstance(obj, Neurons):
        return _end(obj.ensemble, names, prefix) + ".neurons"
    if isinstance(obj, (Connection, Probe)) or obj not in names:
        return type(obj).__name__.lower()
    return names[obj].removeprefix(prefix).replace("/", ".")


def _clean(label: str) -> str:
    return label.replace("/", "|")
