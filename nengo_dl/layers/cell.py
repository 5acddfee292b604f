"""What all cells of this package have in common."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.arguments import checked_dt, is_variable
from nengo_dl.layers.attributes import UnitAttribute, checked_names
from nengo_dl.runtime.checks import integer


class Cell(keras.layers.Layer):
    """One step of a layer: the base class of all cells in this package, and of custom cells.

    A subclass defines ``state_names``, `step` and, if possible, `all_steps`. It runs in
    ``keras.layers.RNN``, and in a `SequenceLayer`.

    Parameters
    ----------
    units : int, optional
        Number of units. By default that of the input; it is required if the cell is used in a
        ``keras.layers.RNN`` with ``return_state=True``. ``size=`` is an alias that also accepts a
        shape.
    dt : float or variable, optional
        Time step in seconds, by default ``nengo_dl.layers.default.dt``. It can be changed later,
        even while a model is trained: ``cell.dt = 0.01``. A ``keras.Variable`` (or ``tf.Variable``
        with TensorFlow) is read in each call, and several layers may share it; training does not
        change it, and a copy of the layer gets its current value.
    attributes : sequence of UnitAttribute
        Attributes of the units. `value` returns them as tensors, `attribute` as arrays.
    trainable_attributes : str or list of str
        Names of the attributes that training changes, separately for each unit.

    Examples
    --------
    A leaky sum whose leak is trained::

        @keras.saving.register_keras_serializable()
        class LeakyCell(nengo_dl.layers.Cell):
            state_names = ("level",)

            def __init__(self, leak=1.0, units=None, **kwargs):
                attributes = (nengo_dl.layers.UnitAttribute("leak", leak),)
                kwargs = {"trainable_attributes": "leak", **kwargs}
                super().__init__(units, attributes=attributes, **kwargs)

            def step(self, inputs, states, training):
                change = inputs - self.value("leak") * states[0]
                level = states[0] + self.dt_tensor() * change
                return level, [level]

        layer = nengo_dl.layers.SequenceLayer(LeakyCell(2.0, dt=0.01))
    """

    #: what is carried from step to step, each of shape (batch, units)
    state_names: tuple[str, ...] = ()

    def __init__(
        self,
        units: int | None = None,
        dt: Any = None,
        attributes: tuple[UnitAttribute, ...] = (),
        trainable_attributes: Any = (),
        **kwargs: Any,
    ):
        size = kwargs.pop("size", None)
        super().__init__(**kwargs)
        if size is not None:
            units = math.prod(size) if isinstance(size, (tuple, list)) else size
        if units is not None and ((integer(units) or 0) < 1):
            raise ValueError(f"units was given {units!r}; expected a positive integer")
        self.units = None if units is None else int(units)
        self.attributes = {attribute.name: attribute for attribute in attributes}
        self.trainable_attributes = checked_names(trainable_attributes, tuple(self.attributes))
        self._given_dt = checked_dt(dt)
        self._dt: Any = None
        if is_variable(dt):
            if isinstance(dt, keras.Variable):
                dt.trainable = False  # else an optimizer would change it
            self._dt = dt

    # -- what Keras's RNN asks for -----------------------------------------------------------------

    @property
    def state_size(self) -> list[int | None]:
        """Size of each part of the state."""
        return [self.units for _ in self.state_names]

    @property
    def output_size(self) -> int | None:
        """Size of the output."""
        return self.units

    def build(self, input_shape):
        """Make the weights for inputs of shape (batch, units)."""
        if self.units is None:
            self.units = int(input_shape[-1])
        self._check_size(int(input_shape[-1]))
        if self._dt is None:
            self._dt = self.add_weight(
                shape=(), initializer=self._initial_dt, trainable=False, name="dt"
            )
        for name, attribute in self.attributes.items():
            attribute.build(self, self.units, name in self.trainable_attributes)
        self.built = True

    def _initial_dt(self, shape, dtype=None):
        return ops.convert_to_tensor(self._given_dt, dtype=dtype)

    def _check_size(self, size: int) -> None:
        if size != self.units:
            raise ValueError(f"{self.name} has {self.units} units, but its input has size {size}")

    def call(self, inputs, states, training=False):
        """One step: inputs of shape (batch, units) -> outputs, and the next state."""
        output, states = self.step(inputs, list(states), bool(training))
        return output, list(states)

    def get_initial_state(self, batch_size=None):
        """The state before the first step, a list of tensors (batch, size)."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    # -- what subclasses define --------------------------------------------------------------------

    def step(self, inputs: Any, states: list, training: bool) -> tuple[Any, list]:
        """The output of a step and the next state."""
        raise NotImplementedError

    def all_steps(
        self, inputs: Any, states: list, training: bool, every: bool, fresh: bool
    ) -> tuple[Any, list] | None:
        """All steps at once: inputs (batch, steps, units) -> outputs of the same form and the last
        state. Only the last output, (batch, units), where ``every`` is False; ``fresh`` says that
        the states are the initial ones. None if this is not possible.
        """
        return None

    # -- hyperparameters ---------------------------------------------------------------------------

    @property
    def dt(self) -> float:
        """Time step in seconds."""
        if self._dt is None:
            return self._given_dt
        present = ops.convert_to_numpy(self._dt)
        same = present == present.dtype.type(self._given_dt)
        return self._given_dt if same else float(present)

    @dt.setter
    def dt(self, value: float) -> None:
        value = checked_dt(value)
        if self.built or self._dt is not None:
            self.update_dt(value)
        self._given_dt = value

    def update_dt(self, dt: float) -> None:
        """Give the variables that depend on the time step their values for a new one."""
        self._dt.assign(dt)

    def dt_tensor(self) -> Any:
        """The time step as a scalar tensor."""
        return ops.cast(self._dt, self.compute_dtype)

    def value(self, name: str) -> Any:
        """An attribute as it enters the computation."""
        return self.attributes[name](self.compute_dtype)

    def attribute(self, name: str) -> np.ndarray:
        """The current value of an attribute: one number, or one number per unit."""
        return self.attributes[name].numpy()

    def get_config(self) -> dict[str, Any]:
        """The configuration of the cell, for saving and copying."""
        return {
            **super().get_config(),
            "units": self.units,
            "dt": self.dt,
            **{name: attribute.config() for name, attribute in self.attributes.items()},
            **({"trainable_attributes": self.trainable_attributes} if self.attributes else {}),
        }
