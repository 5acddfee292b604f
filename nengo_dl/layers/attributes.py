"""Attributes of layers, one value for each unit, which training may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


class UnitAttribute:
    """A number for each unit of a cell, e.g. its time constant.

    A positive one is ``initial * exp(weight)``: it stays positive whatever training does, a step of
    the optimizer changes it by so many per cent whether it is milliseconds or seconds, and it is
    exactly its first value as long as the weight is 0. Any other is ``initial + weight``. One that
    is not trained has no weight.

    Parameters
    ----------
    name
        Name of the attribute.
    value : float or (units,) array_like
        Its first value, in the attribute's own unit.
    positive : bool
        Whether it has to be positive.

    Raises
    ------
    ValueError
        If a value is not a number, not finite, or not positive where it has to be.
    """

    def __init__(self, name: str, value: Any, positive: bool = True):
        self.name, self.positive = name, positive
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.array(np.nan)
        if array.ndim > 1 or not np.all(np.isfinite(array)) or (positive and np.any(array <= 0)):
            kind = "a positive number" if positive else "a number"
            raise ValueError(f"{name} was given {value!r}; expected {kind}, or one for each unit")
        self.initial = array if array.ndim else float(array)
        self.weight = None

    def build(self, cell: Any, units: int, trained: bool) -> None:
        """Make the weight, if there is to be one."""
        if np.ndim(self.initial) and np.shape(self.initial) != (units,):
            raise ValueError(
                f"{self.name} was given {np.size(self.initial)} values for {units} units; expected "
                "one number, or one for each unit"
            )
        if trained:
            self.weight = cell.add_weight(
                shape=(units,), initializer="zeros", name=f"trained_{self.name}"
            )

    def __call__(self, dtype: str) -> Any:
        """The present value: a number, or a tensor of shape (units,)."""
        if self.weight is None:
            if np.ndim(self.initial) == 0:
                return self.initial
            return ops.convert_to_tensor(self.initial, dtype=dtype)
        weight = ops.cast(self.weight, dtype)
        initial = ops.convert_to_tensor(self.initial, dtype=dtype)
        return initial * ops.exp(weight) if self.positive else initial + weight

    def numpy(self) -> np.ndarray:
        """The present value of each unit, or one number."""
        if self.weight is None:
            return np.asarray(self.initial)
        weight = ops.convert_to_numpy(self.weight).astype(np.float64)
        return self.initial * np.exp(weight) if self.positive else self.initial + weight

    def config(self) -> Any:
        """The first value, for `get_config`."""
        return self.initial.tolist() if isinstance(self.initial, np.ndarray) else self.initial


def checked_names(given: Any, known: Sequence[str]) -> tuple[str, ...]:
    """``trainable_attributes`` of a layer as a tuple."""
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for name in names:
        if name not in known:
            raise ValueError(
                f"trainable_attributes was given {name!r}; expected some of {', '.join(known)}"
            )
    return names
