"""Processes of Nodes that relate values to each other: softmax, and layer normalization."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo import Process
from nengo.params import BoolParam, NumberParam, ShapeParam, TupleParam


class Normalization(Process):
    """A function of an array, as the output of a Node.

    Parameters
    ----------
    shape : tuple of int
        Shape of the array, which is the Node's input in C order.
    axes : tuple of int
        Axes over which it is normalized.
    on_mean : bool
        Whether the output is the function of the average input so far, which is what spikes that
        come in say.
    as_rate : bool
        With ``on_mean``: whether it is the average output so far that is the function of that.
    """

    shape = ShapeParam("shape")
    axes = TupleParam("axes")
    on_mean = BoolParam("on_mean")
    as_rate = BoolParam("as_rate")

    def __init__(
        self,
        shape: tuple[int, ...],
        axes: tuple[int, ...],
        on_mean: bool = False,
        as_rate: bool = False,
    ):
        size = int(np.prod(shape))
        super().__init__(default_size_in=size, default_size_out=size)
        self.shape, self.on_mean, self.as_rate = tuple(shape), on_mean, as_rate
        self.axes = tuple(axis % len(shape) for axis in axes)

    def arguments(self) -> dict[str, Any]:
        """What makes an equal process."""
        names = ("shape", "axes", "on_mean", "as_rate")
        return {name: getattr(self, name) for name in names}

    def of_mean(self, as_rate: bool = False) -> Normalization:
        """The same process with ``on_mean=True``."""
        return type(self)(**{**self.arguments(), "on_mean": True, "as_rate": as_rate})

    def function(self, xp: Any, x: Any) -> Any:
        """The function of an array (batch, size).

        Parameters
        ----------
        xp
            What computes: ``numpy`` or ``keras.ops``.
        x
            The array.
        """
        array = xp.reshape(x, (-1, *self.shape))
        return xp.reshape(
            self.of_array(xp, array, tuple(a + 1 for a in self.axes)),
            (-1, int(np.prod(self.shape))),
        )

    def of_array(self, xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
        """The function of an array (batch, *shape) along some of its axes."""
        raise NotImplementedError

    def advance(self, xp: Any, x: Any, total: Any, n_inputs: Any, charge: Any) -> tuple:
        """A step with ``on_mean``: the output, and the new state."""
        total, n_inputs = total + x, n_inputs + 1.0
        value = self.function(xp, total / n_inputs)
        new = n_inputs * value
        return new - charge if self.as_rate else value, total, n_inputs, new

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        """Sum of the inputs, their number, sum of the outputs."""
        if not self.on_mean:
            return {}
        size = {"total": shape_in, "n_inputs": (1,), "charge": shape_out}
        return {name: np.zeros(shape, dtype=dtype) for name, shape in size.items()}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """The function of a step, for nengo.Simulator."""
        if not self.on_mean:
            return lambda t, x: self.function(np, x[None])[0]

        def step(t, x):
            output, *new = self.advance(np, x[None], *(value[None] for value in state.values()))
            for value, array in zip(state.values(), new, strict=True):
                value[...] = array[0]
            return output[0]

        return step


class Softmax(Normalization):
    """``exp(x)`` divided by its sum along axes.

    See `Normalization` for the parameters.

    Examples
    --------
    >>> from nengo_dl.normalizations import Softmax
    >>> with nengo.Network():
    ...     node = nengo.Node(Softmax((10,), (-1,)), size_in=10)
    """

    def of_array(self, xp, x, axes):
        """See `Normalization`."""
        powers = xp.exp(x - xp.max(x, axis=axes, keepdims=True))
        return powers / xp.sum(powers, axis=axes, keepdims=True)


class LayerNorm(Normalization):
    """``(x - mean) / sqrt(variance + epsilon)``, with mean and variance over axes.

    From Ba, Kiros and Hinton, 2016, "Layer normalization" (https://arxiv.org/abs/1607.06450),
    without its gains and biases. See `Normalization` for the other parameters.

    Parameters
    ----------
    epsilon : float
        Added to the variance.
    """

    epsilon = NumberParam("epsilon", low=0)

    def __init__(
        self,
        shape: tuple[int, ...],
        axes: tuple[int, ...],
        on_mean: bool = False,
        as_rate: bool = False,
        epsilon: float = 1e-3,
    ):
        super().__init__(shape, axes, on_mean, as_rate)
        self.epsilon = epsilon

    def arguments(self) -> dict[str, Any]:
        """See `Normalization`."""
        return {**super().arguments(), "epsilon": self.epsilon}

    def of_array(self, xp, x, axes):
        """See `Normalization`."""
        # on JAX, mean and sqrt of Keras give float32 whatever they are given
        n = float(np.prod([self.shape[axis] for axis in self.axes]))
        centred = x - xp.sum(x, axis=axes, keepdims=True) / n
        variance = xp.sum(centred * centred, axis=axes, keepdims=True) / n
        return centred / (variance + self.epsilon) ** 0.5
