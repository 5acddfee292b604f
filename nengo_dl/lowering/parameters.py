"""Parameters of the objects in a group, as numbers or as one value a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def columns(values: Sequence[float], sizes: Sequence[int]) -> float | np.ndarray:
    """One value for each object: a number if all are equal, else an array of shape (1, sum of
    sizes).
    """
    if all(v == values[0] for v in values):
        return float(values[0])
    return np.repeat(np.asarray(values, dtype=float), sizes)[None]


def split(parameters: dict[str, float | np.ndarray]) -> tuple[dict, dict]:
    """Numbers stay in the code of the step; arrays are given to it as constants."""
    numbers = {k: v for k, v in parameters.items() if not isinstance(v, np.ndarray)}
    arrays = {k: v for k, v in parameters.items() if isinstance(v, np.ndarray)}
    return numbers, arrays
