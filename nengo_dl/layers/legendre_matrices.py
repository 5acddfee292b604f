"""The matrices of a Legendre memory, in continuous and in discrete time.

Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units: Continuous-time representation in
recurrent neural networks", NeurIPS 32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def legendre_matrices(order: int) -> tuple[np.ndarray, np.ndarray]:
    """A, (order, order), and B, (order,), of ``theta dm/dt = A m + B u``.

    The memory m has the coefficients of shifted Legendre polynomials of the input over the last
    ``theta`` seconds (equation 2 of Voelker et al., 2019).
    """
    n = np.arange(order, dtype=np.float64)
    row, column = np.meshgrid(n, n, indexing="ij")
    sign = np.where(row < column, -1.0, (-1.0) ** (row - column + 1))
    return (2 * n[:, None] + 1) * sign, (2 * n + 1) * (-1.0) ** n


def matrix_exponential(matrix: Any, identity: Any, squarings: int) -> Any:
    """``exp(matrix)`` by its Taylor series and repeated squaring, of NumPy arrays or tensors.

    Precise to rounding where the 1-norm of ``matrix`` is at most ``2 ** (squarings - 1)``.
    """
    scaled = matrix / 2.0**squarings
    result = term = identity
    for i in range(1, 14):
        term = term @ scaled / float(i)
        result = result + term
    for _ in range(squarings):
        result = result @ result
    return result


def legendre_generator(order: int) -> np.ndarray:
    """A and B side by side, (order + 1, order + 1): its exponential has both discrete matrices."""
    generator = np.zeros((order + 1, order + 1))
    generator[:order, :order], generator[:order, order] = legendre_matrices(order)
    return generator


class Discretization:
    """A Legendre memory in discrete time.

    Parameters
    ----------
    order
        Number of polynomials.
    theta, dt
        Length of the window and of a step, in the same unit.
    discretizer
        "zoh" for input that is constant over each step, exactly; "euler" for ``1 + A dt / theta``
        and ``B dt / theta``, the first terms of that.
    """

    def __init__(self, order: int, theta: float, dt: float, discretizer: str = "zoh"):
        self.step = dt / theta
        scaled = legendre_generator(order) * self.step
        norm = np.abs(scaled).sum(axis=0).max()
        self.squarings = max(0, math.ceil(math.log2(norm)) + 1)
        if discretizer == "zoh":
            self.exponential = matrix_exponential(scaled, np.eye(order + 1), self.squarings)
        else:
            self.exponential = np.eye(order + 1) + scaled
        self.a, self.b = self.exponential[:order, :order], self.exponential[:order, order]

    def impulse_response(self, n_steps: int) -> np.ndarray:
        """The memory 1, 2, ... steps after an input of 1, (order, n_steps)."""
        return powers(self.a, self.b[:, None], n_steps, np)[:, :, 0]


def shortened(response: np.ndarray, share: float | None) -> np.ndarray:
    """A response (order, n_steps) without its end, which has at most a share of each row's sum."""
    if share is None:
        return response
    sizes = np.abs(response)
    left_out = sizes.sum(axis=1, keepdims=True) - np.cumsum(sizes, axis=1)
    enough = np.all(left_out <= share * sizes.sum(axis=1, keepdims=True), axis=0)
    return response[:, : int(np.argmax(enough)) + 1]


def powers(a: Any, columns: Any, n_steps: int, xp: Any) -> Any:
    """``a^k columns`` for k = 0, 1, ...: (order, n_steps, n columns); ``xp`` is NumPy or keras.ops.

    The first ones by doubling, the others in blocks of about the square root of the number of
    steps: squaring ``a`` all the way would lose digits in float32.
    """
    block = columns[:, None]
    while block.shape[1] ** 2 < n_steps:
        block = xp.concatenate([block, xp.tensordot(a, block, axes=1)], axis=1)
        a = a @ a
    blocks = [block]
    while len(blocks) * block.shape[1] < n_steps:
        blocks.append(xp.tensordot(a, blocks[-1], axes=1))
    return xp.concatenate(blocks, axis=1)[:, :n_steps]
