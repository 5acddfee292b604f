"""How objects are called in pictures."""

from __future__ import annotations

from typing import Any

from nengo import Connection
from nengo.base import ObjView
from nengo.ensemble import Neurons


def display_name(obj: Any) -> str:
    """The label of an object, or its type; of a connection without label, what it connects."""
    if isinstance(obj, ObjView):
        return display_name(obj.obj)
    if isinstance(obj, Neurons):
        return f"{display_name(obj.ensemble)}.neurons"
    if isinstance(obj, Connection) and obj.label is None:
        return f"{display_name(obj.pre_obj)} → {display_name(obj.post_obj)}"
    label = getattr(obj, "label", None)
    return str(label or type(obj).__name__)
