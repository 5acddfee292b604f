"""Layers without an equivalent in Nengo: the Keras layer itself, in a TensorNode."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from nengo_dl._private.keras import flattened
from nengo_dl.converter.base import LayerConverter, NotConvertible
from nengo_dl.converter.graph import Call, Value
from nengo_dl.converter.spellings import OPERATIONS, as_function
from nengo_dl.tensor_node import TensorNode
from nengo_dl.tensor_node.signatures import takes_training

#: layers that work on the last axis or on each element, so on each time step for itself
STEPWISE = (
    keras.layers.Activation,
    keras.layers.AlphaDropout,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.ReLU,
    keras.layers.Softmax,
    keras.layers.UnitNormalization,
    *OPERATIONS,
)


class CallLayer(keras.layers.Layer):
    """A call of a layer or operation as a layer of one vector, which holds all inputs side by side.

    Parameters
    ----------
    layer
        The layer, or operation of ``keras.ops``.
    call
        The call.
    """

    def __init__(self, layer: Any, call: Call):
        super().__init__()
        self.layer, self._call = layer, call
        self._takes_training = takes_training(layer)

    def call(self, x, training=None):
        """All outputs side by side."""
        values, start = {}, 0
        for value in self._call.inputs:
            if value not in values:
                values[value] = keras.ops.reshape(
                    x[:, start : start + value.size], (-1, *value.shape)
                )
                start += value.size

        def given(y):
            return values[y] if isinstance(y, Value) else y

        arguments = keras.tree.map_structure(given, self._call.arguments)
        keywords = keras.tree.map_structure(given, self._call.keywords)
        if self._takes_training:
            keywords = {**keywords, "training": training}
        outputs = keras.tree.flatten(self.layer(*arguments, **keywords))
        flat = [keras.ops.reshape(y, (-1, int(np.prod(y.shape[1:])))) for y in outputs]
        return keras.ops.concatenate(flat, axis=-1) if len(flat) > 1 else flat[0]


class Fallback(LayerConverter):
    """A TensorNode with a copy of the layer; calls of the same layer share the copy."""

    def convert(self, node_id):
        call = self.converter.calls[node_id]
        if any(value.temporal for value in call.inputs):
            self._check_stepwise(call)
            if isinstance(self.layer, keras.layers.RNN):
                return self._cell(node_id, call)
        single = (
            len(call.inputs) == len(call.outputs) == 1
            and isinstance(self.layer, keras.layers.Layer)
            and call.arguments == call.inputs
            and not call.keywords
        )
        layer = self._copy(call)
        if single:
            node = self._tensor_node(layer, call.inputs[0].shape, call.name)
            self.add_connection(node_id, node)
            return node
        inputs = list(dict.fromkeys(call.inputs))
        size = sum(value.size for value in inputs)
        node = self._tensor_node(CallLayer(layer, call), (size,), call.name)
        self._connect_all(node_id, call, inputs, node)
        return self._outputs(call, node)

    def _connect_all(self, node_id, call, inputs, node) -> None:
        start = 0
        for value in inputs:
            places = np.arange(start, start + value.size)
            self.connect(self.get_input_obj(node_id, call.inputs.index(value)), node, to=places)
            start += value.size

    def _outputs(self, call: Call, node) -> list:
        if len(call.outputs) == 1:
            return [node]
        objects, start = [], 0
        for i, value in enumerate(call.outputs):
            objects.append(self.add_node(value.size, f"{call.name}.{i}"))
            self.connect(node, objects[-1], np.arange(start, start + value.size))
            start += value.size
        return objects

    def _tensor_node(self, layer, shape_in, label) -> TensorNode:
        return TensorNode(layer, shape_in=shape_in, pass_time=False, label=label)

    def _cell(self, node_id, call: Call):
        """The cell of a recurrent layer, whose state the network keeps from step to step."""
        layer = self._copy(call)
        node = self._tensor_node(layer.cell, call.inputs[0].shape, call.name)
        self.add_connection(node_id, node)
        return node

    def _check_stepwise(self, call: Call) -> None:
        layer = self.layer
        if isinstance(layer, keras.layers.RNN):
            unsupported = [
                name
                for name in ("go_backwards", "stateful", "return_state")
                if getattr(layer, name, False)
            ]
            if unsupported or len(call.inputs) > 1 or not hasattr(layer, "cell"):
                raise NotConvertible(
                    f"{', '.join(unsupported) or 'this form of recurrence'} needs all time steps "
                    "at once, but a network computes one after the other"
                )
            return
        axis = getattr(layer, "axis", -1)
        on_last_axis = axis in (-1, len(call.inputs[0].tensor.shape) - 1, [-1])
        if not isinstance(layer, STEPWISE) or not on_last_axis:
            raise NotConvertible(
                "it may need all time steps at once, but a network computes one after the other. "
                "keras.layers.TimeDistributed applies a layer to each step separately"
            )

    def _copy(self, call: Call) -> Any:
        """The layer with variables of its own, so that training leaves the Keras model as it is."""
        layer = self.layer
        if not isinstance(layer, keras.layers.Layer):
            return layer
        copies = self.converter.copies
        if layer not in copies:
            copies[layer] = _copied(layer, call)
        return copies[layer]


def _copied(layer: keras.layers.Layer, call: Call) -> keras.layers.Layer:
    functions = _functions(layer)
    _set(layer, dict.fromkeys(functions, keras.activations.linear))
    try:
        copy = type(layer).from_config(layer.get_config())
    except (NotImplementedError, TypeError, ValueError):
        return layer  # a class that cannot be made again
    finally:
        _set(layer, functions)

    def symbolic(x):
        return keras.KerasTensor(x.tensor.shape, x.tensor.dtype) if isinstance(x, Value) else x

    copy(
        *keras.tree.map_structure(symbolic, call.arguments),
        **keras.tree.map_structure(symbolic, call.keywords),
    )
    _set(copy, {place: as_function(function) for place, function in functions.items()})
    for variable, original in zip(copy.variables, layer.variables, strict=True):
        variable.assign(original)
    return copy


def _functions(layer: keras.layers.Layer) -> dict[tuple[int, str], Any]:
    """Activations that a configuration does not hold: it has no more than the name of a function,
    which that of another library, or one of the user's, may share with one of Keras's.
    """
    return {
        (i, name): value
        for i, part in enumerate(flattened(layer))
        for name, value in vars(part).items()
        if name.endswith("activation")
        and callable(value)
        and not isinstance(value, keras.layers.Layer)
        and value is not vars(keras.activations).get(getattr(value, "__name__", ""))
    }


def _set(layer: keras.layers.Layer, functions: dict[tuple[int, str], Any]) -> None:
    parts = list(flattened(layer))
    for (i, name), value in functions.items():
        setattr(parts[i], name, value)
