"""Arguments that layers have in common: what they are by default, and checks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class Default:
    """Default values of layer arguments; the only instance is ``nengo_dl.layers.default``."""

    def __init__(self, dt: float):
        self._dt = dt

    @property
    def dt(self) -> float:
        """Time step in seconds of layers that are created from now on; initially 0.001, as in
        Nengo.
        """
        return self._dt

    @dt.setter
    def dt(self, value: float) -> None:
        self._dt = checked_dt(value)


default = Default(dt=0.001)


def refuse_units(layer: str, *units: Any) -> None:
    """An error for a layer that is given a number of units, as other layers of Keras are."""
    given = [value for value in units if value is not None]
    if given:
        raise TypeError(
            f"{layer} has no units to choose, but was given {given[0]}: it has as many as its "
            f"input. Put keras.layers.Dense({given[0]}) in front of it to choose their number. To "
            "set a time step in seconds, use dt=..."
        )


def is_variable(value: Any) -> bool:
    """Whether a value is a variable, of Keras or of its backend."""
    return hasattr(value, "assign") and hasattr(value, "shape")


def checked_dt(dt: Any) -> float:
    """A time step, or the value of a variable, as a float; a ValueError for what is none."""
    if dt is None:
        return default.dt
    if getattr(dt, "shape", None) == ():  # a variable, a tensor or an array
        dt = float(ops.convert_to_numpy(dt))
    if (
        isinstance(dt, (bool, np.bool_))
        or not isinstance(dt, (int, float, np.number))
        or not 0 < dt < np.inf
    ):
        raise ValueError(f"dt was given {dt!r}; expected a positive number of seconds")
    return float(dt)


def cell_dtype(kwargs: dict[str, Any]) -> str:
    """Precision of a layer's cell: that of the variables, also with mixed precision."""
    policy = kwargs.get("dtype")
    policy = keras.config.dtype_policy() if policy is None else keras.dtype_policies.get(policy)
    return policy.variable_dtype
