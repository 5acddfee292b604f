"""Layers with several inputs, and the operators ``+``, ``-``, ``*`` and ``/`` of Keras tensors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from nengo_dl._private.keras import operations
from nengo_dl.converter.base import LayerConverter, NotConvertible, register
from nengo_dl.converter.graph import Value
from nengo_dl.converter.linear import array


class Merge(LayerConverter):
    """A sum of inputs and constants, each with a factor."""

    def operands(self, node_id) -> list[Any]:
        """What is merged: `Value`, or an array."""
        call = self.converter.calls[node_id]
        given = keras.tree.flatten((call.arguments, call.keywords))
        return [x if isinstance(x, Value) else _constant(x) for x in given if x is not None]

    def add_sum(self, node_id, factors) -> Any:
        """Node with the sum of the operands times their factors."""
        call = self.converter.calls[node_id]
        shape = self.output_shape(node_id)
        operands = [
            x if isinstance(x, Value) else _step_of(call, x) for x in self.operands(node_id)
        ]
        obj = self.add_nengo_obj(node_id)
        for operand, factor in zip(operands, factors, strict=True):
            if isinstance(operand, Value):
                index = call.inputs.index(operand)
                self._add(self.get_input_obj(node_id, index), operand.shape, obj, shape, factor)
            elif np.any(operand):
                values = np.broadcast_to(operand * factor, shape)
                self.add_bias(node_id, obj, values, trainable=False)
        return obj

    def _add(self, source, shape_in, obj, shape, factor) -> None:
        n = int(np.prod(shape_in))
        indices = np.broadcast_to(np.arange(n).reshape(shape_in), shape).ravel()
        kwargs = {} if factor == 1 else {"transform": factor}
        self.connect(source, obj, None if shape_in == shape else indices, **kwargs)


def _constant(x: Any) -> np.ndarray:
    return np.asarray(array(x), dtype=float)


def _step_of(call, constant: np.ndarray) -> np.ndarray:
    """A constant operand as it meets one item in one step."""
    value = call.outputs[0]
    skipped = len(value.tensor.shape) - len(value.shape)
    extra = constant.ndim - len(value.shape)
    if extra <= 0:
        return constant
    if np.prod(constant.shape[:extra]) != 1 or extra > skipped:
        raise NotConvertible(
            f"its constant of shape {constant.shape} differs between the items of a batch or "
            "between time steps"
        )
    return constant.reshape(constant.shape[extra:])


@register(keras.layers.Add, *operations("add"))
class ConvertAdd(Merge):
    """The sum of the inputs."""

    def convert(self, node_id):
        return self.add_sum(node_id, [1] * len(self.operands(node_id)))


@register(keras.layers.Subtract, *operations("subtract"))
class ConvertSubtract(Merge):
    """The first input minus the second."""

    def convert(self, node_id):
        return self.add_sum(node_id, [1, -1])


@register(keras.layers.Average)
class ConvertAverage(Merge):
    """The mean of the inputs."""

    def convert(self, node_id):
        n = len(self.operands(node_id))
        return self.add_sum(node_id, [1 / n] * n)


@register(*operations("negative"))
class ConvertNegative(Merge):
    """The input times -1."""

    def convert(self, node_id):
        return self.add_sum(node_id, [-1])


_QUOTIENTS = operations("divide", "true_divide")


@register(keras.layers.Multiply, *operations("multiply"), *_QUOTIENTS)
class ConvertMultiply(Merge):
    """An input times (or divided by) constants."""

    def convert(self, node_id):
        call = self.converter.calls[node_id]
        operands = self.operands(node_id)
        divides = isinstance(self.layer, _QUOTIENTS)
        if len(call.inputs) != 1 or (divides and not isinstance(operands[0], Value)):
            raise NotConvertible(
                "the product or quotient of two variable values has no equivalent in Nengo"
            )
        shape, factor = self.output_shape(node_id), 1.0
        for operand in operands:
            if not isinstance(operand, Value):
                constant = _step_of(call, operand)
                factor = factor / constant if divides else factor * constant
        obj = self.add_nengo_obj(node_id)
        shape_in = self.input_shape(node_id)
        n = int(np.prod(shape_in))
        indices = np.broadcast_to(np.arange(n).reshape(shape_in), shape).ravel()
        factor = np.asarray(factor)
        scalar = factor.size == 1
        self.connect(
            self.get_input_obj(node_id),
            obj,
            None if shape_in == shape else indices,
            transform=factor.item() if scalar else np.broadcast_to(factor, shape).ravel(),
        )
        return obj


@register(keras.layers.Concatenate)
class ConvertConcatenate(LayerConverter):
    """The inputs side by side."""

    def convert(self, node_id):
        call = self.converter.calls[node_id]
        axis = self.axis(node_id, self.layer.axis)
        obj = self.add_nengo_obj(node_id)
        shape = self.output_shape(node_id)
        places = np.arange(int(np.prod(shape))).reshape(shape)
        start = 0
        for i, value in enumerate(call.inputs):
            stop = start + value.shape[axis]
            where = np.take(places, np.arange(start, stop), axis=axis).ravel()
            self.connect(self.get_input_obj(node_id, i), obj, to=where)
            start = stop
        return obj
