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

    If it is set for connections with ``configure_settings(quantizer=...)`` or
    ``net.config[connection].quantizer``, the network is simulated and trained with rounded weights.
    Training changes underlying weights that are not rounded; the gradient ignores the rounding (the
    straight-through estimator; Bengio, Leonard and Courville, 2013, arXiv:1308.3432).

    Parameters
    ----------
    bits
        Number of bits, including the sign, from 2 to 16.
    step
        Distance between the values of the grid. Weights beyond the grid are clipped to its largest
        value. By default, the step is chosen so that the largest weight of a connection is the
        largest value of the grid.

    Raises
    ------
    ValueError
        If an argument is invalid.

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
        """The rounded weights, as a tensor of the same shape, with the gradient of the unrounded
        weights.
        """
        from keras import ops

        if self.step is None:
            step = ops.max(ops.abs(weights)) / self.largest
            step = ops.stop_gradient(ops.where(step > 0, step, ops.ones_like(step)))
        else:
            step = self.step
        integers = ops.clip(ops.round(weights / step), -self.largest, self.largest)
        return weights + ops.stop_gradient(integers * step - weights)

    def integers(self, weights: Any) -> tuple[np.ndarray, float]:
        """The integers that represent the weights, and the step by which to multiply them."""
        weights = np.asarray(weights, dtype=float)
        step = self.step
        if step is None:
            step = float(np.max(np.abs(weights), initial=0.0)) / self.largest or 1.0
        rounded = np.clip(np.round(weights / step), -self.largest, self.largest)
        return rounded.astype(int), step
