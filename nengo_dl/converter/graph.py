"""Keras model -> calls of layers, in order.

Models inside models are opened up, so that what follows sees one flat list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl._private.keras import GraphCall, graph_calls

Shape = tuple[int, ...]
_x = keras.Input((1,), name="x")
#: the class of models that are graphs; with names, because Keras numbers what has none
Functional: Any = type(
    keras.Model(_x, keras.layers.Identity(name="functional_identity")(_x), name="functional_model")
)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model, once for each time that it is computed.

    Attributes
    ----------
    tensor
        Keras's symbolic tensor, whose shape begins with the axis of the batch.
    temporal
        Whether the axis after that is time, which a Nengo network has in its steps.
    """

    tensor: keras.KerasTensor
    temporal: bool

    @property
    def shape(self) -> Shape:
        """Shape of one item in one step."""
        return tuple(self.tensor.shape[2 if self.temporal else 1 :])

    @property
    def size(self) -> int:
        """Number of elements of one item in one step."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a layer.

    Attributes
    ----------
    layer
        The layer, or the operation of ``keras.ops``.
    name
        Its name, with those of the models around it in front.
    arguments, keywords
        What it was called with; `Value` where that was a symbolic tensor.
    """

    layer: Any
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    arguments: tuple
    keywords: dict

    @property
    def changes_nothing(self) -> bool:
        """Whether the layer gives an array the shape that it has, the axis of time included."""
        if not isinstance(self.layer, keras.layers.Reshape):
            return False
        (given,), (made,) = self.inputs, self.outputs
        return tuple(given.tensor.shape[1:]) == tuple(made.tensor.shape[1:])

    def __call__(self, arrays: dict[Value, Any]) -> list[Any]:
        """What the layer makes of the arrays, outside of training."""

        def given(x):
            return arrays[x] if isinstance(x, Value) else x

        arguments = keras.tree.map_structure(given, self.arguments)
        keywords = keras.tree.map_structure(given, self.keywords)
        return keras.tree.flatten(self.layer(*arguments, **keywords))


@dataclass(frozen=True)
class Graph:
    """A model as calls of layers.

    Attributes
    ----------
    inputs, outputs
        Those of the model.
    calls
        In an order in which they can be computed.
    input_layers
        Those of the inputs.
    known_as
        For each Keras tensor and layer, by its id, the values that it can stand for.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    input_layers: tuple[Any, ...] = ()
    known_as: dict[int, list[Value]] = field(repr=False, default_factory=dict)

    def evaluate(self, inputs: list[Any]) -> dict[Value, np.ndarray]:
        """All values of the model for arrays of its inputs, computed by Keras."""
        arrays = {
            value: keras.ops.convert_to_tensor(x, dtype=value.tensor.dtype)
            for value, x in zip(self.inputs, inputs, strict=True)
        }
        for call in self.calls:
            arrays.update(zip(call.outputs, call(arrays), strict=True))
        return {value: keras.ops.convert_to_numpy(x) for value, x in arrays.items()}


def as_functional(layer: Any) -> Any:
    """The graph of a model; None for a layer, and for a model that has Python code instead."""
    if isinstance(layer, keras.Sequential) and type(layer).call is keras.Sequential.call:
        # the same graph; before it is built there is none
        return keras.Model(layer.inputs, layer.outputs, name=layer.name) if layer.built else None
    if isinstance(layer, Functional) and type(layer).call is Functional.call:
        return layer
    return None


def trace(model: keras.Model, temporal: bool) -> Graph:
    """The calls of a model's layers.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the model has no graph, or a shape that is not known.
    """
    functional = _checked(model)
    tracer = _Tracer(temporal)
    inputs = tuple(Value(tensor, temporal) for tensor in functional.inputs)
    layers = tuple(_input_layer(functional, tensor) for tensor in functional.inputs)
    for value, layer in zip(inputs, layers, strict=True):
        if temporal and len(value.tensor.shape) < 3:
            raise ValidationError(
                f"temporal_model=True, but the input {value.tensor.name!r} has shape "
                f"{value.tensor.shape}; expected (batch, time, ...)",
                attr="temporal_model",
            )
        _check_shape(value, "input")
        tracer.remember(value, value.tensor, layer)
    outputs = tracer.walk(functional, inputs, prefix="")
    return Graph(inputs, outputs, tuple(tracer.calls), layers, tracer.known_as)


def trace_layer(layer: Any, value: Value, name: str) -> tuple[Value, list[Call]]:
    """The calls of a layer or model on a value, and the output."""
    tracer = _Tracer(temporal=False)
    functional = as_functional(layer)
    if functional is not None:
        (output,) = tracer.walk(functional, (value,), name + ".")
        return output, tracer.calls
    shape = layer.compute_output_shape(tuple(value.tensor.shape))
    output = Value(keras.KerasTensor(shape), temporal=False)
    return output, [Call(layer, name, (value,), (output,), (value,), {})]


def _input_layer(functional: Any, tensor: Any) -> Any:
    inputs = (x for x in functional.operations if isinstance(x, keras.layers.InputLayer))
    return next(layer for layer in inputs if layer.output is tensor)


def _checked(model: Any) -> Any:
    if not isinstance(model, keras.Model):
        raise ValidationError(
            f"expected a Keras model, got {type(model).__name__}; put layers into a "
            "keras.Sequential",
            attr="model",
        )
    functional = as_functional(model)
    if functional is None and isinstance(model, keras.Sequential):
        raise ValidationError(
            f"the model {model.name!r} is not built, so the shapes of its layers are unknown; "
            "begin it with keras.Input(shape), or call model.build(input_shape)",
            attr="model",
        )
    if functional is None:
        raise ValidationError(
            f"the model {model.name!r} is a {type(model).__name__} that computes its output in "
            "Python code (a method `call`), which has no layers to convert one by one; expected a "
            "Sequential or functional model. keras.Model(x, model(x)) with x = keras.Input(shape) "
            "makes one, in which this model is a single layer",
            attr="model",
        )
    return functional


class _Tracer:
    """Collects calls while it walks the graphs of a model and of those inside it."""

    def __init__(self, temporal: bool):
        self.temporal = temporal
        self.calls: list[Call] = []
        self.known_as: dict[int, list[Value]] = {}

    def remember(self, value: Value, *names: Any) -> None:
        """Let a value be found by Keras objects."""
        for name in names:
            values = self.known_as.setdefault(id(name), [])
            if value not in values:
                values.append(value)

    def walk(self, model: Any, inputs: tuple[Value, ...], prefix: str) -> tuple[Value, ...]:
        """Add the calls of ``model`` on ``inputs``; returns its outputs."""
        values = {id(t): v for t, v in zip(model.inputs, inputs, strict=True)}
        for tensor, value in zip(model.inputs, inputs, strict=True):
            self.remember(value, tensor)
        for call in graph_calls(model):
            outputs = self._call(call, values, prefix)
            values.update({id(t): v for t, v in zip(call.outputs, outputs, strict=True)})
        return tuple(values[id(tensor)] for tensor in model.outputs)

    def _call(self, called: GraphCall, values: dict[int, Value], prefix: str) -> tuple[Value, ...]:
        layer, name = called.operation, prefix + called.operation.name
        inputs = tuple(values[id(t)] for t in called.inputs)
        inner = as_functional(layer)
        if inner is not None:
            outputs = self.walk(inner, inputs, name + ".")
        else:
            outputs = self._outputs(layer, name, called.outputs, inputs)

            def given(x):
                return values[id(x)] if isinstance(x, keras.KerasTensor) else x

            arguments = keras.tree.map_structure(given, called.arguments)
            keywords = keras.tree.map_structure(given, dict(called.keywords))
            self.calls.append(Call(layer, name, inputs, outputs, arguments, keywords))
        for tensor, value in zip(called.outputs, outputs, strict=True):
            self.remember(value, tensor, layer)
        return outputs

    def _outputs(
        self, layer: Any, name: str, tensors: list, inputs: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        temporal = any(value.temporal for value in inputs) and keeps_time(layer)
        outputs = tuple(Value(tensor, temporal) for tensor in tensors)
        for value in outputs:
            _check_shape(value, f"layer {name!r}")
        return outputs


def keeps_time(layer: Any) -> bool:
    """Whether the output of a layer has a time axis where its input does."""
    if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
        return bool(layer.return_sequences)
    return True


def _check_shape(value: Value, what: str) -> None:
    if any(n is None for n in value.shape):
        raise ValidationError(
            f"the {what} has shape {value.tensor.shape}; the sizes of all axes except the batch "
            "must be known, because a Nengo network has a fixed number of neurons. Give "
            "keras.Input a shape without None"
            + ("" if value.temporal else " (or, if the axis is time, set temporal_model=True)"),
            attr="model",
        )


def check_mask(call: Call) -> None:
    """Raise a TypeError for a call of a layer that makes or passes on a mask."""
    if not getattr(call.layer, "supports_masking", False):
        return
    tensors = [value.tensor for value in call.inputs]
    mask = call.layer.compute_mask(tensors[0] if len(tensors) == 1 else tensors, None)
    if any(part is not None for part in keras.tree.flatten(mask)):
        raise TypeError(
            f"layer {call.name!r} ({type(call.layer).__name__}) cannot be converted: it has a "
            "mask, and a network has no masks. Leave out Masking and mask_zero"
        )
