"""Weights of few bits, as neuromorphic chips have them, in simulation and in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.utils.numpy import is_integer, is_number

__all__ = ["Quantizer"]


@dataclass(frozen=True)
class Quantizer:
    """Rounds weights to a grid of ``2 ** bits - 1`` values that is symmetric around 0.

    Set for connections with ``configure_settings(quantizer=...)`` or
    ``net.config[connection].quantizer``, the network is simulated and trained with rounded weights.
    Training changes weights behind them that are not rounded: the gradient passes the rounding as
    if it were not there (the straight-through estimator; Bengio, Leonard and Courville, 2013,
    arXiv:1308.3432).

    Parameters
    ----------
    bits
        With the sign, 2 to 16.
    step
        Distance between the values of the grid; larger weights become the largest value. By
        default the one with which the largest of a connection's weights is the largest value.

    Raises
    ------
    ValueError
        If an argument makes no sense.

    Examples
    --------
    >>> quantizer = nengo_dl.quantization.Quantizer(bits=3)  # -3 to 3
    >>> integers, step = quantizer.integers([0.3, -0.12, 0.04])
    >>> integers.tolist(), round(step, 6)
    ([3, -1, 0], 0.1)
    >>> with nengo.Network() as net:
    ...     nengo_dl.configure_settings(quantizer=quantizer)
    """

    bits: int = 8
    step: float | None = None

    def __post_init__(self):
        if not is_integer(self.bits) or not 2 <= self.bits <= 16:
            raise ValueError(f"expected a number of bits from 2 to 16, got {self.bits!r}")
        if self.step is not None and not (is_number(self.step) and self.step > 0):
            raise ValueError(f"expected a step > 0, got {self.step!r}")

    @property
    def largest(self) -> int:
        """The largest integer."""
        return 2 ** (int(self.bits) - 1) - 1

    def __call__(self, weights: Any) -> Any:
        """Rounded weights, as a tensor of the same shape, with the gradient of the weights."""
        from keras import ops

        if self.step is None:
            step = ops.max(ops.abs(weights)) / self.largest
            step = ops.stop_gradient(ops.where(step > 0, step, ops.ones_like(step)))
        else:
            step = self.step
        integers = ops.clip(ops.round(weights / step), -self.largest, self.largest)
        return weights + ops.stop_gradient(integers * step - weights)

    def integers(self, weights: Any) -> tuple[np.ndarray, float]:
        """The integers that stand for weights, and the step that they are multiplied with."""
        weights = np.asarray(weights, dtype=float)
        step = self.step
        if step is None:
            step = float(np.max(np.abs(weights), initial=0.0)) / self.largest or 1.0
        rounded = np.clip(np.round(weights / step), -self.largest, self.largest)
        return rounded.astype(int), step
