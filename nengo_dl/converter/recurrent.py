"""Layers that work along time, or apply another layer along an axis."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from nengo_dl.converter.base import LayerConverter, NotConvertible, register
from nengo_dl.converter.dense import ConvertDense
from nengo_dl.converter.graph import Call
from nengo_dl.converter.linear import array
from nengo_dl.converter.regularizers import in_keras_shape


def check_sequence(call: Call) -> None:
    """Refuse a call of a layer that goes through sequences where the network does not."""
    (value, *states) = call.inputs
    if not value.temporal:
        raise NotConvertible(
            "its time axis is not the time of the network, unless temporal_model=True"
        )
    if states:
        raise NotConvertible("an initial state has no equivalent in Nengo")


@register(keras.layers.SimpleRNN)
class ConvertSimpleRNN(LayerConverter):
    """Neurons that are connected among themselves, with a delay of one step.

    Where the layer returns the last output only, the network has the present one at each step, and
    the probe of the model's output keeps the last.
    """

    unsupported_args = ("go_backwards", "stateful", "return_state")
    unsupported_training_args = ("dropout", "recurrent_dropout", "recurrent_constraint")

    def convert(self, node_id):
        check_sequence(self.converter.calls[node_id])
        layer, name = self.layer, self.name(node_id)
        cell = layer.cell
        kernel, recurrent = (array(v) for v in (cell.kernel, cell.recurrent_kernel))
        obj = self.add_nengo_obj(node_id, activation=cell.activation)
        self.add_connection(
            node_id,
            obj,
            transform=nengo.Dense(kernel.T.shape, init=kernel.T),
            regularizer=in_keras_shape(cell.kernel_regularizer, kernel.T.shape, axes=(1, 0)),
            label=f"{name}.kernel",
        )
        # any synapse delays by a step; one of 0 seconds does nothing else
        synapse = self.converter.synapses.get(obj)
        self.connect(
            obj,
            obj,
            transform=nengo.Dense(recurrent.T.shape, init=recurrent.T),
            synapse=nengo.Lowpass(0) if synapse is None else synapse,
            trainable=True,
            persistent=True,
            regularizer=in_keras_shape(cell.recurrent_regularizer, recurrent.T.shape, axes=(1, 0)),
            label=f"{name}.recurrent_kernel",
        )
        if cell.use_bias:
            bias = array(cell.bias)
            regularizer = in_keras_shape(cell.bias_regularizer, bias.shape)
            self.add_bias(node_id, obj, bias, regularizer=regularizer)
        return obj


@register(keras.layers.TimeDistributed)
class ConvertTimeDistributed(LayerConverter):
    """In a temporal model the layer inside it, step by step; else that layer for each index of the
    first axis.
    """

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        shared = layer.layer.trainable_weights and not isinstance(layer.layer, keras.layers.Dense)
        copies = converter.inference_only or converter.split_shared_weights
        if shared and not converter.temporal_model and not copies:
            return False, (
                "its layer's weights are shared along the first axis, which Nengo cannot "
                "represent; set split_shared_weights=True or inference_only=True"
            )
        return super().convertible(layer, converter)

    def convert(self, node_id):
        inner, name = self.layer.layer, self.name(node_id)
        value = self.converter.calls[node_id].inputs[0]
        if value.temporal:
            return self.converter.convert_layer(
                inner, self.get_input_obj(node_id), value.shape, f"{name}.{inner.name}"
            )
        if type(inner) is keras.layers.Dense:
            return ConvertDense(inner, self.converter).convert(node_id)
        return self._along_first_axis(node_id, value.shape)

    def _along_first_axis(self, node_id, shape):
        inner, name = self.layer.layer, self.name(node_id)
        size, size_out = (int(np.prod(s[1:])) for s in (shape, self.output_shape(node_id)))
        obj = self.add_node(shape[0] * size_out, name)
        source = self.filtered_input(node_id)
        for i in range(shape[0]):
            item = self.add_node(size, f"{name}.{i}")
            self.connect(source, item, np.arange(i * size, (i + 1) * size))
            result = self.converter.convert_layer(
                inner, item, shape[1:], f"{name}.{i}.{inner.name}"
            )
            self.connect(result, obj, to=np.arange(i * size_out, (i + 1) * size_out))
        return obj
