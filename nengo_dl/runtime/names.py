"""Unique string names of Nodes and Probes, by which Keras knows them."""

from __future__ import annotations

from collections.abc import Iterable


def unique(stem: str, taken: set[str]) -> str:
    """``stem``, or with ``_1``, ``_2``, ... where that is taken; adds it to ``taken``."""
    name, count = stem, 0
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    taken.add(name)
    return name


def unique_names(objects: Iterable) -> dict:
    """Object -> its label, or its type in lower case, made unique."""
    taken: set[str] = set()
    return {obj: unique(obj.label or type(obj).__name__.lower(), taken) for obj in objects}
