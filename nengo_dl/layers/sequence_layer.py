"""What all layers of this package that have a cell have in common."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.arguments import refuse_units
from nengo_dl.layers.cell import Cell
from nengo_dl.runtime.checks import integer


class _Truncated:
    """A cell whose state passes no gradient on after every ``steps`` steps.

    The last part of its state, (batch, 1), counts them.
    """

    def __init__(self, cell: Any, steps: int, training: bool):
        self.cell, self.steps, self.training = cell, steps, training
        self.state_size = [*cell.state_size, 1]

    def call(self, inputs, states):
        *states, count = states
        cut = count >= self.steps
        states = [ops.where(cut, ops.stop_gradient(state), state) for state in states]
        output, states = self.cell(inputs, states, training=self.training)
        return output, [*states, ops.where(cut, 0.0, count) + 1.0]

    __call__ = call


@keras.saving.register_keras_serializable(package="nengo_dl")
class SequenceLayer(keras.layers.RNN):
    """A layer that runs a cell through sequences step by step, or computes all steps at once.

    Inputs have shape (batch, steps, ...); all axes after the second are units. The state has the
    precision of the variables, even with mixed precision. This is the base class of the layers in
    this package, and it can run custom cells; see `Cell`.

    Parameters
    ----------
    cell : Cell
        The cell that computes a step.
    return_sequences : bool
        Whether to return every step, or only the last one.
    parallel : bool
        Whether to compute all steps at once if possible. It is not possible with a mask, or if the
        number of steps is unknown.
    time_major : bool
        Whether inputs, masks and outputs are (steps, batch, ...) instead of (batch, steps, ...).
    truncate : int, optional
        Gradients of the state stop each time this many steps have passed, as in truncated
        backpropagation through time; by default they go back to the first step. Steps are then
        computed one by one.
    **kwargs
        ``return_state``, ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask`` and
        the arguments of every Keras layer.
    """

    def __init__(
        self,
        cell: Cell,
        return_sequences: bool = True,
        parallel: bool = True,
        time_major: bool = False,
        truncate: int | None = None,
        **kwargs,
    ):
        refuse_units(type(self).__name__, kwargs.pop("units", None))
        super().__init__(cell, return_sequences=return_sequences, **kwargs)
        self.parallel, self.time_major = parallel, bool(time_major)
        if truncate is not None and (integer(truncate) or 0) < 1:
            raise ValueError(f"truncate was given {truncate!r}; expected a number of steps or None")
        self.truncate = truncate

    @property
    def dt(self) -> float:
        """Time step in seconds; it can be changed at any time."""
        return self.cell.dt

    @dt.setter
    def dt(self, value: float) -> None:
        self.cell.dt = value

    def attribute(self, name: str) -> np.ndarray:
        """The current value of an attribute: one number, or one number per unit.

        The value is in the attribute's own unit, e.g. seconds: ``layer.attribute("tau")``.
        """
        return self.cell.attribute(name)

    def build(self, sequences_shape, initial_state_shape=None):
        """Make the cell for sequences of this shape."""
        super().build(_flat_shape(self.batch_major(sequences_shape)))
        self.state_size = list(self.cell.state_size)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        """Shape of the output, followed by those of the state with ``return_state``."""
        batch, length = self.batch_major(sequences_shape)[:2]
        units = self._output_units(tuple(sequences_shape[2:]))
        shape = (batch, *units)
        if self.return_sequences:
            shape = self.batch_major((batch, length, *units))
        if not self.return_state:
            return shape
        sizes = self.cell.state_size if self.cell.built else self.state_size
        return shape, *((batch, size) for size in sizes)

    def batch_major(self, shape: Any) -> tuple:
        """The shape of sequences with the batch first, of that of an input; and the other way."""
        return (shape[1], shape[0], *shape[2:]) if self.time_major else tuple(shape)

    def _output_units(self, units: tuple[int, ...]) -> tuple[int, ...]:
        return units

    def reset_state(self):
        """Restore the initial state of a ``stateful`` layer."""
        if self.states is not None:
            first = self.get_initial_state(int(self.states[0].shape[0]))
            for variable, value in zip(self.states, first, strict=True):
                variable.assign(value)

    def reset_states(self, states=None):
        """Set a ``stateful`` layer to its initial state, or to a given state.

        Parameters
        ----------
        states : array_like or list of array_like, optional
            One array for each part of the state, of shape (batch, ...) or broadcastable to it; by
            default the initial state.

        Raises
        ------
        ValueError
            If the number or the shapes of the arrays are wrong, or if the layer is not stateful.
        """
        if states is None:
            self.reset_state()
            return
        if self.states is None:
            raise ValueError(
                f"{self.name} has no state to set: make it with stateful=True and call it, or pass "
                "initial_state in the call"
            )
        given = list(states) if isinstance(states, (list, tuple)) else [states]
        if len(given) != len(self.states):
            raise ValueError(
                f"{self.name} was given {len(given)} states; expected {len(self.states)}"
            )
        for variable, value in zip(self.states, given, strict=True):
            array, shape = np.asarray(ops.convert_to_numpy(value)), tuple(variable.shape)
            if array.size == math.prod(shape):
                array = array.reshape(shape)
            try:
                variable.assign(np.broadcast_to(array, shape))
            except ValueError as error:
                raise ValueError(
                    f"{self.name} was given a state of shape {array.shape}; expected {shape}"
                ) from error

    def call(self, sequences, initial_state=None, mask=None, training=False):
        """Run through sequences of shape (batch, steps, ...)."""
        if self.time_major:
            sequences = ops.swapaxes(sequences, 0, 1)
            mask = None if mask is None else ops.swapaxes(mask, 0, 1)
        units = tuple(sequences.shape[2:])
        batch, length = ops.shape(sequences)[0], sequences.shape[1]
        if self.unroll and length is None:
            raise ValueError("unroll needs a known number of steps; give it in the Input")
        x = ops.reshape(sequences, (batch, ops.shape(sequences)[1], math.prod(units)))
        x = ops.cast(x, self.cell.compute_dtype)
        fresh = initial_state is None and not self.stateful
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
        if not isinstance(initial_state, (list, tuple)):
            initial_state = [initial_state]
        states = [ops.cast(state, self.cell.compute_dtype) for state in initial_state]
        masks = self.cell if hasattr(self.cell, "get_dropout_mask") else None
        if training and masks is not None:
            masks.get_dropout_mask(x[:, 0])
            masks.get_recurrent_dropout_mask(states[0])
        found = None
        at_once = self.parallel and self.truncate is None and not self.unroll
        if at_once and mask is None and length is not None:
            x_in_order = ops.flip(x, axis=1) if self.go_backwards else x
            found = self.cell.all_steps(
                x_in_order, states, bool(training), self.return_sequences, fresh
            )
        if found is None:
            last, outputs, states = self.inner_loop(x, states, mask=mask, training=training)
            found = (outputs if self.return_sequences else last), states
        if masks is not None:
            masks.reset_dropout_mask()
            masks.reset_recurrent_dropout_mask()
        output, states = found
        if self.stateful:
            for variable, state in zip(self.states, states, strict=True):
                variable.assign(ops.cast(state, variable.dtype))
        before = (batch, ops.shape(sequences)[1]) if self.return_sequences else (batch,)
        output = ops.reshape(output, (*before, *self._output_units(units)))
        output = ops.cast(output, self.compute_dtype)
        if self.time_major and self.return_sequences:
            output = ops.swapaxes(output, 0, 1)
        return (output, *states) if self.return_state else output

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """Step through sequences of shape (batch, steps, units)."""
        if self.truncate is None:
            return super().inner_loop(sequences, initial_state, mask, training=training)
        loop = keras.layers.RNN(
            _Truncated(self.cell, self.truncate, training),
            return_sequences=self.return_sequences,
            go_backwards=self.go_backwards,
            unroll=self.unroll,
            zero_output_for_mask=self.zero_output_for_mask,
        )
        count = ops.zeros_like(initial_state[0][:, :1])
        last, outputs, states = loop.inner_loop(sequences, [*initial_state, count], mask)
        return last, outputs, states[:-1]

    def get_config(self) -> dict[str, Any]:
        """The configuration of the layer, for saving and copying."""
        inner = self.cell.get_config()
        config = {
            **super().get_config(),
            "parallel": self.parallel,
            "time_major": self.time_major,
            "truncate": self.truncate,
        }
        if type(self) is SequenceLayer:
            return config
        for name in ("name", "trainable", "dtype", "units", "channels"):
            inner.pop(name, None)
        config.pop("cell")
        return {**config, **inner}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The layer of a `get_config`."""
        if cls is SequenceLayer:
            return super().from_config(config, custom_objects=custom_objects)
        return cls(**config)


def _flat_shape(shape) -> tuple:
    units = shape[2:]
    if not units or any(n is None for n in units):
        raise ValueError(
            f"expected sequences of shape (batch, steps, units, ...) with known units; got {shape}"
        )
    return (*shape[:2], math.prod(units))
