"""Unique string names of Nodes and Probes, by which Keras knows them."""

from __future__ import annotations

from collections.abc import Iterable


def unique_names(objects: Iterable) -> dict:
    """Object -> its label, or its type in lower case, with ``_1``, ``_2``, ... where that is taken."""
    names: dict = {}
    taken: set[str] = set()
    for obj in objects:
        stem = obj.label or type(obj).__name__.lower()
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        names[obj] = name
    return names
