"""Penalties on firing rates, for the activity of Keras layers and for probes of neurons.

Pass a regularizer to a layer as its ``activity_regularizer``. For a probe, turn it into a loss with
`nengo_dl.losses.FiringRates`. Rates are means over time, in the unit of the activity: hertz for
neurons of Nengo and of `nengo_dl.layers`. Only `RangedRegularizer` considers each step separately,
and computes sums like Keras's regularizers.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.utils.numpy import is_number

__all__ = ["L1", "L1L2", "L2", "Percentile", "RangedRegularizer", "RateRegularizer"]

# Layers divide what an activity regularizer returns by the size of the batch
KERAS_DIVIDES = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)


class RateRegularizer(keras.regularizers.Regularizer):
    """A penalty on the distance of firing rates to a target or a range."""

    def __init__(self, l1: float, l2: float, target: Any):
        for name, weight in (("l1", l1), ("l2", l2)):
            if not is_number(weight) or not weight >= 0:
                raise ValueError(
                    f"{name} was given {weight!r}; expected a number that is 0 or larger"
                )
        self.l1, self.l2, self.target = float(l1), float(l2), _target(target)

    def __call__(self, activity: Any) -> Any:
        """What Keras makes the `penalty` of: since 3.14 it divides by the size of the batch."""
        penalty = self.penalty(activity)
        if not KERAS_DIVIDES:
            return penalty
        return penalty * ops.cast(ops.shape(activity)[0], penalty.dtype)

    def penalty(self, activity: Any) -> Any:
        """The penalty for an activity of shape (batch, steps, ...)."""
        if len(activity.shape) < 3:
            raise ValueError(
                f"expected the activity of steps, (batch, steps, ...); got {activity.shape}. "
                "Firing rates are means over time: the layer needs return_sequences=True"
            )
        rates = self.statistic(ops.mean(activity, axis=1))
        distance = _distance(rates, self.target)
        return self.l1 * ops.mean(distance) + self.l2 * ops.mean(ops.square(distance))

    def statistic(self, rates: Any) -> Any:
        """What is to be at the target, of rates of shape (batch, ...)."""
        return rates

    def get_config(self) -> dict[str, Any]:
        """The configuration of the regularizer, for saving and copying."""
        return {"l1": self.l1, "l2": self.l2, "target": self.target}


def _target(target: Any) -> Any:
    if is_number(target) and target == target:
        return float(target)
    if isinstance(target, (tuple, list)) and len(target) == 2 and all(map(is_number, target)):
        low, high = map(float, target)
        if low <= high:
            return (low, high)
    raise ValueError(
        f"target was given {target!r}; expected a rate, or a pair of a lowest and a highest rate"
    )


def _distance(values: Any, target: Any) -> Any:
    """How far values are from a target, or outside a range."""
    low, high = target if isinstance(target, tuple) else (target, target)
    low, high = (ops.cast(bound, values.dtype) for bound in (low, high))
    return ops.relu(values - high) + ops.relu(low - values)


def _percentile(value: Any) -> float:
    if not is_number(value) or not 0 <= value <= 100:
        raise ValueError(f"percentile was given {value!r}; expected a number from 0 to 100")
    return float(value)


@keras.saving.register_keras_serializable(package="nengo_dl")
class L1L2(RateRegularizer):
    """``l1 * mean(|distance|) + l2 * mean(distance^2)`` of the firing rates from a target.

    The means are over units and items of the batch, so suitable weights do not depend on their
    numbers.

    Parameters
    ----------
    l1, l2 : float
        Weights of the penalties.
    target : float or tuple
        Rate at which there is no penalty, or the lowest and the highest one: ``(10, 50)``.

    Examples
    --------
    >>> regularizer = nengo_dl.regularizers.L1L2(l1=0.1, l2=0.01, target=(10, 20))
    >>> float(regularizer.penalty(np.full((1, 5, 3), 30.0)))  # 10 Hz above the range
    2.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, target: Any = 0.0):
        super().__init__(l1, l2, target)


@keras.saving.register_keras_serializable(package="nengo_dl")
class L1(L1L2):
    """`L1L2` with only the first of the penalties.

    Examples
    --------
    >>> float(nengo_dl.regularizers.L1(0.1, target=10).penalty(np.full((1, 5, 3), 30.0)))
    2.0
    """

    def __init__(self, l1: float = 0.01, target: Any = 0.0):
        super().__init__(l1=l1, target=target)

    def get_config(self):
        return {"l1": self.l1, "target": self.target}


@keras.saving.register_keras_serializable(package="nengo_dl")
class L2(L1L2):
    """`L1L2` with only the second of the penalties.

    Examples
    --------
    >>> float(nengo_dl.regularizers.L2(0.1, target=10).penalty(np.full((1, 5, 3), 30.0)))
    40.0
    """

    def __init__(self, l2: float = 1e-4, target: Any = 0.0):
        super().__init__(l2=l2, target=target)

    def get_config(self):
        return {"l2": self.l2, "target": self.target}


@keras.saving.register_keras_serializable(package="nengo_dl")
class Percentile(RateRegularizer):
    """`L1L2` of a percentile over the batch of each unit's firing rate.

    A unit may be silent for most inputs and still be useful. With ``percentile=99`` and
    ``target=(50, 100)``, only its highest rates have to be in this range, not counting the top
    hundredth.

    Parameters
    ----------
    percentile : float
        Between 0 and 100.
    l1, l2, target
        As in `L1L2`.

    Examples
    --------
    >>> regularizer = nengo_dl.regularizers.Percentile(99, l2=1e-3, target=(50, 100))
    >>> float(regularizer.penalty(np.full((8, 5, 3), 75.0)))
    0.0
    """

    def __init__(
        self, percentile: float = 99.0, l1: float = 0.0, l2: float = 0.0, target: Any = 0.0
    ):
        super().__init__(l1, l2, target)
        self.percentile = _percentile(percentile)

    def statistic(self, rates):
        return ops.quantile(rates, np.float32(self.percentile / 100), axis=0)

    def get_config(self):
        return {"percentile": self.percentile, **super().get_config()}


@keras.saving.register_keras_serializable(package="nengo_dl")
class RangedRegularizer(keras.regularizers.Regularizer):
    """Applies a Keras regularizer to the distance of each value from a target or a range.

    Unlike `L1L2`, it does not take means over time or units. With ``keras.regularizers.L2``, it is
    the sum over all elements, which Keras divides by the batch size (since 3.14). For an activity
    of shape (batch, steps, units) that is constant over time, it is then ``steps * units`` times as
    large.

    Parameters
    ----------
    target : float or tuple
        Value at which there is no penalty, or the lowest and the highest one.
    regularizer : keras.regularizers.Regularizer, str or callable
        Regularizer that is applied to the distances.
    percentile : float, optional
        Use the distance of this percentile (0 to 100) of the values along ``axis``.
    axis : int or tuple of int
        Axis for ``percentile``; 0 is the batch.

    Examples
    --------
    >>> regularizer = nengo_dl.regularizers.RangedRegularizer(
    ...     target=(10, 20), regularizer=keras.regularizers.L1(0.5)
    ... )
    >>> float(regularizer(np.full((1, 2, 2), 22, np.float32)))  # four values, 2 above the range
    4.0
    """

    def __init__(
        self,
        target: Any = 0.0,
        regularizer: Any = "l2",
        percentile: float | None = None,
        axis: Any = 0,
    ):
        self.target, self.regularizer = _target(target), keras.regularizers.get(regularizer)
        self.percentile = None if percentile is None else _percentile(percentile)
        self.axis = tuple(axis) if isinstance(axis, (tuple, list)) else axis

    def __call__(self, x: Any) -> Any:
        """The penalty for values of any shape."""
        x = ops.convert_to_tensor(x)
        if self.percentile is not None:
            x = ops.quantile(x, np.float32(self.percentile / 100), axis=self.axis)
        return self.regularizer(_distance(x, self.target))

    def get_config(self) -> dict[str, Any]:
        """The configuration of the regularizer, for saving and copying."""
        return {
            "target": self.target,
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "percentile": self.percentile,
            "axis": self.axis,
        }
