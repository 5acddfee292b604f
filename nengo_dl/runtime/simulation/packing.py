"""Many small tensors as few: a call of a compiled function takes longer the more there are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import keras.ops as ops
import numpy as np

from nengo_dl import tuning
from nengo_dl.runtime import backends


class Place(NamedTuple):
    """Where a tensor is: in which of the packed tensors, which part of that, and its shape; no part
    if that is the tensor itself.
    """

    vector: int
    span: slice | None
    shape: tuple[int, ...]


class Packing:
    """Packs tensors, the small ones of each dtype as one vector, and unpacks them.

    Parameters
    ----------
    tensors
        The tensors, or others of the same shapes and dtypes.
    small
        Elements up to which a tensor is packed.
    """

    def __init__(self, tensors: Sequence[Any], small: float = tuning.PACKED_ELEMENTS):
        shapes = [tuple(tensor.shape) for tensor in tensors]
        dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
        self._all_dtypes = dtypes
        is_small = [math.prod(shape) <= small for shape in shapes]
        self._dtypes = list(
            dict.fromkeys(dtype for dtype, packs in zip(dtypes, is_small, strict=True) if packs)
        )
        filled = dict.fromkeys(self._dtypes, 0)
        n_packed = len(self._dtypes)
        self.places: list[Place] = []
        for shape, dtype, packs in zip(shapes, dtypes, is_small, strict=True):
            if packs:
                start = filled[dtype]
                filled[dtype] += math.prod(shape)
                span = slice(start, filled[dtype])
                self.places.append(Place(self._dtypes.index(dtype), span, shape))
            else:
                self.places.append(Place(n_packed, None, shape))
                n_packed += 1
        self.n_packed = n_packed

    def __len__(self) -> int:
        return len(self.places)

    def zeros(self) -> list[np.ndarray]:
        """Arrays like the tensors."""
        pairs = zip(self.places, self._all_dtypes, strict=True)
        return [np.zeros(place.shape, dtype) for place, dtype in pairs]

    def pack(self, tensors: Sequence[Any]) -> list[Any]:
        """``n_packed`` tensors."""
        return self._joined(tensors, lambda x: ops.reshape(x, (-1,)), ops.concatenate)

    def packed(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `pack`, of arrays."""
        return self._joined(arrays, np.ravel, np.concatenate)

    def _joined(self, values: Sequence[Any], flat: Callable, joined: Callable) -> list[Any]:
        vectors: list[list] = [[] for _ in self._dtypes]
        own = []
        for place, value in zip(self.places, values, strict=True):
            if place.span is None:
                own.append(value)
            else:
                vectors[place.vector].append(flat(value))
        return [*map(joined, vectors), *own]

    def unpack(self, packed: Sequence[Any]) -> list[Any]:
        """The tensors."""
        split = backends.active().split
        parts = {
            k: iter(split(packed[k], [s.stop - s.start for s in self._spans(k)]))
            for k in range(len(self._dtypes))
        }
        return [
            packed[place.vector]
            if place.span is None
            else ops.reshape(next(parts[place.vector]), place.shape)
            for place in self.places
        ]

    def _spans(self, k: int) -> list[slice]:
        return [p.span for p in self.places if p.vector == k and p.span is not None]

    def taken(self, packed: Sequence[Any], first: int = 0) -> list[np.ndarray]:
        """As `unpack`, arrays of all tensors from the ``first`` on."""
        arrays: dict[int, np.ndarray] = {}
        taken = []
        for vector, span, shape in self.places[first:]:
            array = arrays.get(vector)
            if array is None:
                array = arrays[vector] = np.asarray(packed[vector])
            taken.append(array if span is None else array[span].reshape(shape))
        return taken


class PackedState(Sequence):
    """State tensors as a run left them; they are taken out when they are read.

    Parameters
    ----------
    packing
        How they are packed, and something else after them.
    packed
        Tensors of the backend.
    n_states
        How many there are.
    tensor
        Makes a tensor of an array.
    """

    def __init__(
        self,
        packing: Packing,
        packed: Sequence[Any],
        n_states: int,
        tensor: Callable[[np.ndarray], Any],
    ):
        self.packing, self.packed = packing, packed
        self._n_states, self._tensor = n_states, tensor
        self._tensors: dict[int, Any] = {}

    def __len__(self) -> int:
        return self._n_states

    def __getitem__(self, key):
        if isinstance(key, slice):
            return [self[k] for k in range(*key.indices(len(self)))]
        k = range(len(self))[key]
        if k not in self._tensors:
            place = self.packing.places[k]
            value = self.packed[place.vector]
            if place.span is not None:
                value = self._tensor(np.asarray(value)[place.span].reshape(place.shape))
            self._tensors[k] = value
        return self._tensors[k]
