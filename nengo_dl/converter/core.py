"""The conversion of a whole model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import nengo
import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.converter import activations, base, lookup, rates, verification
from nengo_dl.converter.activation import ConvertActivation
from nengo_dl.converter.activations import Swaps
from nengo_dl.converter.fallback import Fallback
from nengo_dl.converter.graph import Call, Value, check_mask, trace, trace_layer
from nengo_dl.converter.spiking import Spiking
from nengo_dl.input_node import ConstantNode, InputNode
from nengo_dl.runtime.checks import checked_flag, number
from nengo_dl.settings import configure_settings


class Converter(Spiking):
    """Converts a Keras model to a Nengo network.

    Parameters
    ----------
    model : keras.Model
        A Sequential or functional model that has been built. It is not changed.
    allow_fallback : bool
        Whether layers without an equivalent in Nengo become TensorNodes, which only
        ``nengo_dl.Simulator`` can run. If not, they raise an error.
    inference_only : bool
        True: the network need not behave like the model in training, so batch normalization, for
        example, can be converted and dropout omitted.
    max_to_avg_pool : bool
        Whether to replace maximum pooling by average pooling.
    split_shared_weights : bool
        Whether a layer that is called several times becomes several connections with separate
        weights, which train independently.
    swap_activations : dict, optional
        Maps activations to their replacements, neuron types or other activations. Both may be
        functions of ``keras.activations``, ``keras.ops``, ``tf.nn`` or ``jax.nn``, their names,
        layers such as ReLU, or neuron types. Each key must occur in the model.
    scale_firing_rates : float, dict or "auto", optional
        Factor on the firing rates of all layers, or by layer; "auto" finds a factor that gives each
        layer the ``target_rate`` on ``sample_inputs``. Outputs are divided by the same factor, so
        neurons with a linear response have the same mean output, with more spikes.
    synapse : float, nengo.synapses.Synapse or dict, optional
        Synapse on the output of all neurons, or by layer.
    temporal_model : bool
        Whether the first axis of the model's inputs (after the batch) is time, which then becomes
        the steps of the simulation.
    sample_inputs : array, list or dict, optional
        Inputs of the model, of shape (batch, ...), on which ``scale_firing_rates="auto"`` and
        ``steps`` measure the activity of its layers.
    target_rate : float, optional
        Firing rate in hertz for ``"auto"``, which 99.9 % of a layer's outputs do not exceed. By
        default 1000 Hz, which is one spike per millisecond step, or for neuron types with a
        refractory period half of the highest possible rate.
    steps : int, optional
        Calls ``calibrate(sample_inputs, steps, target_rate)`` after the conversion.

    Attributes
    ----------
    net : nengo.Network
        The network. It is inside the network in whose ``with`` block the converter was created, if
        any.
    model : keras.Model
        The model.
    inputs : mapping
        Keras input tensor, layer or name -> `nengo_dl.InputNode`, which takes data or connections.
    outputs : mapping
        Output tensor, layer or name -> nengo.Probe.
    layers : mapping
        Tensor, layer or name of a layer -> the Nengo object that holds its output, flattened.
    fallbacks : dict
        Name of each layer that became or contains a TensorNode -> the reason.
    firing_rates : list of rates.LayerRates
        With ``scale_firing_rates="auto"`` and after `calibrate`, the expected rates of each layer.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the model has no layers with known shapes, or if arguments do not match the model.
    TypeError
        With ``allow_fallback=False``, for a layer without an equivalent; the message gives the
        reason.

    Examples
    --------
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((4,), name="x"),
    ...         keras.layers.Dense(8, activation="relu"),
    ...         keras.layers.Dense(2, name="y"),
    ...     ]
    ... )
    >>> converter = nengo_dl.Converter(model)
    >>> with nengo_dl.Simulator(converter.net, minibatch_size=3) as sim:
    ...     outputs = sim.predict({converter.inputs["x"]: np.ones((3, 1, 4))})
    >>> outputs[converter.outputs["y"]].shape  # (batch, n_steps, size)
    (3, 1, 2)

    With spiking neurons instead of the activation function:

    >>> converter = nengo_dl.Converter(
    ...     model, swap_activations={"relu": nengo.SpikingRectifiedLinear()}, synapse=0.01
    ... )
    """

    def __init__(
        self,
        model: keras.Model,
        allow_fallback: bool = True,
        inference_only: bool = False,
        max_to_avg_pool: bool = False,
        split_shared_weights: bool = False,
        swap_activations: Mapping[Any, Any] | None = None,
        scale_firing_rates: float | Mapping[Any, float] | str | None = None,
        synapse: Any = None,
        temporal_model: bool = False,
        sample_inputs: Any = None,
        target_rate: float | None = None,
        steps: int | None = None,
    ):
        self.model = model
        self.allow_fallback = checked_flag("allow_fallback", allow_fallback)
        self.inference_only = checked_flag("inference_only", inference_only)
        self.max_to_avg_pool = checked_flag("max_to_avg_pool", max_to_avg_pool)
        self.split_shared_weights = checked_flag("split_shared_weights", split_shared_weights)
        self.temporal_model = checked_flag("temporal_model", temporal_model)
        self.graph = trace(model, self.temporal_model)
        self.calls: list[Call] = list(self.graph.calls)
        self.swaps = Swaps(swap_activations)
        self._scales = rates.scales(self, scale_firing_rates, sample_inputs, target_rate)
        self._synapses = lookup.by_layer(self.graph, synapse, "synapse", _synapse)
        self.objects, self.synapses, self.populations, self.entrances = {}, {}, {}, {}
        self.copies, self.fallbacks = {}, {}
        self._filtered: dict[Any, nengo.Node] = {}
        self._one: nengo.Node | None = None
        with nengo.Network(label=model.name) as self.net:
            configure_settings(trainable=None, regularizer=None, persistent=True, keep_history=True)
            self._convert()
        self.swaps.check_used(self.fallbacks)
        self._warn()
        self.firing_rates = self._scales.report()
        if steps is not None:
            if sample_inputs is None:
                raise ValidationError(
                    "steps are chosen for sample_inputs; give some inputs of the model, for "
                    "example a hundred items of its training data",
                    attr="sample_inputs",
                )
            self.calibrate(sample_inputs, steps, target_rate)

    register: Callable = staticmethod(base.register)
    """Decorator that enters a `nengo_dl.converter.LayerConverter` for a type of Keras layer."""

    # -- conversion --------------------------------------------------------------------------------

    def _convert(self) -> None:
        inputs, outputs = {}, {}
        for value in self.graph.inputs:
            label = lookup.name_of(self.graph, value)
            inputs[value] = self.objects[value] = InputNode(value.size, label=label)
        for node_id in range(len(self.graph.calls)):
            self._convert_call(node_id)
        for value in self.graph.outputs:
            if value not in outputs:
                obj = self.objects[value]
                # without a label, as programs for NengoDL 3 expect: its loss is "probe_loss"
                outputs[value] = probe = nengo.Probe(obj, synapse=self.synapses.get(obj))
                if self.temporal_model and not value.temporal:
                    self.net.config[probe].keep_history = False
        self.inputs = lookup.Objects(self.graph, inputs, "input")
        self.outputs = lookup.Objects(self.graph, outputs, "output")
        self.layers = lookup.Objects(self.graph, self.objects, "tensor or layer")

    def _convert_call(self, node_id: int) -> None:
        call = self.calls[node_id]
        check_mask(call)
        if call.changes_nothing:
            self.objects[call.outputs[0]] = self.objects[call.inputs[0]]
            return
        cls, reason = self._choose(call)
        objects = None
        if cls is not None:
            try:
                objects = cls(call.layer, self).convert(node_id)
            except base.NotConvertible as error:
                reason = str(error)
        if reason:
            self._note_fallback(call, reason, impossible=False)
        if objects is None:
            try:
                objects = Fallback(call.layer, self).convert(node_id)
            except base.NotConvertible as error:
                self._note_fallback(call, str(error), impossible=True)
        objects = objects if isinstance(objects, (list, tuple)) else [objects]
        self.objects.update(zip(call.outputs, objects, strict=True))

    def _choose(self, call: Call) -> tuple[type[base.LayerConverter] | None, str]:
        """The converter of a call (None: a TensorNode), and why it needs TensorNodes."""
        layer = call.layer
        cls = base.converter_of(layer)
        if cls is None:
            return None, activations.no_equivalent(layer)
        if cls.moves_through_time and any(value.temporal for value in call.inputs):
            return None, "it works across time steps, which a network has one after the other"
        possible, reason = cls.convertible(layer, self)
        if not possible:
            return None, reason
        shared = sum(other.layer is layer for other in self.graph.calls)
        copies_are_fine = self.inference_only or self.split_shared_weights
        if shared > 1 and not copies_are_fine and getattr(layer, "trainable_weights", None):
            return None, (
                f"{shared} calls share its weights, which Nengo cannot represent; set "
                "split_shared_weights=True or inference_only=True"
            )
        is_one = issubclass(cls, ConvertActivation)
        activation = layer if is_one else getattr(layer, "activation", None)
        return cls, activations.activation_problem(activation, self.swaps)

    def _note_fallback(self, call: Call, reason: str, impossible: bool) -> None:
        if impossible or not self.allow_fallback:
            hint = "" if impossible else ". With allow_fallback=True it becomes a TensorNode"
            raise TypeError(
                f"layer {call.name!r} ({_type_name(call.layer)}) cannot be converted: "
                f"{reason}{hint}"
            )
        self.fallbacks[call.name] = reason

    def convert_layer(self, layer: Any, obj: Any, shape: tuple[int, ...], name: str) -> Any:
        """Convert a layer (or model) that the model itself does not call, and return its output.

        Parameters
        ----------
        layer
            The layer.
        obj
            The Nengo object that holds its input.
        shape
            Shape of one item of the input.
        name
            Name of the layer.
        """
        value = Value(keras.KerasTensor((None, *shape)), temporal=False)
        self.objects[value] = obj
        output, calls = trace_layer(layer, value, name)
        for call in calls:
            self.calls.append(call)
            self._convert_call(len(self.calls) - 1)
        return self.objects[output]

    def _warn(self) -> None:
        if self.fallbacks:
            listed = "; ".join(f"{name}: {reason}" for name, reason in self.fallbacks.items())
            warnings.warn(
                f"{len(self.fallbacks)} layers became or contain TensorNodes, which only "
                f"nengo_dl.Simulator can run: {listed}",
                stacklevel=3,
            )

    # -- what layer converters ask for -------------------------------------------------------------

    @property
    def one(self) -> nengo.Node:
        """The Node that is 1, from which biases come."""
        if self._one is None:
            self._one = ConstantNode(np.ones(1), label=f"{self.model.name}.one")
        return self._one

    def filtered(self, obj: Any) -> Any:
        """A Node with the filtered output of neurons, or ``obj`` itself if there is no synapse."""
        synapse = self.synapses.get(obj)
        if synapse is None:
            return obj
        if obj not in self._filtered:
            node = nengo.Node(size_in=obj.size_out, label=f"{obj.ensemble.label}.filtered")
            conn = nengo.Connection(obj, node, synapse=synapse)
            self.net.config[conn].trainable = False
            self._filtered[obj] = node
        return self._filtered[obj]

    def scale_of(self, layer: Any, neurons: NeuronType) -> float:
        """By how much the firing rates of a layer are scaled."""
        return self._scales(layer, neurons)

    def synapse_of(self, layer: Any) -> Any:
        """Synapse on the output of a layer's neurons."""
        return self._synapses(layer)

    # -- checks ------------------------------------------------------------------------------------

    def verify(
        self, training: bool = False, inputs: Any = None, atol: float = 1e-8, rtol: float = 1e-5
    ) -> bool:
        """Compare the network's outputs with the model's.

        Parameters
        ----------
        training
            Whether to compare them again after a training step on the same random targets. The
            weights of the Keras model are restored afterwards.
        inputs
            An array, list or dict of the model's inputs, of shape (batch, ...); random by default.
        atol, rtol
            Allowed difference: absolute, and relative to the largest absolute value of the output.

        Returns
        -------
        bool
            True.

        Raises
        ------
        nengo.exceptions.ValidationError
            If the outputs differ; the message names the first layer that does.

        Examples
        --------
        >>> nengo_dl.Converter(model).verify(inputs=np.ones((3, 4)))
        True
        """
        return verification.verify(self, training, inputs, atol, rtol)


def _synapse(value: Any) -> nengo.synapses.Synapse | None:
    """As connections take it: a number is the time constant of a Lowpass, in seconds."""
    if value is None or isinstance(value, nengo.synapses.Synapse):
        return value
    if not 0 <= number(value) < np.inf:
        raise ValidationError(
            f"expected a time constant in seconds, a nengo synapse or None; got {value!r}",
            attr="synapse",
        )
    return nengo.Lowpass(value)


def _type_name(layer: Any) -> str:
    return type(layer).__name__
