"""Any activation function as spikes over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from nengo_dl.layers.arguments import cell_dtype, refuse_units
from nengo_dl.layers.cell import Cell
from nengo_dl.layers.context import step_context
from nengo_dl.layers.sequence_layer import SequenceLayer
from nengo_dl.lowering.neuron_types import regular_spiking


@keras.saving.register_keras_serializable(package="nengo_dl")
class SpikingActivationCell(Cell):
    """One step of `SpikingActivation`, for ``keras.layers.RNN``.

    Parameters
    ----------
    activation : str or callable
        Activation function, which returns firing rates in hertz.
    units : int, optional
        Number of units, by default that of the input.
    dt, spiking_aware_training, seed
        As in `SpikingActivation`.

    Examples
    --------
    >>> cell = nengo_dl.layers.SpikingActivationCell("relu", units=3)
    >>> keras.layers.RNN(cell, return_sequences=True)(np.ones((1, 2, 3))).shape == (1, 2, 3)
    True
    """

    state_names = ("voltage",)

    def __init__(
        self,
        activation: str | Callable,
        units: int | None = None,
        dt: Any = None,
        spiking_aware_training: bool = True,
        seed: int | None = 0,
        **kwargs: Any,
    ):
        if isinstance(units, str) or callable(units):  # size first, as in KerasSpiking
            activation, units = units, activation  # type: ignore[assignment]
        super().__init__(units, dt, **kwargs)
        self.activation = keras.activations.get(activation)
        self.spiking_aware_training = bool(spiking_aware_training)
        self.seed = seed
        self.initial_voltage = None

    def build(self, input_shape):
        super().build(input_shape)
        self.initial_voltage = self.add_weight(
            shape=(self.units,),
            initializer=keras.initializers.RandomUniform(0.0, 1.0, seed=self.seed),
            trainable=False,
            name="initial_voltage",
        )

    def get_initial_state(self, batch_size=None):
        voltage = ops.cast(self.initial_voltage, self.compute_dtype)
        return [ops.broadcast_to(voltage[None], (batch_size, self.units))]

    def step(self, inputs, states, training):
        rate = self.activation(inputs)
        if training and not self.spiking_aware_training:
            return rate, states
        context = step_context(self)
        spikes, voltage = regular_spiking(context, ops.stop_gradient(rate), states[0], 1.0)
        return _with_derivative_of(rate, spikes), [voltage]

    def all_steps(self, inputs, states, training, every, fresh):
        rate = self.activation(inputs)
        if training and not self.spiking_aware_training:
            return (rate if every else rate[:, -1]), states
        dt = self.dt_tensor()
        # what the voltage would be if no spike took anything off it
        total = states[0][:, None] + ops.cumsum(ops.stop_gradient(rate) * dt, axis=1)
        count = _whole(total)
        earlier = ops.concatenate([ops.zeros_like(count[:, :1]), count[:, :-1]], axis=1)
        spikes = _with_derivative_of(rate, (count - earlier) / dt)
        return (spikes if every else spikes[:, -1]), [total[:, -1] - count[:, -1]]

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "spiking_aware_training": self.spiking_aware_training,
            "seed": self.seed,
        }


def _whole(x):
    # on JAX, ops.floor of Keras gives float32 whatever it is given
    truncated = ops.trunc(x)
    return truncated - ops.cast(x < truncated, x.dtype)


def _with_derivative_of(rate, spikes):
    return ops.stop_gradient(spikes) + (rate - ops.stop_gradient(rate))


@keras.saving.register_keras_serializable(package="nengo_dl")
class SpikingActivation(SequenceLayer):
    """Turns an activation function into spikes over time.

    The activation function returns a rate in hertz, which a voltage integrates. Each time the
    voltage passes an integer, the unit emits a spike of height ``1 / dt``, so that the mean output
    is the activation. `nengo.RegularSpiking` works in the same way. In the backward pass, the
    derivative of the activation function is used.

    Inputs have shape (batch, steps, ...).

    Parameters
    ----------
    activation : str or callable
        Activation function, as in ``keras.layers.Activation``.
    dt : float or variable, optional
        Time step in seconds, by default ``nengo_dl.layers.default.dt``; see `Cell`. The longer it
        is, the better spikes approximate the rate: with ``dt = 1``, a rate of 0.7 gives a spike of
        height 1 in seven of ten steps.
    spiking_aware_training : bool
        Whether training uses spikes, with the derivative of the activation function. Otherwise it
        uses the activation itself.
    seed : int, optional
        Seed of the initial voltages, one for each unit, between 0 and 1. They are saved with the
        model. None: each new layer draws different voltages.
    parallel : bool
        Whether to compute all steps at once. Because the order of summation differs, a spike may
        rarely come a step earlier or later in float32 than with computation step by step.
    **kwargs
        ``return_sequences`` (True by default), ``return_state``, ``go_backwards``, ``stateful``,
        ``unroll``, ``zero_output_for_mask`` and the arguments of every Keras layer.

    Examples
    --------
    >>> spikes = nengo_dl.layers.SpikingActivation("relu", dt=0.1)
    >>> output = np.asarray(spikes(np.full((1, 10, 3), 5.0)))  # (batch, steps, units), 5 Hz
    >>> output.max().item(), output.mean().item()  # spikes of height 1 / dt; the mean is the rate
    (10.0, 5.0)
    """

    def __init__(
        self,
        activation: str | Callable,
        dt: Any = None,
        spiking_aware_training: bool = True,
        seed: int | None = 0,
        **kwargs: Any,
    ):
        if not (callable(activation) or isinstance(activation, (str, dict))):
            refuse_units(type(self).__name__, activation)
        cell = SpikingActivationCell(
            activation,
            dt=dt,
            spiking_aware_training=spiking_aware_training,
            seed=seed,
            dtype=cell_dtype(kwargs),
        )
        super().__init__(cell, **kwargs)
