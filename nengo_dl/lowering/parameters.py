"""Parameters of the objects in a group, as numbers or as one value a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


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
