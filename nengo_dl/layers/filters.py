"""Lowpass and alpha filters, Nengo's synapses, with trainable time constants and levels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.arguments import cell_dtype
from nengo_dl.layers.attributes import UnitAttribute
from nengo_dl.layers.cell import Cell
from nengo_dl.layers.convolution import filtered, last_filtered
from nengo_dl.layers.sequence_layer import SequenceLayer
from nengo_dl.lowering.filters import alpha_coefficients, alpha_step, lowpass_decay


class FilterCell(Cell):
    """A filter with a time constant and an initial level for each unit."""

    def __init__(
        self,
        tau: Any = 0.005,
        units: int | None = None,
        dt: Any = None,
        initial_level: Any = 0.0,
        apply_during_training: bool = True,
        trainable_attributes: Any = ("tau", "initial_level"),
        tau_initializer: Any = None,
        level_initializer: Any = None,
        tau_constraint: Any = None,
        initial_level_constraint: Any = None,
        **kwargs: Any,
    ):
        tau = tau if tau_initializer is None else tau_initializer
        level = initial_level if level_initializer is None else level_initializer
        attributes = (
            UnitAttribute("tau", tau, constraint=tau_constraint),
            UnitAttribute(
                "initial_level", level, positive=False, constraint=initial_level_constraint
            ),
        )
        super().__init__(units, dt, attributes, trainable_attributes, **kwargs)
        self.apply_during_training = bool(apply_during_training)

    def tau(self) -> Any:
        """Time constants in seconds, (units,)."""
        return self._of_units("tau")

    def _of_units(self, name: str) -> Any:
        value = ops.convert_to_tensor(self.value(name), dtype=self.compute_dtype)
        return ops.broadcast_to(value, (self.units,))

    def _initial(self, batch_size: Any, value: Any) -> Any:
        return ops.broadcast_to(value[None], (batch_size, self.units))

    def step(self, inputs, states, training):
        if training and not self.apply_during_training:
            return inputs, states
        return self.filter_step(inputs, states)

    def all_steps(self, inputs, states, training, every, fresh):
        if training and not self.apply_during_training:
            return (inputs if every else inputs[:, -1]), states
        return self.filter_all(inputs, states, every)

    def filter_step(self, inputs: Any, states: list) -> tuple[Any, list]:
        """The output of a step and the next state."""
        raise NotImplementedError

    def filter_all(self, inputs: Any, states: list, every: bool) -> tuple[Any, list]:
        """See ``all_steps``."""
        raise NotImplementedError

    def get_config(self):
        constraints = {
            f"{name}_constraint": keras.constraints.serialize(attribute.constraint)
            for name, attribute in self.attributes.items()
            if attribute.constraint is not None
        }
        return {
            **super().get_config(),
            "apply_during_training": self.apply_during_training,
            **constraints,
        }


@keras.saving.register_keras_serializable(package="nengo_dl")
class LowpassCell(FilterCell):
    """One step of `Lowpass`, for ``keras.layers.RNN``; it has the same arguments, and ``units``."""

    state_names = ("level",)

    def get_initial_state(self, batch_size=None):
        return [self._initial(batch_size, self._of_units("initial_level"))]

    def filter_step(self, inputs, states):
        level = inputs + lowpass_decay(self.tau(), self.dt_tensor()) * (states[0] - inputs)
        return level, [level]

    def filter_all(self, inputs, states, every):
        r = self.dt_tensor() / self.tau()
        left = ops.exp(-_numbers(inputs, r) * r)
        kernel = -ops.expm1(-r) * left
        remembered = ops.exp(-r) * left
        if every:
            output = filtered(inputs, kernel) + remembered[None] * states[0][:, None]
            return output, [output[:, -1]]
        output = last_filtered(inputs, kernel) + remembered[-1] * states[0]
        return output, [output]


@keras.saving.register_keras_serializable(package="nengo_dl")
class AlphaCell(FilterCell):
    """One step of `Alpha`, for ``keras.layers.RNN``; it has the same arguments, and ``units``."""

    state_names = ("rate", "level")

    def get_initial_state(self, batch_size=None):
        level = self._of_units("initial_level") * ops.square(self.tau())
        return [
            ops.zeros((batch_size, self.units), dtype=self.compute_dtype),
            self._initial(batch_size, level),
        ]

    def filter_step(self, inputs, states):
        coefficients = alpha_coefficients(self.tau(), self.dt_tensor())
        output, *states = alpha_step(coefficients, inputs, *states)
        return output, states

    def filter_all(self, inputs, states, every):
        tau, dt = self.tau(), self.dt_tensor()
        r, (_, gain, gap, _) = dt / tau, ops.unstack(alpha_coefficients(tau, dt), 4)
        number = _numbers(inputs, r)
        left = ops.exp(-number * r)
        kernel = left * (gap - number * r * ops.expm1(-r))
        # what is left of the first state, of which level / tau^2 is the output
        rate, level = states[0], states[1] / ops.square(tau)
        steps, after = number + 1, left * ops.exp(-r)
        of_level, of_rate = after * (1 + steps * r), after * steps * r / tau
        rate_kernel = left * (gain * (number + 1) - dt * number)
        # the derivative of the output's part
        last = after[-1]
        rate_now = (
            last_filtered(inputs, rate_kernel)
            + last * (1 - steps[-1] * r) * rate
            - last * steps[-1] * r * tau * level
        )
        if every:
            output = filtered(inputs, kernel)
            output = output + of_level[None] * level[:, None] + of_rate[None] * rate[:, None]
            now = output[:, -1]
        else:
            output = last_filtered(inputs, kernel) + of_level[-1] * level + of_rate[-1] * rate
            now = output
        return output, [rate_now, now * ops.square(tau)]


def _numbers(inputs: Any, like: Any) -> Any:
    """0, 1, ... for each step, (steps, 1)."""
    steps = np.arange(inputs.shape[1], dtype=np.float64)
    return ops.convert_to_tensor(steps, dtype=like.dtype)[:, None]


#: arguments that are the cell's
_CELL_ARGUMENTS = (
    "initial_level",
    "apply_during_training",
    "trainable_attributes",
    "tau_initializer",
    "level_initializer",
    "tau_constraint",
    "initial_level_constraint",
)


class _Filter(SequenceLayer):
    """A layer that filters its input."""

    cell_class: type[FilterCell]

    def __init__(self, tau: Any = 0.005, dt: Any = None, initial_level: Any = 0.0, **kwargs: Any):
        own = {name: kwargs.pop(name) for name in _CELL_ARGUMENTS if name in kwargs}
        own["initial_level"] = initial_level
        super().__init__(self.cell_class(tau, dt=dt, **own, dtype=cell_dtype(kwargs)), **kwargs)


@keras.saving.register_keras_serializable(package="nengo_dl")
class Lowpass(_Filter):
    """A first-order lowpass filter over time, `nengo.Lowpass`, for each unit of its input.

    Parameters
    ----------
    tau : float, (units,) array_like or initializer
        Time constant in seconds. A Keras initializer draws one for each unit (values that are not
        positive become 1e-9). ``tau_initializer=`` is an alias.
    dt : float or variable, optional
        Time step in seconds, by default ``nengo_dl.layers.default.dt``; see `Cell`.
    initial_level : float, (units,) array_like or initializer
        Output before the first step. ``level_initializer=`` is an alias.
    apply_during_training : bool
        False: in training, the layer passes its input through unchanged.
    trainable_attributes : str or list of str
        Attributes that training changes: ``"tau"``, ``"initial_level"`` or both (the default).
    tau_constraint, initial_level_constraint : keras.constraints.Constraint or str, optional
        Applied to the values, of shape (units,), after each update. For example, with
        `nengo_dl.constraints.Mean` all units share one value.
    parallel : bool
        Whether to compute all steps at once, by FFT.
    **kwargs
        ``return_sequences`` (True by default), ``return_state``, ``go_backwards``, ``stateful``,
        ``unroll``, ``zero_output_for_mask`` and the arguments of every Keras layer.

    Examples
    --------
    >>> lowpass = nengo_dl.layers.Lowpass(0.1, dt=0.01, return_sequences=False)
    >>> output = lowpass(np.ones((1, 10, 2)))  # for one time constant
    >>> np.asarray(output).round(2).tolist()
    [[0.63, 0.63]]
    >>> lowpass.attribute("tau").tolist()
    [0.1, 0.1]
    """

    cell_class = LowpassCell


@keras.saving.register_keras_serializable(package="nengo_dl")
class Alpha(_Filter):
    """A second-order lowpass filter over time, `nengo.Alpha`, for each unit of its input.

    It has the parameters of `Lowpass`.

    Examples
    --------
    >>> alpha = nengo_dl.layers.Alpha(0.1, dt=0.01)
    >>> alpha(np.ones((1, 10, 2))).shape == (1, 10, 2)
    True
    """

    cell_class = AlphaCell
