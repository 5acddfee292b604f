"""Shapes of one tensor or of several, and where each lies in the vector that Nengo sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras.ops as ops
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.runtime.checks import number

Shape = tuple[int, ...]


Kind = Literal["one", "list", "dict"]


@dataclass(frozen=True)
class Shapes:
    """Shapes of one item of a tensor, or of several tensors whose values lie side by side.

    Attributes
    ----------
    shapes
        One for each tensor.
    kind
        ``"one"`` tensor, or a ``"list"`` or ``"dict"`` of them.
    names
        The keys of a dict.
    """

    shapes: tuple[Shape, ...]
    kind: Kind = "one"
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any, attr: str) -> Shapes:
        """From a tuple of integers, or a list or dict of such tuples.

        Raises
        ------
        nengo.exceptions.ValidationError
            For anything else.
        """
        if isinstance(value, Mapping):
            return cls(tuple(_shape(v, attr) for v in value.values()), "dict", tuple(value))
        if isinstance(value, (list, tuple)) and any(np.ndim(v) for v in value):
            return cls(tuple(_shape(v, attr) for v in value), "list")
        return cls((_shape(value, attr),))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values in each tensor."""
        return tuple(int(np.prod(shape)) for shape in self.shapes)

    @property
    def size(self) -> int:
        """Number of values in all of them."""
        return sum(self.sizes)

    @property
    def value(self) -> Any:
        """As a user gives it."""
        return self.pack(self.shapes)

    @property
    def slices(self) -> list[slice]:
        """Where the values of each tensor lie."""
        ends = np.cumsum(self.sizes).tolist()
        return [slice(end - n, end) for end, n in zip(ends, self.sizes, strict=True)]

    def pack(self, items: Sequence[Any]) -> Any:
        """One thing for each tensor, in the structure of the tensors."""
        if self.kind == "dict":
            return dict(zip(self.names, items, strict=True))
        return list(items) if self.kind == "list" else items[0]

    def unpack(self, value: Any) -> list[Any] | None:
        """The things in ``value``, one for each tensor; None where its structure is another."""
        found = structure(value)
        if (found.kind, found.names) != (self.kind, self.names):
            return None
        return found.items if len(found.items) == len(self.shapes) else None

    def split(self, x: Any) -> list[Any]:
        """(batch, size) -> tensors of shape (batch, *shape)."""
        return [
            ops.reshape(x if self.kind == "one" else x[:, part], (-1, *shape))
            for part, shape in zip(self.slices, self.shapes, strict=True)
        ]

    def join(self, tensors: Sequence[Any], batch: int) -> Any:
        """Tensors of shape (batch, *shape) -> (batch, size)."""
        flat = [
            ops.reshape(tensor, (batch, size))
            for tensor, size in zip(tensors, self.sizes, strict=True)
        ]
        if len(flat) == 1:
            return flat[0]
        dtype = flat[0].dtype
        return ops.concatenate([ops.cast(f, dtype) for f in flat], axis=1)


@dataclass(frozen=True)
class Structure:
    """What a function returned, taken apart."""

    kind: Kind
    names: tuple[str, ...]
    items: list[Any]

    def shapes(self, shapes: Sequence[Shape]) -> Shapes:
        """`Shapes` in this structure."""
        return Shapes(tuple(shapes), self.kind, self.names)


def structure(value: Any) -> Structure:
    """Whether something is one thing, a list or a dict, and what is in it."""
    if isinstance(value, Mapping):
        return Structure("dict", tuple(value), list(value.values()))
    if isinstance(value, (list, tuple)):
        return Structure("list", (), list(value))
    return Structure("one", (), [value])


def _shape(value: Any, attr: str) -> Shape:
    if np.ndim(value) != 1 or not all(number(n).is_integer() and n >= 1 for n in value):
        raise ValidationError(
            "expected a tuple of positive integers, the shape of one item (or a list or dict of "
            f"such tuples for several tensors), got {value!r}",
            attr=attr,
        )
    return tuple(int(n) for n in value)
