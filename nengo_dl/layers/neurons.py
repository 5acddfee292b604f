"""Nengo's LIF neurons as Keras layers, by the code that runs them in Nengo networks."""

from __future__ import annotations

from typing import Any

import keras
import nengo
import numpy as np
from keras import ops

from nengo_dl import surrogates
from nengo_dl.layers.arguments import cell_dtype, refuse_units
from nengo_dl.layers.attributes import UnitAttribute
from nengo_dl.layers.cell import Cell
from nengo_dl.layers.context import step_context
from nengo_dl.layers.sequence_layer import SequenceLayer
from nengo_dl.lowering.lif import WITHOUT_REFRACTORY_PERIOD
from nengo_dl.lowering.neurons import NeuronKernel, lowering_of


class NeuronCell(Cell):
    """Neurons of a Nengo type, whose input is the current.

    Parameters
    ----------
    parameters : dict
        First values of the neuron type's parameters; those of ``not_positive`` may be 0.
    threshold : float or array_like
        Current at which neurons start to fire, that is, by which the input is divided.
    surrogate
        See `LIF`.
    lif_smoothing : float, optional
        See `LIF`.
    """

    neuron_type: nengo.neurons.NeuronType
    not_positive = ("tau_ref", "min_voltage", "inc_n")

    def __init__(
        self,
        parameters: dict[str, Any],
        threshold: Any = 1.0,
        surrogate: Any = "fast_sigmoid",
        lif_smoothing: float | None = None,
        **kwargs: Any,
    ):
        values = {"threshold": threshold, **parameters}
        attributes = [
            UnitAttribute(
                name,
                value,
                positive=name not in self.not_positive,
                may_be_infinite=name == "min_voltage",
            )
            for name, value in values.items()
        ]
        super().__init__(attributes=tuple(attributes), **kwargs)
        if isinstance(surrogate, dict):
            surrogate = keras.saving.deserialize_keras_object(surrogate)
        self.surrogate, self.lif_smoothing = surrogate, lif_smoothing
        self._surrogate = surrogates.get(surrogate)
        lowering = lowering_of(self.neuron_type)
        assert lowering is not None  # each subclass names a type that has one
        self.state_names = lowering.state
        self._kernel, self._parameters = NeuronKernel(lowering), tuple(parameters)
        tau_ref = self.attributes["tau_ref"]
        refractory = np.any(tau_ref.initial) or "tau_ref" in self.trainable_attributes
        self._step = lowering.step
        if not refractory and tau_ref.initializer is None:
            self._step = WITHOUT_REFRACTORY_PERIOD.get(lowering.step, lowering.step)

    def step(self, inputs, states, training):
        return self.fire(inputs / self.value("threshold"), states, training)

    def fire(self, current: Any, states: list, training: bool) -> tuple[Any, list]:
        """A step with a current in units of the threshold."""
        context = step_context(self, training, self.lif_smoothing, self._surrogate)
        arguments = {name: self.value(name) for name in self._parameters}
        operands = (current, *states)
        output, *states = self._kernel.run(self._step, context, operands, arguments)
        return output, [ops.broadcast_to(s, ops.shape(current)) for s in states]

    def get_config(self):
        surrogate = self.surrogate
        if surrogate is not None and not isinstance(surrogate, str):
            surrogate = keras.saving.serialize_keras_object(surrogate)
        return {
            **super().get_config(),
            "surrogate": surrogate,
            "lif_smoothing": self.lif_smoothing,
        }


@keras.saving.register_keras_serializable(package="nengo_dl")
class LIFCell(NeuronCell):
    """One step of `LIF`, for ``keras.layers.RNN``; it has the same arguments, and ``units``."""

    neuron_type = nengo.LIF()

    def __init__(
        self,
        units: int | None = None,
        dt: Any = None,
        tau_rc: Any = 0.02,
        tau_ref: Any = 0.002,
        min_voltage: Any = 0.0,
        amplitude: Any = 1.0,
        **kwargs: Any,
    ):
        parameters = {
            "tau_rc": tau_rc,
            "tau_ref": tau_ref,
            "min_voltage": min_voltage,
            "amplitude": amplitude,
        }
        super().__init__(parameters, units=units, dt=dt, **kwargs)


@keras.saving.register_keras_serializable(package="nengo_dl")
class AdaptiveLIFCell(NeuronCell):
    """One step of `AdaptiveLIF`, for ``keras.layers.RNN``; it has the same arguments, and
    ``units``.
    """

    neuron_type = nengo.AdaptiveLIF()

    def __init__(
        self,
        units: int | None = None,
        dt: Any = None,
        tau_n: Any = 1.0,
        inc_n: Any = 0.01,
        tau_rc: Any = 0.02,
        tau_ref: Any = 0.002,
        min_voltage: Any = 0.0,
        amplitude: Any = 1.0,
        **kwargs: Any,
    ):
        parameters = {
            "tau_n": tau_n,
            "inc_n": inc_n,
            "tau_rc": tau_rc,
            "tau_ref": tau_ref,
            "min_voltage": min_voltage,
            "amplitude": amplitude,
        }
        super().__init__(parameters, units=units, dt=dt, **kwargs)


class NeuronLayer(SequenceLayer):
    """A layer of neurons: gives its cell what is the cell's of its arguments."""

    cell_class: type[NeuronCell]
    #: names of arguments of the cell, besides those of the neurons
    cell_arguments: tuple[str, ...] = (
        "threshold",
        "surrogate",
        "lif_smoothing",
        "trainable_attributes",
    )

    def __init__(self, given: tuple, arguments: dict[str, Any], kwargs: dict[str, Any]):
        refuse_units(type(self).__name__, *given)
        own = {name: kwargs.pop(name) for name in self.cell_arguments if name in kwargs}
        super().__init__(self.cell_class(**arguments, **own, dtype=cell_dtype(kwargs)), **kwargs)


@keras.saving.register_keras_serializable(package="nengo_dl")
class LIF(NeuronLayer):
    """Leaky integrate-and-fire neurons, as in `nengo.LIF`.

    The input is a current of shape (batch, steps, ...), for example the output of a Dense layer.
    The layer has as many neurons as the input has values. The output consists of spikes of height
    ``amplitude / dt``, as from a Nengo ensemble with gain 1 and bias 0. All arguments are keyword
    arguments.

    Parameters
    ----------
    dt : float or variable, optional
        Time step in seconds, by default ``nengo_dl.layers.default.dt``; see `Cell`.
    tau_rc, tau_ref : float or array_like
        Membrane time constant and refractory period in seconds, for all units or for each one.
        Training is quicker with ``tau_ref=0``; the refractory time of a state that is given to the
        layer then has no effect.
    min_voltage, amplitude : float or array_like
        Lower bound of the voltage (``-np.inf`` for none), and factor on the output.
    threshold : float or array_like
        Current at which neurons start to fire.
    surrogate : str or callable or None
        Surrogate derivative of a spike in training; see `nengo_dl.surrogates`. None: training uses
        firing rates instead of spikes, which is the default of Nengo networks.
    lif_smoothing : float, optional
        Sigma of the soft LIF rates that replace spikes in training, with ``surrogate=None`` (as the
        output) and ``surrogate="softlif"`` (for the derivative).
    trainable_attributes : str or list of str
        Attributes that training changes, separately for each unit: ``"tau_rc"``, ``"threshold"``,
        ``"amplitude"``, ... ``tau_ref`` has no gradient if ``surrogate`` is a function of the
        voltage.
    **kwargs
        ``return_sequences`` (True by default), ``return_state``, ``go_backwards``, ``stateful``,
        ``unroll``, ``zero_output_for_mask`` and the arguments of every Keras layer. The state is
        ``[voltage, refractory_time]``.

    Examples
    --------
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((10, 4)),  # (steps, values)
    ...         keras.layers.Dense(8),
    ...         nengo_dl.layers.LIF(tau_rc=0.03),
    ...     ]
    ... )
    >>> model.output_shape
    (None, 10, 8)
    """

    cell_class: type[NeuronCell] = LIFCell

    def __init__(
        self,
        *given: Any,
        dt: Any = None,
        tau_rc: Any = 0.02,
        tau_ref: Any = 0.002,
        min_voltage: Any = 0.0,
        amplitude: Any = 1.0,
        **kwargs: Any,
    ):
        arguments = {
            "dt": dt,
            "tau_rc": tau_rc,
            "tau_ref": tau_ref,
            "min_voltage": min_voltage,
            "amplitude": amplitude,
        }
        super().__init__(given, arguments, kwargs)


@keras.saving.register_keras_serializable(package="nengo_dl")
class AdaptiveLIF(NeuronLayer):
    """Adaptive leaky integrate-and-fire neurons, as in `nengo.AdaptiveLIF`.

    Parameters
    ----------
    dt : float or variable, optional
        Time step in seconds, by default ``nengo_dl.layers.default.dt``; see `Cell`.
    tau_n : float or array_like
        Time constant of the adaptation in seconds.
    inc_n : float or array_like
        Amount that a spike adds to the adaptation, which is subtracted from the current.
    tau_rc, tau_ref, min_voltage, amplitude, **kwargs
        As in `LIF`. The state is ``[voltage, refractory_time, adaptation]``.

    Examples
    --------
    >>> neurons = nengo_dl.layers.AdaptiveLIF(tau_n=0.1, inc_n=0.05)
    >>> neurons(np.full((1, 3, 8), 2.0)).shape == (1, 3, 8)
    True
    """

    cell_class: type[NeuronCell] = AdaptiveLIFCell

    def __init__(
        self,
        *given: Any,
        dt: Any = None,
        tau_n: Any = 1.0,
        inc_n: Any = 0.01,
        tau_rc: Any = 0.02,
        tau_ref: Any = 0.002,
        min_voltage: Any = 0.0,
        amplitude: Any = 1.0,
        **kwargs: Any,
    ):
        arguments = {
            "dt": dt,
            "tau_n": tau_n,
            "inc_n": inc_n,
            "tau_rc": tau_rc,
            "tau_ref": tau_ref,
            "min_voltage": min_voltage,
            "amplitude": amplitude,
        }
        super().__init__(given, arguments, kwargs)
