"""Loss functions for ``Simulator.compile``."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def nan_mse(y_true: Any, y_pred: Any) -> Any:
    """Mean squared error over those targets that are not NaN (0 where all are).

    Parameters
    ----------
    y_true, y_pred
        Tensors of shape (batch, n_steps, size).
    """
    y_true = ops.cast(y_true, y_pred.dtype)
    known = ops.logical_not(ops.isnan(y_true))
    # the unknown ones are replaced before they are used, so that no NaN reaches the gradient
    error = ops.where(known, y_pred - ops.where(known, y_true, 0.0), 0.0)
    n = ops.maximum(ops.sum(ops.cast(known, y_pred.dtype)), 1.0)
    return ops.sum(ops.square(error)) / n


class Regularize(keras.losses.Loss):
    """The norm of a probe's output, whatever the targets, to be used as a penalty.

    Parameters
    ----------
    order : int or str
        Order of the norm, as in `numpy.linalg.norm`: 1, 2, ... or ``"inf"``.
    axis : int, optional
        Axis along which the norm is taken, not counting that of the batch (0: time, 1: the probe's
        dimensions). By default over all.
    """

    def __init__(self, order: int | str = 2, axis: int | None = None, name: str = "regularize"):
        super().__init__(name=name)
        self.order, self.axis = order, axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Mean of the norms."""
        order = np.inf if self.order == "inf" else self.order
        if self.axis is None:
            y_pred, axis = ops.reshape(y_pred, (ops.shape(y_pred)[0], -1)), -1
        else:
            axis = self.axis + 1 if self.axis >= 0 else self.axis
        return ops.mean(ops.norm(y_pred, ord=order, axis=axis))

    def get_config(self) -> dict:
        """For serialization."""
        return {"order": self.order, "axis": self.axis, "name": self.name}
