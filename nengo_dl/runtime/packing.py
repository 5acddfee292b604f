"""Many small tensors as few: a call of a compiled function takes longer the more there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras.ops as ops

#: elements up to which a tensor is packed
SMALL = 4096


@dataclass(frozen=True)
class _Place:
    """Where a tensor is: in which of the packed tensors, from where on there, and its shape; from
    None on if that is the tensor itself.
    """

    index: int
    start: int | None
    shape: tuple[int, ...]


class Packing:
    """Packs tensors, the small ones of each dtype as one vector, and unpacks them.

    Parameters
    ----------
    tensors
        The tensors, or others of the same shapes and dtypes.
    """

    def __init__(self, tensors: Sequence[Any]):
        shapes = [tuple(tensor.shape) for tensor in tensors]
        dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
        small = [math.prod(shape) <= SMALL for shape in shapes]
        self._dtypes = list(
            dict.fromkeys(dtype for dtype, packs in zip(dtypes, small, strict=True) if packs)
        )
        filled = dict.fromkeys(self._dtypes, 0)
        n_packed = len(self._dtypes)
        self._places: list[_Place] = []
        for shape, dtype, packs in zip(shapes, dtypes, small, strict=True):
            if packs:
                self._places.append(_Place(self._dtypes.index(dtype), filled[dtype], shape))
                filled[dtype] += math.prod(shape)
            else:
                self._places.append(_Place(n_packed, None, shape))
                n_packed += 1
        self.n_packed = n_packed

    def pack(self, tensors: Sequence[Any]) -> list[Any]:
        """``n_packed`` tensors."""
        vectors: list[list] = [[] for _ in self._dtypes]
        own = []
        for place, tensor in zip(self._places, tensors, strict=True):
            if place.start is None:
                own.append(tensor)
            else:
                vectors[place.index].append(ops.reshape(tensor, (-1,)))
        return [*(ops.concatenate(vector) for vector in vectors), *own]

    def unpack(self, packed: Sequence[Any]) -> list[Any]:
        """The tensors."""
        return [
            packed[place.index]
            if place.start is None
            else ops.reshape(
                packed[place.index][place.start : place.start + math.prod(place.shape)], place.shape
            )
            for place in self._places
        ]
