"""The Legendre memory unit: a Legendre memory and a hidden state that write to each other.

Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units", NeurIPS 32, equations 5 to 7.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nengo_dl.layers.base import SequenceLayer, cell_dtype
from nengo_dl.layers.legendre import LegendreMemoryCell


@keras.saving.register_keras_serializable(package="nengo_dl")
class LMUCell(keras.layers.Layer):
    """One step of `LMU`, for ``keras.layers.RNN``; it has the same arguments."""

    def __init__(
        self,
        units: int,
        order: int,
        theta: float,
        dt: Any = None,
        memory_channels: int = 1,
        activation: Any = "tanh",
        trainable_attributes: Any = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.memory_channels = int(units), int(memory_channels)
        self.activation = keras.activations.get(activation)
        self.memory = LegendreMemoryCell(
            order,
            theta,
            dt=dt,
            channels=self.memory_channels,
            trainable_attributes=trainable_attributes,
            dtype=self.dtype_policy,
            name="memory",
        )

    @property
    def state_size(self) -> list:
        """Sizes of the hidden state and of the memory."""
        return [self.units, self.memory.units]

    @property
    def output_size(self) -> int:
        """Size of the hidden state."""
        return self.units

    @property
    def dt(self) -> float:
        """Time step, in the unit of theta; it can be changed at any time."""
        return self.memory.dt

    @dt.setter
    def dt(self, value: float) -> None:
        self.memory.dt = value

    def attribute(self, name: str) -> Any:
        """The present value of theta."""
        return self.memory.attribute(name)

    def build(self, input_shape):
        """Make the weights for inputs of shape (batch, size)."""
        size, channels = int(input_shape[-1]), self.memory_channels
        self.memory.build((input_shape[0], channels))

        def weight(name, rows, columns, initializer):
            return self.add_weight(shape=(rows, columns), initializer=initializer, name=name)

        self.to_memory = [
            weight("input_to_memory", size, channels, "lecun_uniform"),
            weight("hidden_to_memory", self.units, channels, "lecun_uniform"),
            weight("memory_to_memory", self.memory.units, channels, "zeros"),
        ]
        self.to_hidden = [
            weight("input_to_hidden", size, self.units, "glorot_normal"),
            weight("hidden_to_hidden", self.units, self.units, "glorot_normal"),
            weight("memory_to_hidden", self.memory.units, self.units, "glorot_normal"),
        ]
        self.built = True

    def call(self, inputs, states, training=False):
        """One step: inputs of shape (batch, size) -> the hidden state, and the next state."""
        hidden, memory = states
        written = _sum_of_products((inputs, hidden, memory), self.to_memory)
        memory, _ = self.memory.step(written, [memory], training)
        hidden = self.activation(_sum_of_products((inputs, hidden, memory), self.to_hidden))
        return hidden, [hidden, memory]

    def all_steps(self, inputs, states, training, every, fresh):
        """There is no form for all steps at once: the hidden state writes to the memory."""
        return None

    def get_initial_state(self, batch_size=None):
        """The state before the first step: zeros."""
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in self.state_size]

    def get_config(self):
        """What makes an equal cell."""
        memory = self.memory.get_config()
        return {
            **super().get_config(),
            "units": self.units,
            "memory_channels": self.memory_channels,
            "activation": keras.activations.serialize(self.activation),
            **{name: memory[name] for name in ("order", "theta", "dt", "trainable_attributes")},
        }


def _sum_of_products(values, weights):
    products = [value @ weight for value, weight in zip(values, weights, strict=True)]
    return sum(products[1:], products[0])


@keras.saving.register_keras_serializable(package="nengo_dl")
class LMU(SequenceLayer):
    """The recurrent layer with a Legendre memory of Voelker et al., 2019.

    A linear combination of input, hidden state and memory is written to the memory; the hidden
    state is a nonlinear function of the three, and the output, (batch, steps, units).

    Where nothing but the input is written to the memory (Chilkuri and Eliasmith, 2021) all steps
    can be computed at once: use a Dense layer, `LegendreMemory` and another Dense layer.

    Parameters
    ----------
    units : int
        Size of the hidden state.
    order, theta, dt, trainable_attributes
        As in `LegendreMemory`.
    memory_channels : int
        Number of signals that are remembered.
    activation : str or callable
        Nonlinearity of the hidden state.
    return_sequences : bool
        Whether the output has every step, or only the last one (the default, as in
        ``keras.layers.LSTM``).
    **kwargs
        ``return_state``, ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask`` and
        the arguments of every Keras layer. The state is ``[hidden, memory]``.
    """

    def __init__(
        self,
        units: int,
        order: int,
        theta: float,
        dt: Any = None,
        memory_channels: int = 1,
        activation: Any = "tanh",
        trainable_attributes: Any = (),
        return_sequences: bool = False,
        **kwargs: Any,
    ):
        cell = LMUCell(
            units,
            order,
            theta,
            dt=dt,
            memory_channels=memory_channels,
            activation=activation,
            trainable_attributes=trainable_attributes,
            dtype=cell_dtype(kwargs),
        )
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def _output_units(self, units):
        return (self.cell.units,)

    def get_config(self):
        """What makes an equal layer."""
        return {**super().get_config(), "units": self.cell.units}
