"""Parameters of the objects in a group, as numbers or as one value a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.attributes import Attribute


def columns(values: Sequence[Any], sizes: Sequence[int]) -> float | np.ndarray:
    """A value, or one for each element, of each object: a number if all are equal, else an array of
    shape (1, sum of sizes).
    """
    first = np.ravel(values[0])[0]
    if all(np.all(v == first) for v in values):
        return float(first)
    filled = [np.broadcast_to(v, (n,)) for v, n in zip(values, sizes, strict=True)]
    return np.concatenate(filled).astype(float)[None]


def split(parameters: dict[str, float | np.ndarray]) -> tuple[dict, dict]:
    """Numbers stay in the code of the step; arrays are given to it as constants."""
    numbers = {k: v for k, v in parameters.items() if not isinstance(v, np.ndarray)}
    arrays = {k: v for k, v in parameters.items() if isinstance(v, np.ndarray)}
    return numbers, arrays


def trained_columns(attributes: Sequence[Attribute], sizes: Sequence[int]) -> Callable[[Any], Any]:
    """A function that turns the signals of an attribute, side by side as (1, numbers), into its
    values, one a column: of each object as many as its size, of one number or of so many.
    """
    numbers = [int(np.size(a.initial)) for a in attributes]
    initial = columns([a.initial for a in attributes], numbers)
    unit = columns([a.encoding.unit for a in attributes], numbers)
    positive, size = attributes[0].encoding.positive, max(sizes)
    starts = np.concatenate([[0], np.cumsum(numbers)])
    where = np.concatenate(
        [s + np.arange(n) % k for s, k, n in zip(starts[:-1], numbers, sizes, strict=True)]
    )

    def arrange(stored):
        first = ops.convert_to_tensor(initial, dtype=stored.dtype)
        moved = ops.convert_to_tensor(unit, dtype=stored.dtype) * stored
        values = first * ops.exp(moved) if positive else first + moved
        if len(where) == starts[-1]:
            return values
        if all(n == size for n in sizes) and set(numbers) == {1}:
            return ops.reshape(ops.repeat(values, size, axis=1), (1, -1))
        return ops.take(values, where, axis=1)

    return arrange
