"""Attributes of layers, one value for each unit, which training may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

#: what an initializer or a constraint may make of a positive attribute at least
SMALLEST = 1e-9


class UnitAttribute:
    """A number for each unit of a cell, e.g. its time constant.

    A positive attribute is ``initial * exp(weight)``. It always stays positive, an update changes
    it by a percentage regardless of its magnitude, and it has exactly its initial value while the
    weight is 0. Other attributes are ``initial + weight``. An attribute that is not trained has no
    weight, unless an initializer draws its values.

    Parameters
    ----------
    name
        Name of the attribute.
    value : float, (units,) array_like, or initializer
        Its initial value, in the attribute's own unit. A Keras initializer (or its name or
        configuration) draws the initial value of each unit.
    positive : bool
        Whether it must be positive.
    may_be_infinite : bool
        Whether it may be minus infinity, which training cannot change.
    constraint : keras.constraints.Constraint, str or callable, optional
        Applied to the values, not to the weights, after each update.

    Raises
    ------
    ValueError
        If a value is not a number, not finite, or not positive although it must be.
    """

    def __init__(
        self,
        name: str,
        value: Any,
        positive: bool = True,
        may_be_infinite: bool = False,
        constraint: Any = None,
    ):
        self.name, self.positive = name, positive
        self.constraint = keras.constraints.get(constraint)
        self.weight = None
        self.initializer = _initializer(value)
        if self.initializer is not None:
            self.initial: Any = 1.0 if positive else 0.0
            return
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = np.array(np.nan)
        allowed = array < np.inf if may_be_infinite else np.isfinite(array)
        if array.ndim > 1 or not np.all(allowed) or (positive and np.any(array <= 0)):
            kind = "a positive number" if positive else "a number"
            raise ValueError(
                f"{name} was given {value!r}; expected {kind}, one for each unit, or an initializer"
            )
        self.initial = array if array.ndim else float(array)

    def build(self, cell: Any, units: int, trained: bool) -> None:
        """Make the weight, if there is to be one."""
        if np.ndim(self.initial) and np.shape(self.initial) != (units,):
            raise ValueError(
                f"{self.name} was given {np.size(self.initial)} values for {units} units; expected "
                "one number, or one for each unit"
            )
        if trained and np.any(np.isinf(self.initial)):
            raise ValueError(
                f"{self.name} was given {self.config()!r}, which training cannot change; give a "
                f"finite value, or leave {self.name!r} out of trainable_attributes"
            )
        if trained or self.initializer is not None:
            self.weight = cell.add_weight(
                shape=(units,),
                initializer="zeros" if self.initializer is None else self._drawn,
                trainable=trained,
                constraint=None if self.constraint is None else _OfWeight(self._constrained),
                name=f"trained_{self.name}",
            )

    def _drawn(self, shape: Any, dtype: Any = None) -> Any:
        return self._as_weight(self.initializer(shape, dtype=dtype))  # type: ignore[misc]

    def _constrained(self, weight: Any) -> Any:
        initial = ops.convert_to_tensor(self.initial, dtype=weight.dtype)
        value = initial * ops.exp(weight) if self.positive else initial + weight
        value = ops.broadcast_to(self.constraint(value), ops.shape(weight))  # type: ignore[misc]
        return self._as_weight(value)

    def _as_weight(self, value: Any) -> Any:
        initial = ops.convert_to_tensor(self.initial, dtype=value.dtype)
        if not self.positive:
            return value - initial
        return ops.log(ops.maximum(value, SMALLEST) / initial)

    def __call__(self, dtype: str) -> Any:
        """The current value: a number, or a tensor of shape (units,)."""
        if self.weight is None:
            if np.ndim(self.initial) == 0:
                return self.initial
            return ops.convert_to_tensor(self.initial, dtype=dtype)
        weight = ops.cast(self.weight, dtype)
        initial = ops.convert_to_tensor(self.initial, dtype=dtype)
        return initial * ops.exp(weight) if self.positive else initial + weight

    def numpy(self) -> np.ndarray:
        """The current value of each unit, or one number."""
        if self.weight is None:
            if self.initializer is not None:
                raise ValueError(
                    f"{self.name} has no values yet: its initializer draws them when the layer is "
                    "built; call the layer first"
                )
            return np.asarray(self.initial)
        weight = ops.convert_to_numpy(self.weight).astype(np.float64)
        return self.initial * np.exp(weight) if self.positive else self.initial + weight

    def config(self) -> Any:
        """The first value, for `get_config`."""
        if self.initializer is not None:
            return keras.initializers.serialize(self.initializer)
        return self.initial.tolist() if isinstance(self.initial, np.ndarray) else self.initial


class _OfWeight(keras.constraints.Constraint):
    """A constraint as an object, which Keras before 3.13 asks for."""

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, weight: Any) -> Any:
        return self._function(weight)


def _initializer(value: Any) -> Callable | None:
    """The initializer that a value stands for; None for numbers."""
    if isinstance(value, (str, dict)) or callable(value):
        return keras.initializers.get(value)
    return None


def checked_names(given: Any, known: Sequence[str]) -> tuple[str, ...]:
    """``trainable_attributes`` of a layer as a tuple."""
    if given is not None and not isinstance(given, Iterable):
        raise TypeError(
            f"trainable_attributes was given {given!r}; expected a name or a list of names"
        )
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for name in names:
        if name not in known:
            raise ValueError(
                f"trainable_attributes was given {name!r}; expected some of {', '.join(known)}"
            )
    return names
