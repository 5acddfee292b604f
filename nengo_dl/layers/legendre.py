"""The Legendre memory: its matrices, a cell and a layer.

Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units: Continuous-time representation in
recurrent neural networks", NeurIPS 32. That all steps can be computed at once: Chilkuri and
Eliasmith, 2021, "Parallelizing Legendre Memory Unit training", ICML (arXiv:2102.11417).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.arguments import cell_dtype
from nengo_dl.layers.attributes import UnitAttribute
from nengo_dl.layers.cell import Cell
from nengo_dl.layers.convolution import causal_convolution, explicit_convolution
from nengo_dl.layers.legendre_matrices import (
    Discretization,
    legendre_generator,
    matrix_exponential,
    powers,
    shortened,
)
from nengo_dl.layers.sequence_layer import SequenceLayer

#: how many times shorter than at first a trained window may become without loss of precision
SHORTEST = 8


@keras.saving.register_keras_serializable(package="nengo_dl")
class LegendreMemoryCell(Cell):
    """One step of `LegendreMemory`, for ``keras.layers.RNN``.

    Parameters
    ----------
    order, theta, dt, trainable_attributes, discretizer
        As in `LegendreMemory`.
    channels : int, optional
        Size of the input; by default it is inferred.
    conv_mode, truncate_ir
        As in `LMUFeedforward`.
    """

    state_names = ("memory",)

    def __init__(
        self,
        order: int,
        theta: float,
        dt: Any = None,
        channels: int | None = None,
        trainable_attributes: Any = (),
        discretizer: str = "zoh",
        conv_mode: str = "fft",
        truncate_ir: float | None = None,
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
        _check_choice("discretizer", discretizer, ("zoh", "euler"))
        _check_choice("conv_mode", conv_mode, ("fft", "raw"))
        if truncate_ir is not None and (conv_mode != "raw" or self.trainable_attributes):
            raise ValueError(
                f"truncate_ir was given {truncate_ir!r}; it needs conv_mode='raw' and a theta that "
                "is not trained"
            )
        if self._dt is not None:
            raise ValueError(
                f"dt was given {dt!r}, but the matrices of a memory are computed when dt is set; "
                "give a number, and set it with layer.dt = ..."
            )
        self.order, self.channels = int(order), channels
        self.discretizer, self.conv_mode, self.truncate_ir = discretizer, conv_mode, truncate_ir
        #: length of the sequences of which all steps are computed at once, where it is known
        self.n_steps: int | None = None
        self._derived: dict[str, keras.Variable] = {}

    def build(self, input_shape):
        if self.channels is None:
            self.channels = int(input_shape[-1])
            self.units = self.channels * self.order
        if int(input_shape[-1]) != self.channels:
            raise ValueError(
                f"{self.name} has {self.channels} channels, but its input has size "
                f"{input_shape[-1]}"
            )
        trained = "theta" in self.trainable_attributes
        self.attributes["theta"].build(self, 1, trained)
        discrete = self._discretize(self.dt)
        self._largest_dt = self.dt if trained else math.inf
        self._squarings = discrete.squarings + int(math.log2(SHORTEST))
        self._derived = {
            name: self.add_weight(
                shape=np.shape(value),
                initializer=partial(_constant, value),
                trainable=False,
                name=name,
            )
            for name, value in self._computed_ahead(discrete).items()
        }
        self.built = True

    # -- what follows from dt ----------------------------------------------------------------------

    def update_dt(self, dt):
        if dt > self._largest_dt:
            raise ValueError(
                f"dt was given {dt!r}, but {self.name}, whose theta is trained, was built with "
                f"{self._largest_dt!r}, and its steps can only become shorter. Create the layer "
                "with the longest step"
            )
        for name, value in self._computed_ahead(self._discretize(dt)).items():
            self._derived[name].assign(value)

    def _discretize(self, dt: float) -> Discretization:
        theta = float(self.attributes["theta"].initial)
        return Discretization(self.order, theta, dt, self.discretizer)

    def _computed_ahead(self, discrete: Discretization) -> dict[str, Any]:
        """What the computation needs, in double precision; theta is the first one."""
        if "theta" in self.trainable_attributes:
            return {"step": discrete.step, "exponential": discrete.exponential}
        values = {"a": discrete.a, "b": discrete.b}
        if self.n_steps is not None:
            response = discrete.impulse_response(self.n_steps)
            values["response"] = shortened(response, self.truncate_ir)
        return values

    @property
    def weights(self) -> list:
        """Variables without those that follow from ``dt``.

        These are variables only because compiled functions take up everything else for good.
        """
        derived = {id(variable) for variable in self._derived.values()}
        return [weight for weight in super().weights if id(weight) not in derived]

    def save_own_variables(self, store):
        """Put dt, and the weights, into a file."""
        store["dt"] = np.array(self.dt)
        for i, weight in enumerate(self.weights):
            store[str(i)] = weight

    def load_own_variables(self, store):
        """Take dt, and the weights, from a file."""
        for i, weight in enumerate(self.weights):
            weight.assign(store[str(i)])
        self.dt = float(np.asarray(store["dt"]))

    def _value_of(self, name: str) -> Any:
        return ops.cast(self._derived[name], self.compute_dtype)

    # -- one step, and all of them -----------------------------------------------------------------

    def matrices(self) -> tuple[Any, Any]:
        """The discrete A and B as tensors."""
        weight = self.attributes["theta"].weight
        if weight is None:
            return self._value_of("a"), self._value_of("b")
        n, dtype = self.order, self.compute_dtype
        generator = ops.convert_to_tensor(legendre_generator(n), dtype=dtype)
        if self.discretizer == "euler":
            step = self._value_of("step") * ops.exp(-ops.cast(weight, dtype))
            generator = generator * step
            return ops.eye(n, dtype=dtype) + generator[:n, :n], generator[:n, n]
        # relative to the first theta, for which the exponential is precise
        change = generator * self._value_of("step") * ops.expm1(-ops.cast(weight, dtype))
        exponential = self._value_of("exponential") @ matrix_exponential(
            change, ops.eye(n + 1, dtype=dtype), self._squarings
        )
        return exponential[:n, :n], exponential[:n, n]

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
        if every and self.conv_mode == "raw":
            memory = explicit_convolution(inputs, response)
        elif every:
            memory = causal_convolution(x[:, :, None], response[None, None])
            memory = ops.transpose(memory, (0, 3, 1, 2))  # batch, steps, channels, order
        else:
            x = x[:, :, n_steps - response.shape[1] :]
            memory = (x @ ops.transpose(ops.flip(response, axis=1)))[:, None]
        if not fresh:
            memory = memory + self._remembered(states[0], n_steps, every)
        memory = ops.reshape(memory, (-1, memory.shape[1], self.units))
        last = memory[:, -1]
        return (memory if every else last), [last]

    def _impulse_response(self, n_steps: int) -> Any:
        """(order, steps)"""
        known = self._derived.get("response")
        if known is not None and n_steps <= (self.n_steps or 0):
            return self._value_of("response")[:, :n_steps]
        a, b = self.matrices()
        return powers(a, b[:, None], n_steps, ops)[:, :, 0]

    def _remembered(self, state: Any, n_steps: int, every: bool) -> Any:
        """What is left of the first state, (batch, steps or 1, channels, order)."""
        a, _ = self.matrices()
        columns = a @ ops.transpose(ops.reshape(state, (-1, self.order)))
        left = powers(a, columns, n_steps, ops)
        left = left if every else left[:, -1:]
        left = ops.reshape(left, (self.order, left.shape[1], -1, self.channels))
        return ops.transpose(left, (2, 1, 3, 0))

    def get_config(self):
        names = ("order", "channels", "discretizer", "conv_mode", "truncate_ir")
        config = {**super().get_config(), **{name: getattr(self, name) for name in names}}
        del config["units"]
        return config


def _check_choice(name: str, given: Any, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ValueError(f"{name} was given {given!r}; expected one of {', '.join(allowed)}")


def _constant(value, shape, dtype=None):
    return ops.convert_to_tensor(value, dtype=dtype)


@keras.saving.register_keras_serializable(package="nengo_dl")
class LegendreMemory(SequenceLayer):
    """Represents the last ``theta`` seconds of its input by coefficients of Legendre polynomials.

    For inputs of shape (batch, steps, ...) with ``channels`` elements in each step, the output has
    the shape (batch, steps, channels * order): the ``order`` coefficients of the first channel,
    then those of the second, and so on.

    Parameters
    ----------
    order : int
        Number of coefficients.
    theta : float
        Length of the window, in the unit of ``dt``: seconds, or steps with ``dt=1``.
    dt : float
        Length of a step. It can be changed at any time, even while a model is trained; if theta is
        trained, it must not exceed its initial value.
    trainable_attributes : str or list of str
        ``"theta"`` to train the length of the window. The memory is precise down to an eighth of
        the initial length.
    discretizer : {"zoh", "euler"}
        How the memory's differential equation is discretized: "zoh" is exact if the input is
        constant during each step; "euler" uses Euler's method, which requires a theta of at least
        about ``order**2`` steps.
    return_sequences : bool
        Whether to return every step, or only the last one, of shape (batch, channels * order). The
        latter is the default, as in ``keras.layers.LSTM``.
    conv_mode, truncate_ir
        As in `LMUFeedforward`.
    parallel : bool
        Whether to compute all steps at once by FFT, or the last step as a matrix product, instead
        of step by step.
    **kwargs
        ``return_state``, ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask`` and
        the arguments of every Keras layer.

    Examples
    --------
    >>> memory = nengo_dl.layers.LegendreMemory(order=6, theta=100, dt=1)
    >>> memory(np.ones((1, 20, 2))).shape == (1, 2 * 6)
    True
    """

    def __init__(
        self,
        order: int,
        theta: float,
        dt: Any = None,
        trainable_attributes: Any = (),
        return_sequences: bool = False,
        discretizer: str = "zoh",
        conv_mode: str = "fft",
        truncate_ir: float | None = None,
        **kwargs: Any,
    ):
        cell = LegendreMemoryCell(
            order,
            theta,
            dt=dt,
            trainable_attributes=trainable_attributes,
            discretizer=discretizer,
            conv_mode=conv_mode,
            truncate_ir=truncate_ir,
            dtype=cell_dtype(kwargs),
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def build(self, sequences_shape, initial_state_shape=None):
        """Make the cell for sequences of this shape."""
        if self.parallel:
            self.cell.n_steps = self.batch_major(sequences_shape)[1]
        super().build(sequences_shape, initial_state_shape)

    def _output_units(self, units):
        return (math.prod(units) * self.cell.order,)
