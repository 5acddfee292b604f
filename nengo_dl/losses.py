"""Loss functions for ``Simulator.compile``, in addition to those of ``keras.losses``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.exceptions import ValidationError
from nengo.utils.numpy import is_integer, is_number

from nengo_dl.regularizers import RateRegularizer

__all__ = ["FiringRates", "Penalty", "Regularize", "nan_mse"]


def nan_mse(y_true: Any, y_pred: Any) -> Any:
    """Mean squared error in which a target of NaN counts as an error of zero.

    The mean is over all elements, known or not, so the loss does not grow if few targets are known.
    It is a scalar and does not support sample weights; to exclude items, set their targets to NaN.

    Parameters
    ----------
    y_true, y_pred
        Targets and outputs, of shape (batch, n_steps, size).

    Examples
    --------
    >>> float(nengo_dl.losses.nan_mse([0.0, np.nan, np.nan, np.nan], [3.0, 1.0, 1.0, 1.0]))
    2.25
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if not keras.backend.is_float_dtype(y_pred.dtype):
        y_pred = ops.cast(y_pred, keras.backend.floatx())
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype) + ops.zeros_like(y_pred)
    known = ops.logical_not(ops.isnan(y_true))
    # both are replaced before the difference is made: no NaN reaches the loss or its gradient
    error = ops.where(known, y_true, 0) - ops.where(known, y_pred, 0)
    return ops.mean(ops.square(error))


class Penalty(keras.losses.Loss):
    """A loss that looks at the output alone: its targets may have any shape, or be None."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The reduced loss of outputs ``y_pred``."""
        return super().__call__(y_pred, y_pred, sample_weight)


@keras.saving.register_keras_serializable(package="nengo_dl")
class Regularize(Penalty):
    """A penalty on the norm of a probe's output in each step, regardless of its targets.

    The loss is the mean of the norms over all items and steps. Its gradient is 0 if the output is
    0, for example for silent neurons.

    Parameters
    ----------
    order : float or str
        Order of the norm, as in ``tf.norm``: ``"euclidean"`` or 2, 1 (sum of absolute values), any
        other positive number, or ``np.inf`` (largest absolute value; also ``"inf"``).
    axis : int or tuple of int, optional
        Axes of the probed signal over which to take the norm. Batch and time are not counted, so a
        Nengo probe has only axis 0 (or -1). By default the norm is over all values of a step.
    **kwargs
        ``name``, ``reduction`` and ``dtype`` of `keras.losses.Loss`.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the order or axis is invalid, or if the output does not have this axis.

    Examples
    --------
    >>> penalty = nengo_dl.losses.Regularize()
    >>> float(penalty(None, np.full((1, 2, 4), 3.0)))  # mean norm of (3, 3, 3, 3)
    6.0

    With a simulator:
    ``sim.compile("sgd", {output: "mse", rates: penalty}, loss_weights={output: 1, rates: 1e-3})``.
    """

    def __init__(
        self,
        order: float | str = "euclidean",
        axis: int | tuple[int, ...] | None = None,
        name: str = "regularize",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.order: Any = _checked_order(order)  # a number, or "inf"
        self.axis = _checked_axis(axis)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Norms of the outputs ``y_pred``, of shape (batch, n_steps) and the axes that are left."""
        axes = self._axes(len(y_pred.shape))
        # the derivative of abs at 0 is not 0 in every backend
        size = y_pred * ops.stop_gradient(ops.sign(y_pred))
        largest = ops.max(size, axis=axes)
        if self.order == "inf":
            return largest
        # relative to the largest, powers neither overflow nor vanish; at 0 a root has no derivative
        silent = ops.equal(largest, 0)
        unit = ops.stop_gradient(ops.where(silent, 1, largest))
        total = ops.sum(_power(size / ops.expand_dims(unit, axes), self.order), axis=axes)
        return ops.where(silent, 0, unit * ops.power(ops.where(silent, 1, total), 1 / self.order))

    def _axes(self, rank: int) -> tuple[int, ...]:
        n_axes = rank - 2
        if n_axes < 1:
            raise ValidationError(
                "expected an output of shape (batch, n_steps, ...); "
                f"this one has {rank} dimension{'' if rank == 1 else 's'}",
                attr="y_pred",
                obj=self,
            )
        if self.axis is None:
            return tuple(range(2, rank))
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        for axis in axes:
            if not -n_axes <= axis < n_axes:
                raise ValidationError(
                    f"expected axes of a signal with {n_axes} of them, batch and time not counted; "
                    f"got {axis}",
                    attr="axis",
                    obj=self,
                )
        return tuple(sorted({axis % n_axes + 2 for axis in axes}))

    def get_config(self) -> dict[str, Any]:
        """The configuration of the loss, for saving."""
        return {**super().get_config(), "order": self.order, "axis": self.axis}


@keras.saving.register_keras_serializable(package="nengo_dl")
class FiringRates(Penalty):
    """Applies a regularizer of `nengo_dl.regularizers` to the firing rates of a probe, regardless
    of its targets.

    Parameters
    ----------
    regularizer
        E.g. ``nengo_dl.regularizers.L2(target=(20, 100))``. Rates of a probe of neurons are in
        hertz, times the amplitude of the neurons.
    **kwargs
        ``name``, ``reduction`` and ``dtype`` of `keras.losses.Loss`.

    Examples
    --------
    >>> penalty = nengo_dl.losses.FiringRates(nengo_dl.regularizers.L2(0.1, target=(10, 20)))
    >>> float(penalty(None, np.full((1, 5, 3), 30.0)))  # 10 Hz above the range
    10.0

    With a simulator: ``sim.compile("sgd", {output: "mse", rates: penalty})``.
    """

    def __init__(self, regularizer: Any, name: str = "firing_rates", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        if isinstance(regularizer, dict):
            regularizer = keras.saving.deserialize_keras_object(regularizer)
        if not isinstance(regularizer, RateRegularizer):
            raise ValidationError(
                f"expected a regularizer of nengo_dl.regularizers; got {regularizer!r}",
                attr="regularizer",
                obj=self,
            )
        self.regularizer = regularizer

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The penalty for outputs ``y_pred`` of shape (batch, n_steps, size)."""
        return self.regularizer.penalty(y_pred)

    def get_config(self) -> dict[str, Any]:
        """The configuration of the loss, for saving."""
        regularizer = keras.saving.serialize_keras_object(self.regularizer)
        return {**super().get_config(), "regularizer": regularizer}


def _power(base: Any, exponent: float) -> Any:
    """A power of numbers that are not negative; its derivative at 0 is 0, also below 1."""
    if exponent >= 1:
        return ops.power(base, exponent)
    zero = ops.equal(base, 0)
    return ops.where(zero, 0, ops.power(ops.where(zero, 1, base), exponent))


def _checked_order(order: Any) -> float | str:
    if isinstance(order, str):
        order = {"euclidean": 2, "inf": np.inf}.get(order, order)
    if not is_number(order) or not order > 0:
        raise ValidationError(
            f"expected a positive number, np.inf or 'euclidean'; got {order!r}",
            attr="order",
            obj=Regularize,
        )
    if order == np.inf:
        return "inf"  # which a saved configuration can hold
    return int(order) if is_integer(order) else float(order)


def _checked_axis(axis: Any) -> int | tuple[int, ...] | None:
    if axis is None or is_integer(axis):
        return axis
    if not isinstance(axis, (tuple, list)) or not axis or not all(map(is_integer, axis)):
        raise ValidationError(
            f"expected an integer, a tuple of them, or None; got {axis!r}",
            attr="axis",
            obj=Regularize,
        )
    return tuple(axis)
