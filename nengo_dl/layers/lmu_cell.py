"""The Legendre memory unit: a Legendre memory, and a hidden component that reads it.

Voelker, Kajic and Eliasmith, 2019, "Legendre Memory Units", NeurIPS 32, equations 5 to 7; where
nothing is written back to the memory, Chilkuri and Eliasmith, 2021, "Parallelizing Legendre Memory
Unit training", ICML.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nengo_dl.layers.legendre import LegendreMemoryCell
from nengo_dl.layers.lmu_arguments import (
    PAPER,
    check_given,
    first_given,
    hidden_component,
    initializers,
    ones,
    stacked,
)
from nengo_dl.tensor_node.signatures import takes_training

#: by this class ``keras.layers.RNN`` knows a cell whose masks it makes before the first step
DropoutRNNCell: Any = next(
    cls for cls in keras.layers.SimpleRNNCell.__mro__ if "get_dropout_mask" in vars(cls)
)


@keras.saving.register_keras_serializable(package="nengo_dl")
class LMUCell(keras.layers.Layer, DropoutRNNCell):
    """One step of `LMU`, for ``keras.layers.RNN``; it has the same arguments.

    Its state is ``[memory, *hidden states]``. For ``hidden_cell=None`` with ``input_to_hidden``,
    ``input_d``, the size of the input, is required if the cell is used in a ``keras.layers.RNN``.
    """

    def __init__(
        self,
        units: int | None = None,
        order: int | None = None,
        theta: float | None = None,
        dt: Any = None,
        memory_channels: int = 1,
        activation: Any = "tanh",
        trainable_attributes: Any = (),
        *,
        memory_d: int | None = None,
        hidden_cell: Any = PAPER,
        trainable_theta: bool = False,
        hidden_to_memory: bool | None = None,
        memory_to_memory: bool | None = None,
        input_to_hidden: bool | None = None,
        discretizer: str = "zoh",
        kernel_initializer: Any = PAPER,
        recurrent_initializer: Any = PAPER,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        use_bias: bool = False,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        conv_mode: str = "fft",
        truncate_ir: float | None = None,
        input_d: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(dt, keras.layers.Layer):  # the fourth argument, as in KerasLMU
            hidden_cell, dt = dt, None
        #: whether the first argument was the size of the paper's hidden component
        self.of_paper = isinstance(hidden_cell, str) and hidden_cell == PAPER
        first = memory_d if memory_d is not None else units
        check_given(self.of_paper, units, memory_d, first, order, theta)
        self.units = units if self.of_paper else None
        self.activation = keras.activations.get(activation)
        self.memory_d = memory_channels if self.of_paper else int(first)  # type: ignore[arg-type]
        self.hidden_to_memory = first_given(hidden_to_memory, self.of_paper)
        self.memory_to_memory = first_given(memory_to_memory, self.of_paper)
        self.input_to_hidden = first_given(input_to_hidden, self.of_paper)
        self.input_d, self.use_bias, self.seed = input_d, bool(use_bias), seed
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.kernel_initializer, self.recurrent_initializer = initializers(
            self.of_paper, kernel_initializer, recurrent_initializer
        )
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.memory = LegendreMemoryCell(
            order,  # type: ignore[arg-type]
            theta,  # type: ignore[arg-type]
            dt=1.0 if dt is None and not self.of_paper else dt,
            channels=self.memory_d,
            trainable_attributes="theta" if trainable_theta else trainable_attributes,
            discretizer=discretizer,
            conv_mode=conv_mode,
            truncate_ir=truncate_ir,
            dtype=self.dtype_policy,
            name="memory",
        )
        self.hidden_cell = hidden_component(
            hidden_cell, self.of_paper, units, self.activation, self.dtype_policy
        )
        if self.hidden_cell is None and self.hidden_to_memory:
            raise ValueError("hidden_to_memory=True needs a hidden_cell that writes to the memory")

    # -- sizes -------------------------------------------------------------------------------------

    @property
    def state_size(self) -> list:
        """Sizes of the memory and of the hidden states."""
        return [self.memory.units, *keras.tree.flatten(self._hidden_state_size())]

    def _hidden_state_size(self) -> Any:
        if self._is_recurrent():
            return self.hidden_cell.state_size
        return [self.output_size] if self.hidden_to_memory else []

    def _is_recurrent(self) -> bool:
        return hasattr(self.hidden_cell, "state_size")

    @property
    def output_size(self) -> int:
        """Size of the output of the hidden component, or of what it would get."""
        if self._is_recurrent():
            return self.hidden_cell.output_size
        size = self._read_size()
        if self.hidden_cell is None:
            return size
        return int(self.hidden_cell.compute_output_shape((None, size))[-1])

    def _read_size(self) -> int:
        """Size of what the hidden component gets."""
        memory: int = self.memory.units  # type: ignore[assignment]
        return memory + (self._known_input() if self.input_to_hidden else 0)

    def _known_input(self) -> int:
        if self.input_d is None:
            raise ValueError(
                f"{self.name} does not know the size of its input yet, which its hidden component "
                "needs; give it as input_d"
            )
        return self.input_d

    # -- hyperparameters ---------------------------------------------------------------------------

    @property
    def dt(self) -> float:
        """Time step, in the unit of theta; it can be changed at any time."""
        return self.memory.dt

    @dt.setter
    def dt(self, value: float) -> None:
        self.memory.dt = value

    def attribute(self, name: str) -> Any:
        """The current value of theta."""
        return self.memory.attribute(name)

    # -- weights -----------------------------------------------------------------------------------

    def build(self, input_shape):
        """Make the weights for inputs of shape (batch, size)."""
        batch, size = input_shape[0], int(input_shape[-1])
        self.input_d, units, memory_d = size, self.memory.units, self.memory_d
        self.memory.build((batch, memory_d))
        if self.hidden_cell is not None and not self.hidden_cell.built:
            rows = [units, size] if self.input_to_hidden else [units]
            if self.of_paper:
                self.hidden_cell.kernel_initializer = stacked("glorot_normal", rows)
            self.hidden_cell.build((batch, sum(rows)))
            self.hidden_cell.built = True
        rows = [size, self.output_size] if self.hidden_to_memory else [size]
        self.kernel = self.recurrent_kernel = self.bias = None
        if self.kernel_initializer is not None:
            paper = self.kernel_initializer == PAPER
            self.kernel = self.add_weight(
                shape=(sum(rows), memory_d),
                initializer=stacked("lecun_uniform", rows) if paper else self.kernel_initializer,
                regularizer=self.kernel_regularizer,
                name="kernel",
            )
        elif sum(rows) != memory_d:
            raise ValueError(
                f"with kernel_initializer=None, the memory has no input weights, so its input of "
                f"size {sum(rows)} requires memory_d={sum(rows)}; got {memory_d}"
            )
        if self.memory_to_memory:
            self.recurrent_kernel = self.add_weight(
                shape=(units, memory_d),
                initializer=self.recurrent_initializer,
                regularizer=self.recurrent_regularizer,
                name="recurrent_kernel",
            )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(memory_d,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                name="bias",
            )
        self.built = True

    # -- one step, and all of them -----------------------------------------------------------------

    def call(self, inputs, states, training=False):
        """One step: inputs of shape (batch, size) -> the output, and the next state."""
        memory, *hidden = states
        written = ops.concatenate([inputs, hidden[0]], axis=-1) if self.hidden_to_memory else inputs
        written = self._written(written, memory, training)
        memory, _ = self.memory.step(written, [memory], training)
        read = ops.concatenate([memory, inputs], axis=-1) if self.input_to_hidden else memory
        if not self._is_recurrent():
            output = self._hidden(read, training)
            return output, [memory, output] if self.hidden_to_memory else [memory]
        hidden = keras.tree.pack_sequence_as(self.hidden_cell.state_size, hidden)
        output, hidden = self._call_hidden(read, hidden, training=training)
        return self._cast(output), [memory, *map(self._cast, keras.tree.flatten(hidden))]

    def _written(self, values: Any, memory: Any, training: Any) -> Any:
        """What is written to the memory, (..., memory_d), of values (..., size)."""
        if training and self.dropout:
            mask = self.get_dropout_mask(values)
            values = values * (mask if len(values.shape) == 2 else mask[:, None])
        if self.kernel is not None:
            values = values @ ops.cast(self.kernel, values.dtype)
        if self.recurrent_kernel is not None:
            if training and self.recurrent_dropout:
                memory = memory * self.get_recurrent_dropout_mask(memory)
            values = values + memory @ ops.cast(self.recurrent_kernel, values.dtype)
        return values if self.bias is None else values + ops.cast(self.bias, values.dtype)

    def _hidden(self, read: Any, training: Any) -> Any:
        """The output of a hidden component without a state."""
        if self.hidden_cell is None:
            return read
        return self._cast(self._call_hidden(read, training=training))

    def _call_hidden(self, *args: Any, training: Any) -> Any:
        takes = takes_training(self.hidden_cell)
        return self.hidden_cell(*args, **({"training": training} if takes else {}))

    def _cast(self, x: Any) -> Any:
        return ops.cast(x, self.compute_dtype)

    def all_steps(self, inputs, states, training, every, fresh):
        """All steps at once, where nothing is written back to the memory; see `Cell.all_steps`."""
        if self.hidden_to_memory or self.memory_to_memory:
            return None
        memory, *hidden = states
        recurrent = self._is_recurrent()
        written = self._written(inputs, memory, training)
        all_read = every or recurrent
        found, (memory,) = self.memory.all_steps(written, [memory], training, all_read, fresh)
        if self.input_to_hidden:
            found = ops.concatenate([found, inputs if all_read else inputs[:, -1]], axis=-1)
        if recurrent:
            rnn = keras.layers.RNN(self.hidden_cell, return_sequences=every, return_state=True)
            hidden = keras.tree.pack_sequence_as(self.hidden_cell.state_size, hidden)
            output, *hidden = rnn.call(found, initial_state=hidden, training=training)
            return output, [memory, *map(self._cast, keras.tree.flatten(hidden))]
        if not every:
            return self._hidden(found, training), [memory]
        steps = found.shape[1]
        output = self._hidden(ops.reshape(found, (-1, found.shape[-1])), training)
        return ops.reshape(output, (-1, steps, output.shape[-1])), [memory]

    def get_initial_state(self, batch_size=None):
        """The state before the first step: zeros, or what the hidden cell begins with."""
        zeros = [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in self.state_size]
        if not hasattr(self.hidden_cell, "get_initial_state"):
            return zeros
        hidden = keras.tree.flatten(self.hidden_cell.get_initial_state(batch_size=batch_size))
        return [zeros[0], *map(self._cast, hidden)]

    # -- dropout: masks that are the same in all steps, which Keras asks for before the first one --

    def get_dropout_mask(self, step_input):
        """The mask of what is written to the memory, (batch, size)."""
        size = self._known_input() + (self.output_size if self.hidden_to_memory else 0)
        return super().get_dropout_mask(ones(step_input, size))

    def get_recurrent_dropout_mask(self, step_input):
        """The mask of the memory, (batch, memory_d * order); those of the hidden cell are made."""
        if isinstance(self.hidden_cell, DropoutRNNCell):
            size = self._read_size()
            state = keras.tree.flatten(self.hidden_cell.state_size)[0]
            self.hidden_cell.get_dropout_mask(ones(step_input, size))
            self.hidden_cell.get_recurrent_dropout_mask(ones(step_input, state))
        return super().get_recurrent_dropout_mask(ones(step_input, self.memory.units))

    def reset_dropout_mask(self):
        """Forget the masks of the last sequences."""
        super().reset_dropout_mask()
        if isinstance(self.hidden_cell, DropoutRNNCell):
            self.hidden_cell.reset_dropout_mask()
            self.hidden_cell.reset_recurrent_dropout_mask()

    # -- files -------------------------------------------------------------------------------------

    def get_config(self):
        """The configuration of the cell, for saving and copying."""
        memory = self.memory.get_config()
        names = (
            *("hidden_to_memory", "memory_to_memory", "input_to_hidden", "use_bias"),
            *("dropout", "recurrent_dropout", "input_d", "seed"),
        )
        shared = ("order", "theta", "dt", "trainable_attributes", "discretizer")
        config = {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            **{name: memory[name] for name in (*shared, "conv_mode", "truncate_ir")},
        }
        for name in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
            value = getattr(self, name)
            is_name = value is None or isinstance(value, str)
            config[name] = value if is_name else keras.initializers.serialize(value)
        for name in ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer"):
            config[name] = keras.regularizers.serialize(getattr(self, name))
        if self.of_paper:
            activation = keras.activations.serialize(self.activation)
            return {
                **config,
                "units": self.units,
                "memory_channels": self.memory_d,
                "activation": activation,
            }
        cell = self.hidden_cell
        serialized = None if cell is None else keras.saving.serialize_keras_object(cell)
        return {**config, "memory_d": self.memory_d, "hidden_cell": serialized}
