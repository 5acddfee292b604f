"""Constraints on what training changes, for layers of Keras and of `nengo_dl.layers`."""

from __future__ import annotations

import keras
from keras import ops
from nengo.utils.numpy import is_integer

__all__ = ["Mean"]


@keras.saving.register_keras_serializable(package="nengo_dl")
class Mean(keras.constraints.Constraint):
    """Replaces all values along an axis by their mean, so that they stay equal.

    Parameters
    ----------
    axis : int
        The axis over which the mean is taken; by default the last one.

    Examples
    --------
    One trained time constant for all units:

    >>> lowpass = nengo_dl.layers.Lowpass(0.01, tau_constraint=nengo_dl.constraints.Mean())
    >>> np.asarray(nengo_dl.constraints.Mean()(np.array([1.0, 2.0, 3.0]))).tolist()
    [2.0, 2.0, 2.0]
    """

    def __init__(self, axis: int = -1):
        if not is_integer(axis):
            raise TypeError(f"axis was given {axis!r}; expected an integer")
        self.axis = int(axis)

    def __call__(self, w):
        """The values, of the shape that they had."""
        w = ops.convert_to_tensor(w)
        return ops.broadcast_to(ops.mean(w, axis=self.axis, keepdims=True), ops.shape(w))

    def get_config(self):
        """The configuration of the constraint, for saving and copying."""
        return {"axis": self.axis}
