"""The Legendre memory: its matrices, a cell and a layer.

Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units: Continuous-time representation in
recurrent neural networks", NeurIPS 32. That all steps can be computed at once: Chilkuri and
Eliasmith, 2021, "Parallelizing Legendre Memory Unit training", ICML (arXiv:2102.11417).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.attributes import UnitAttribute
from nengo_dl.layers.base import DEFAULT_DT, Cell, SequenceLayer, cell_dtype
from nengo_dl.layers.convolution import causal_convolution

#: how many times shorter than at first a trained window may become without loss of precision
SHORTEST = 8


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


class Discretization:
    """A Legendre memory in discrete time, for input that is constant over each step.

    Parameters
    ----------
    order
        Number of polynomials.
    theta, dt
        Length of the window and of a step, in the same unit.
    """

    def __init__(self, order: int, theta: float, dt: float):
        a, b = legendre_matrices(order)
        self.order = order
        # A and B side by side: the exponential of this has both discrete matrices
        self._generator = np.zeros((order + 1, order + 1))
        self._generator[:order, :order], self._generator[:order, order] = a, b
        self._step = dt / theta
        norm = np.abs(self._generator).sum(axis=0).max() * self._step
        squarings = max(0, math.ceil(math.log2(norm)) + 1)
        self._more_squarings = squarings + int(math.log2(SHORTEST))
        self._exponential = matrix_exponential(
            self._generator * self._step, np.eye(order + 1), squarings
        )
        self.a, self.b = self._exponential[:order, :order], self._exponential[:order, order]

    def at(self, ratio: Any, dtype: str) -> tuple[Any, Any]:
        """A and B as tensors where theta is ``ratio`` (a scalar tensor) times what it was first."""
        generator = ops.convert_to_tensor(self._generator, dtype=dtype)
        first = ops.convert_to_tensor(self._exponential, dtype=dtype)
        identity = ops.eye(self.order + 1, dtype=dtype)
        # relative to the first one, which is precise
        change = generator * (self._step / ratio - self._step)
        exponential = first @ matrix_exponential(change, identity, self._more_squarings)
        return exponential[: self.order, : self.order], exponential[: self.order, self.order]

    @lru_cache(maxsize=4)  # noqa: B019  (one object for each cell)
    def impulse_response(self, n_steps: int) -> np.ndarray:
        """The memory 1, 2, ... steps after an input of 1, (order, n_steps)."""
        return powers(self.a, self.b[:, None], n_steps, np.concatenate)[:, :, 0].T


def powers(a: Any, columns: Any, n_steps: int, concatenate: Any) -> Any:
    """``a^k columns`` for k = 0, 1, ...: (n_steps, order, n columns).

    The first ones by doubling, the others in blocks of about the square root of the number of
    steps: squaring ``a`` all the way would lose digits in float32.
    """
    block = columns[None]
    while block.shape[0] ** 2 < n_steps:
        block = concatenate([block, a @ block], axis=0)
        a = a @ a
    blocks = [block]
    while len(blocks) * block.shape[0] < n_steps:
        blocks.append(a @ blocks[-1])
    return concatenate(blocks, axis=0)[:n_steps]


@keras.saving.register_keras_serializable(package="nengo_dl")
class LegendreMemoryCell(Cell):
    """One step of `LegendreMemory`, for ``keras.layers.RNN``.

    Parameters
    ----------
    order, theta, dt, trainable_attributes
        As in `LegendreMemory`.
    channels : int, optional
        Size of the input, by default what it is.
    """

    state_names = ("memory",)

    def __init__(
        self,
        order: int,
        theta: float,
        dt: float = DEFAULT_DT,
        channels: int | None = None,
        trainable_attributes: Any = (),
        **kwargs: Any,
    ):
        if not isinstance(order, (int, np.integer)) or order < 1:
            raise ValueError(f"order was given {order!r}; expected a positive integer")
        if np.ndim(theta):
            raise ValueError(f"theta was given {theta!r}; expected one number for all channels")
        super().__init__(
            None if channels is None else channels * order,
            dt,
            (UnitAttribute("theta", theta),),
            trainable_attributes,
            **kwargs,
        )
        self.order, self.channels = int(order), channels
        self._discrete = Discretization(self.order, float(theta), float(dt))

    @property  # type: ignore[misc]
    def dt(self) -> float:  # cannot be changed: the matrices depend on it
        """Time step, in the unit of theta."""
        return self._given_dt

    def build(self, input_shape):
        if self.channels is None:
            self.channels = int(input_shape[-1])
            self.units = self.channels * self.order
        if int(input_shape[-1]) != self.channels:
            raise ValueError(
                f"{self.name} has {self.channels} channels, but its input has size "
                f"{input_shape[-1]}"
            )
        theta = self.attributes["theta"]
        theta.build(self, 1, "theta" in self.trainable_attributes)
        self.built = True

    def matrices(self) -> tuple[Any, Any]:
        """The discrete A and B as tensors."""
        theta = self.attributes["theta"]
        if theta.weight is not None:
            ratio = ops.exp(ops.cast(theta.weight, self.compute_dtype))
            return self._discrete.at(ratio, self.compute_dtype)
        return tuple(
            ops.convert_to_tensor(m, dtype=self.compute_dtype)
            for m in (self._discrete.a, self._discrete.b)
        )

    def step(self, inputs, states, training):
        a, b = self.matrices()
        memory = ops.reshape(states[0], (-1, self.channels, self.order))
        memory = memory @ ops.transpose(a) + inputs[:, :, None] * b
        memory = ops.reshape(memory, (-1, self.units))
        return memory, [memory]

    def all_steps(self, inputs, states, training, every, fresh):
        n_steps = inputs.shape[1]
        response = self._impulse_response(n_steps)
        x = ops.transpose(inputs, (0, 2, 1))
        if every:
            memory = causal_convolution(x[:, :, None], response[None, None])
            memory = ops.transpose(memory, (0, 3, 1, 2))  # batch, steps, channels, order
        else:
            memory = (x @ ops.transpose(ops.flip(response, axis=1)))[:, None]
        if not fresh:
            memory = memory + self._remembered(states[0], n_steps, every)
        memory = ops.reshape(memory, (-1, memory.shape[1], self.units))
        last = memory[:, -1]
        return (memory if every else last), [last]

    def _impulse_response(self, n_steps: int) -> Any:
        """(order, steps)"""
        if self.attributes["theta"].weight is None:
            response = self._discrete.impulse_response(n_steps)
            return ops.convert_to_tensor(response, dtype=self.compute_dtype)
        a, b = self.matrices()
        return ops.transpose(powers(a, b[:, None], n_steps, ops.concatenate)[:, :, 0])

    def _remembered(self, state: Any, n_steps: int, every: bool) -> Any:
        """What is left of the first state, (batch, steps or 1, channels, order)."""
        a, _ = self.matrices()
        columns = a @ ops.transpose(ops.reshape(state, (-1, self.order)))
        left = powers(a, columns, n_steps, ops.concatenate)
        left = left if every else left[-1:]
        left = ops.reshape(left, (left.shape[0], self.order, -1, self.channels))
        return ops.transpose(left, (2, 0, 3, 1))

    def get_config(self):
        config = {**super().get_config(), "order": self.order, "channels": self.channels}
        del config["units"]
        return config


@keras.saving.register_keras_serializable(package="nengo_dl")
class LegendreMemory(SequenceLayer):
    """Remembers the last ``theta`` seconds of its input as coefficients of Legendre polynomials.

    For inputs of shape (batch, steps, ...) with ``channels`` elements in each step the output is
    (batch, steps, channels * order): the ``order`` coefficients of the first channel, then those
    of the second, and so on.

    Parameters
    ----------
    order : int
        Number of coefficients.
    theta : float
        Length of the window that is remembered, in the unit of ``dt``: seconds, or with ``dt=1``
        steps.
    dt : float
        Length of a step.
    trainable_attributes : str or list of str
        ``"theta"`` for a window whose length is trained. Precise down to an eighth of its first
        length.
    return_sequences : bool
        Whether the output has every step, or only the last one, (batch, channels * order), which
        is the default, as in ``keras.layers.LSTM``.
    parallel : bool
        Whether to compute all steps at once, by FFT, or the last one as a matrix product.
    **kwargs
        ``return_state``, ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask`` and
        the arguments of every Keras layer.
    """

    def __init__(
        self,
        order: int,
        theta: float,
        dt: float = DEFAULT_DT,
        trainable_attributes: Any = (),
        return_sequences: bool = False,
        **kwargs: Any,
    ):
        cell = LegendreMemoryCell(
            order,
            theta,
            dt=dt,
            trainable_attributes=trainable_attributes,
            dtype=cell_dtype(kwargs),
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def _output_units(self, units):
        return (math.prod(units) * self.cell.order,)
