"""Operands of instructions, assembled from the tensors of a step as the compiler's recipes say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.kernel import Settings
from nengo_dl.compiler.layout import Layout
from nengo_dl.compiler.operand import (
    Concat,
    Gather,
    Recipe,
    RowSum,
    SegmentSum,
    Slice,
    Sum,
    Zeros,
)
from nengo_dl.lowering.gathering import gather

Tensors = dict[int, Any]


class Assembler:
    """Follows the recipes of a layout.

    Attributes
    ----------
    indices : dict of str to array
        The index arrays that the recipes need; they are arguments of the step.
    """

    def __init__(self, layout: Layout, settings: Settings):
        self.dtype, self._adds_slices = settings.dtype, settings.adds_slices
        self.indices: dict[str, np.ndarray] = {}
        self._names: dict[int, str] = {}  # by the id of a recipe
        recipes = [*layout.next_state, *layout.outputs]
        for instruction in layout.instructions:
            recipes.extend(instruction.operands)
        while recipes:
            self._register(recipes.pop(), recipes)

    def _register(self, recipe: Recipe, recipes: list[Recipe]) -> None:
        """Name the indices of a recipe; those that it is made of are added to ``recipes``."""
        if isinstance(recipe, Sum):
            recipes.extend(recipe.terms)
        elif isinstance(recipe, (RowSum, SegmentSum)):
            recipes.append(recipe.source)
        if isinstance(recipe, (Gather, SegmentSum)):
            name = f"indices{len(self._names)}"
            self._names[id(recipe)] = name
            values = recipe.indices if isinstance(recipe, Gather) else recipe.segments
            self.indices[name] = np.asarray(values, dtype=np.int32)

    def read(self, recipe: Recipe, values: Tensors, arguments: dict) -> Any:
        """The value of an operand, from tensors."""
        if isinstance(recipe, Slice):
            value = values[recipe.tensor]
            return value if recipe.whole else value[:, recipe.start : recipe.stop]
        if isinstance(recipe, Zeros):
            return ops.zeros((1, recipe.width), dtype=self.dtype)
        if isinstance(recipe, Concat):
            return concatenate([self.read(p, values, arguments) for p in recipe.parts])
        if isinstance(recipe, Gather):
            source = concatenate([self.read(s, values, arguments) for s in recipe.sources])
            return gather(source, arguments[self._names[id(recipe)]])
        if isinstance(recipe, Sum):
            terms = [self.read(t, values, arguments) for t in recipe.terms]
            return sum(terms[1:], terms[0])
        if isinstance(recipe, RowSum):
            source = self.read(recipe.source, values, arguments)
            return sum_of_rows(source, recipe.rows, self._adds_slices)
        if isinstance(recipe, SegmentSum):
            source = ops.transpose(self.read(recipe.source, values, arguments))
            segments = arguments[self._names[id(recipe)]]
            sums = ops.segment_sum(source, segments, num_segments=recipe.width)
            return ops.transpose(sums)
        raise TypeError(f"unknown recipe {recipe!r}")


def concatenate(parts: Sequence[Any]) -> Any:
    """Tensors of shape (batch or 1, width) side by side."""
    if len(parts) == 1:
        return parts[0]
    batch = max(p.shape[0] for p in parts)
    parts = [p if p.shape[0] == batch else ops.broadcast_to(p, (batch, p.shape[1])) for p in parts]
    return ops.concatenate(parts, axis=-1)


def sum_of_rows(x: Any, rows: int, adds_slices: Callable[[int, int, int], bool]) -> Any:
    """The sum of so many neighbours of equal width in (batch, rows * width)."""
    batch, width = x.shape[0], x.shape[1] // rows
    if not adds_slices(rows, width, batch):
        return ops.sum(ops.reshape(x, (-1, rows, width)), axis=1)
    slices = [x[:, start : start + width] for start in range(0, rows * width, width)]
    return sum(slices[1:], slices[0])
