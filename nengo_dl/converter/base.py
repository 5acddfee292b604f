"""What every converter of a kind of layer is made of, and the registry of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import nengo
import numpy as np
from nengo.neurons import NeuronType

from nengo_dl.converter import activations
from nengo_dl.converter.linear import part
from nengo_dl.converter.parts import Conversion
from nengo_dl.converter.populations import Population, channels_of
from nengo_dl.converter.scaling import scaled
from nengo_dl.normalizations import Softmax
from nengo_dl.tensor_node import TensorNode

Shape = tuple[int, ...]


class NotConvertible(TypeError):
    """Raised by `LayerConverter.convert`, before it adds any objects, if a call has no equivalent
    in Nengo; the message gives the reason.
    """


_registry: dict[type, type[LayerConverter]] = {}


def register(*layer_types: type) -> Callable[[type[LayerConverter]], type[LayerConverter]]:
    """Decorator that enters a `nengo_dl.converter.LayerConverter` for types of Keras layers (or
    operations).
    """
    for layer_type in layer_types:
        if not isinstance(layer_type, type) or not issubclass(layer_type, keras.Operation):
            raise TypeError(f"expected classes of Keras layers, got {layer_type!r}")

    def decorate(converter: type[LayerConverter]) -> type[LayerConverter]:
        for layer_type in layer_types:
            _registry[layer_type] = converter
        return converter

    return decorate


def converter_of(layer: Any) -> type[LayerConverter] | None:
    """The registered converter of a layer.

    A subclass of a registered type has the converter of that, unless it overrides ``call``.
    """
    for cls in type(layer).__mro__:
        if cls in _registry:
            return _registry[cls] if type(layer).call is getattr(cls, "call", None) else None
    return None


class LayerConverter:
    """Converts the calls of a layer to Nengo objects. Subclasses override `convert`.

    Parameters
    ----------
    layer : keras.layers.Layer
        The layer.
    converter : Converter
        The `nengo_dl.Converter`, with the network and the user's arguments.

    Attributes
    ----------
    unsupported_args : sequence of str or tuple
        Attributes of the layer that must be None, False or 0, or (as a tuple of name and value)
        another value.
    unsupported_training_args : sequence of str or tuple
        The same, if the network is to be trained (``inference_only=False``).
    moves_through_time : bool
        Whether the layer combines values of several time steps, so that it cannot be applied step
        by step in a model with a time axis.
    """

    unsupported_args: tuple = ()
    unsupported_training_args: tuple = ()
    moves_through_time = False

    def __init__(self, layer: Any, converter: Conversion):
        self.layer, self.converter = layer, converter

    # -- to be overridden --------------------------------------------------------------------------

    @classmethod
    def convertible(cls, layer: Any, converter: Conversion) -> tuple[bool, str]:
        """Whether a layer can be converted, and if not, why.

        Overriding methods should ask this one first.
        """
        checked = [(arg, "") for arg in (*cls.unsupported_args, "quantization_mode")]
        if not converter.inference_only:
            training = (*cls.unsupported_training_args, *_TRAINING_ARGS)
            checked += [(arg, ", unless inference_only=True") for arg in training]
        for arg, condition in checked:
            name, allowed = arg if isinstance(arg, tuple) else (arg, None)
            value = getattr(layer, name, None)
            if value is None or _equal(value, 0) or _equal(value, allowed):
                continue
            return False, f"{name}={value!r} has no equivalent in Nengo{condition}"
        return True, ""

    def convert(self, node_id: int) -> Any:
        """Add objects to the network that compute a call of the layer.

        Parameters
        ----------
        node_id
            Identifies the call; pass it to the methods of this class.

        Returns
        -------
        nengo.Node, TensorNode or nengo.ensemble.Neurons
            The object that holds the output, flattened; a list for several outputs.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define convert(node_id)")

    # -- inputs ------------------------------------------------------------------------------------

    def input_shape(self, node_id: int, tensor_idx: int = 0) -> Shape:
        """Shape of an input, without the batch (and without time, in a temporal model)."""
        return self.converter.calls[node_id].inputs[tensor_idx].shape

    def output_shape(self, node_id: int, tensor_idx: int = 0) -> Shape:
        """Shape of an output, without the batch (and without time, in a temporal model)."""
        return self.converter.calls[node_id].outputs[tensor_idx].shape

    def name(self, node_id: int) -> str:
        """Name of the layer, preceded by the names of the models that contain it."""
        return self.converter.calls[node_id].name

    def get_input_obj(self, node_id: int, tensor_idx: int = 0) -> Any:
        """The Nengo object that holds an input."""
        return self.converter.objects[self.converter.calls[node_id].inputs[tensor_idx]]

    def filtered_input(self, node_id: int, tensor_idx: int = 0) -> Any:
        """The Nengo object that holds an input after its synapse, for converters that connect it
        several times.
        """
        return self.converter.filtered(self.get_input_obj(node_id, tensor_idx))

    def axis(self, node_id: int, axis: int, tensor_idx: int = 0) -> int:
        """Index in `input_shape` of an axis; Keras's axes include the batch (and time)."""
        value = self.converter.calls[node_id].inputs[tensor_idx]
        rank = len(value.tensor.shape)
        skipped = rank - len(value.shape)
        axis = axis % rank
        if axis < skipped:
            raise NotConvertible(
                f"it works along axis {axis}, which is that of "
                + ("the batch" if axis == 0 else "time")
            )
        return axis - skipped

    # -- adding objects ----------------------------------------------------------------------------

    def add_nengo_obj(
        self, node_id: int, biases: np.ndarray | None = None, activation: Any = None
    ) -> Any:
        """Add the object that holds the output of the layer: a Node, or neurons for an activation.

        Parameters
        ----------
        node_id
            Which call of the layer.
        biases
            Biases added to the input, one for each element; they are trained with the layer.
        activation
            A function, its name in ``keras.activations``, a layer, or a neuron type. Activations
            without a neuron type become TensorNodes, if that is allowed.
        """
        shape, name = self.output_shape(node_id), self.name(node_id)
        activation = self.converter.swaps.apply(activation)
        neurons = activations.neuron_type(activation)
        if activations.is_linear(activation):
            obj = self.add_node(int(np.prod(shape)), name)
        elif (axes := activations.softmax_axes(activation)) is not None:
            shape_axes = tuple(self.axis(node_id, axis) for axis in axes)
            obj = nengo.Node(Softmax(shape, shape_axes), size_in=int(np.prod(shape)), label=name)
        elif neurons is None:
            obj = TensorNode(
                activations.on_items(activation), shape_in=shape, pass_time=False, label=name
            )
        else:
            obj = self.add_neurons(node_id, neurons)
        if biases is not None:
            self.add_bias(node_id, obj, biases)
        return obj

    def add_node(self, size: int, label: str) -> nengo.Node:
        """Add a Node that passes on the sum of its inputs."""
        return nengo.Node(size_in=size, label=label)

    def add_neurons(
        self, node_id: int, neurons: NeuronType, population: Population | None = None
    ) -> Any:
        """Add neurons of a type, which hold the output of the layer or are the ``Population``."""
        if population is None:
            value = self.converter.calls[node_id].outputs[0]
            channels = channels_of(self.layer, value.shape)
            population = Population(
                self.name(node_id), value, channels, channels, computes_value=True
            )
        size, name = len(population.channels), population.name
        scale = self.converter.scale_of(self.layer, neurons)
        neurons, factor = scaled(neurons, scale)
        ens = nengo.Ensemble(
            size,
            1,
            neuron_type=neurons,
            gain=np.ones(size),
            bias=np.zeros(size),
            # not used; by default Nengo would look for ones that suit the eval_points
            encoders=np.ones((size, 1)),
            label=name,
        )
        self.set_trainable(ens, False)
        self.converter.populations[ens] = population
        self.converter.synapses[ens.neurons] = self.converter.synapse_of(self.layer)
        if factor != 1:
            # apart from the weights, so that those do not depend on the scale
            relay = self.add_node(size, f"{name}.unscaled")
            self.connect(relay, ens.neurons, transform=factor, label=f"{name}.scale")
            self.converter.entrances[ens.neurons] = relay
        return ens.neurons

    def add_connection(
        self,
        node_id: int,
        obj: Any,
        input_idx: int = 0,
        trainable: bool = True,
        regularizer: Callable | None = None,
        **kwargs: Any,
    ) -> nengo.Connection:
        """Connect an input of the layer to ``obj``.

        Parameters
        ----------
        node_id, input_idx
            Which call of the layer, and which of its inputs.
        obj
            The object that `add_nengo_obj` returned, or another object.
        trainable
            Whether training changes the transform, provided that the layer is trainable.
        regularizer
            A function of the transform's weights whose value is added to the loss.
        **kwargs
            Passed to nengo.Connection. The default synapse is that of the input's neurons, or None
            if the input does not consist of neurons.
        """
        pre = self.get_input_obj(node_id, input_idx)
        has_weights = "transform" in kwargs
        kwargs.setdefault("label", f"{self.name(node_id)}.{'weights' if has_weights else 'input'}")
        return self.connect(
            pre,
            obj,
            trainable=trainable and has_weights,
            regularizer=regularizer,
            **kwargs,
        )

    def connect(
        self,
        pre: Any,
        post: Any,
        indices: np.ndarray | None = None,
        to: np.ndarray | None = None,
        trainable: bool = False,
        persistent: bool | None = None,
        regularizer: Callable | None = None,
        **kwargs: Any,
    ) -> nengo.Connection:
        """Add a connection, from ``indices`` of ``pre`` to ``to`` of ``post`` where given.

        ``persistent`` says whether its weights are saved; by default if they are trainable.
        """
        kwargs.setdefault("synapse", self.converter.synapses.get(pre))
        post = self.converter.entrances.get(post, post)
        conn = nengo.Connection(
            pre if indices is None else part(pre, indices, pre.size_out),
            post if to is None else part(post, to, post.size_in),
            **kwargs,
        )
        trainable = trainable and getattr(self.layer, "trainable", False)
        self.set_trainable(conn, trainable)
        config = self.converter.net.config[conn]
        config.persistent = trainable if persistent is None else persistent
        if trainable and regularizer is not None:
            config.regularizer = regularizer
        return conn

    def add_bias(
        self,
        node_id: int,
        obj: Any,
        values: np.ndarray,
        indices: np.ndarray | None = None,
        regularizer: Callable | None = None,
        trainable: bool = True,
    ) -> None:
        """Add constants, with a trainable connection from a Node whose output is 1.

        Parameters
        ----------
        values
            The constants.
        indices
            For each element of ``obj``, the index of its constant; by default in the same order.
        """
        values, name = np.ravel(values), self.name(node_id)
        biases = self.add_node(len(values), f"{name}.biases")
        self.connect(
            self.converter.one,
            biases,
            transform=values[:, None],
            trainable=trainable,
            persistent=True,
            regularizer=regularizer,
            label=f"{name}.bias",
        )
        self.connect(biases, obj, indices)

    def set_trainable(self, obj: Any, trainable: bool) -> None:
        """Set whether training changes a Nengo object."""
        self.converter.net.config[obj].trainable = trainable


#: what only training makes use of
_TRAINING_ARGS = (
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "lora_enabled",
)


def _equal(value: Any, allowed: Any) -> bool:
    return allowed is not None and bool(np.all(np.asarray(value == allowed)))
