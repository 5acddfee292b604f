"""Unique string names of Nodes and Probes, by which Keras knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nengo import Node, Probe

from nengo_dl.compiler.program import Input

#: name under which the batches of a dataset say how many steps to run; no Node is called so
N_STEPS = "n_steps"


@dataclass(frozen=True)
class Endpoints:
    """Where values go into a network and come out of it.

    Attributes
    ----------
    inputs
        The Nodes for which data can be given.
    probes
        In the order of the network's outputs.
    names
        Of Nodes and Probes.
    """

    inputs: Mapping[Node, Input]
    probes: Sequence[Probe]
    names: Mapping[Node | Probe, str]


def unique(stem: str, taken: dict[str, int]) -> str:
    """``stem``, or with ``_1``, ``_2``, ... where that is taken; adds it to ``taken``, which holds
    for each name the number that was added to it last.
    """
    name, count = stem, taken.get(stem, 0)
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    taken[stem], taken[name] = count, taken.get(name, 0)
    return name


def clean(label: str) -> str:
    """A label as TensorFlow takes it in the names of its operations: ``_`` for spaces and colons,
    and nothing for what else is not a letter of ASCII, a digit or one of ``_.-/``.
    """
    return re.sub(r"[^A-Za-z0-9_.\-/]", "", re.sub(r"[\s:]", "_", label)).lstrip("_-/")


def unique_names(objects: Iterable, reserved: Iterable[str] = ()) -> dict:
    """Object -> its label as `clean` makes it, or its type in lower case, made unique.

    A label that is clean comes before one that became the same.
    """
    stems = {obj: clean(obj.label or "") or type(obj).__name__.lower() for obj in objects}
    taken, names = dict.fromkeys(reserved, 0), {}
    for obj in sorted(stems, key=lambda obj: stems[obj] != (obj.label or stems[obj])):
        names[obj] = unique(stems[obj], taken)
    return {obj: names[obj] for obj in stems}


def named(key: str, names: Mapping[Any, str]) -> Any:
    """The object of which this is the name in ``names``, or the label; None for any other
    string.
    """
    by_name = {name: obj for obj, name in names.items()}
    labelled = (obj for obj in names if obj.label == key)
    return by_name[key] if key in by_name else next(labelled, None)
