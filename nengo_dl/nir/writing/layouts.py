"""The shapes that values have in NIR, where images have their channels first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from nengo.transforms import ChannelShape

from nengo_dl.nir.findings import Findings
from nengo_dl.nir.writing.operations import Convolve, Dense
from nengo_dl.nir.writing.places import Link, Place, Places


@dataclass(frozen=True, eq=False)
class Layout:
    """How a vector lies in a NIR array.

    Attributes
    ----------
    shape
        Of the array, channels first.
    order
        For each element of the array, in C order, the index of the element of the vector.
    """

    shape: tuple[int, ...]
    order: np.ndarray = field(repr=False)

    @property
    def is_flat(self) -> bool:
        """Whether the array has one axis."""
        return len(self.shape) == 1

    def same_as(self, other: Layout) -> bool:
        """Whether an array of the other layout needs no change."""
        return self.shape == other.shape and np.array_equal(self.order, other.order)

    def arrange(self, vector: np.ndarray) -> np.ndarray:
        """A vector as an array."""
        return np.reshape(np.asarray(vector)[self.order], self.shape)


def flat(size: int) -> Layout:
    """A vector as it is."""
    return Layout((size,), np.arange(size))


def of_image(shape: ChannelShape) -> Layout:
    """What a convolution reads or writes."""
    numbers = np.reshape(np.arange(shape.size), shape.shape)
    if shape.channels_last:
        numbers = np.moveaxis(numbers, -1, 0)
    return Layout(numbers.shape, numbers.ravel())


def find_layouts(places: Places, findings: Findings) -> dict[Place, Layout]:
    """The layout of each place: that of the convolutions at it, also of those at places that are
    linked to it without weights.
    """
    found: dict[Place, tuple[Layout, Link]] = {}

    def give(place: Place, layout: Layout, link: Link) -> bool:
        if place not in found:
            found[place] = (layout, link)
            return True
        if not found[place][0].same_as(layout):
            raise findings.refuse(
                link.name,
                f"it needs the values of {place.name} as an array {layout.shape}, and "
                f"{found[place][1].name} as {found[place][0].shape}, channels first; NIR cannot "
                "reshape arrays, but only flatten them",
            )
        return False

    for link in places.links:
        first, last = _images(link)
        if first is not None:
            give(link.pre, first, link)
        if last is not None:
            give(link.post, last, link)
    plain = [link for link in places.links if _keeps_layout(link)]
    changed = True
    while changed:
        changed = False
        for link in plain:
            for a, b in ((link.pre, link.post), (link.post, link.pre)):
                if a in found:
                    changed |= give(b, found[a][0], link)
    return {p: found[p][0] if p in found else flat(p.size) for p in places.places.values()}


def _images(link: Link) -> tuple[Layout | None, Layout | None]:
    """The image that a link reads and the one that it writes."""
    weighted = [op for op in link.operations if isinstance(op, (Dense, Convolve))]
    if not weighted:
        return None, None
    first, last = weighted[0], weighted[-1]
    return (
        of_image(first.input_shape) if isinstance(first, Convolve) else None,
        of_image(last.transform.output_shape) if isinstance(last, Convolve) else None,
    )


def _keeps_layout(link: Link) -> bool:
    return not any(isinstance(op, (Dense, Convolve)) for op in link.operations)
