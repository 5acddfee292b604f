"""The names that version 2 had for objectives: functions of (outputs, targets).

``keras.losses`` and `nengo_dl.losses` take (targets, outputs).
"""

from __future__ import annotations

from typing import Any

from keras import ops

from nengo_dl import losses

__all__ = ["Regularize", "mse"]


def mse(outputs: Any, targets: Any) -> Any:
    """Mean squared error, 0 for targets that are NaN; see `nengo_dl.losses.nan_mse`."""
    return losses.nan_mse(targets, outputs)


class Regularize:
    """Objective that is the norm of a probe's output; see `nengo_dl.losses.Regularize`.

    Parameters
    ----------
    order : float or str
        Order of the norm.
    axis : int or tuple of int, optional
        Axes of the probed signal over which the norm is taken, without batch and time; all by
        default.
    weight : float, optional
        Factor on the norm.
    """

    def __init__(
        self,
        order: float | str = 2,
        axis: int | tuple[int, ...] | None = None,
        weight: float | None = None,
    ):
        self.loss = losses.Regularize(order=order, axis=axis)
        self.weight = weight

    def __call__(self, outputs: Any, targets: Any = None) -> Any:
        """The mean of the norms of ``outputs``; ``targets`` do not matter."""
        norm = ops.mean(self.loss.call(targets, ops.convert_to_tensor(outputs)))
        return norm if self.weight is None else self.weight * norm
