"""Dense layers."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import array
from nengo_dl.converter.regularizers import in_keras_shape


@register(keras.layers.Dense)
class ConvertDense(LayerConverter):
    """A matrix; for inputs with several axes a convolution of one position, which the positions
    share.
    """

    def convert(self, node_id):
        layer = self.layer
        kernel = array(layer.kernel)
        *positions, channels = self.input_shape(node_id)
        n = int(np.prod(positions))
        if n == 1:
            transform = nengo.Dense(kernel.T.shape, init=kernel.T)
            regularizer = in_keras_shape(layer.kernel_regularizer, kernel.T.shape, axes=(1, 0))
        else:
            transform = nengo.Convolution(
                layer.units, (n, channels), kernel_size=(1,), strides=(1,), init=kernel[None]
            )
            regularizer = in_keras_shape(layer.kernel_regularizer, kernel.shape)
        obj = self.add_nengo_obj(node_id, activation=layer.activation)
        self.add_connection(
            node_id,
            obj,
            transform=transform,
            regularizer=regularizer,
            label=f"{self.name(node_id)}.kernel",
        )
        if layer.use_bias:
            indices = None if n == 1 else np.tile(np.arange(layer.units), n)
            bias = array(layer.bias)
            regularizer = in_keras_shape(layer.bias_regularizer, bias.shape)
            self.add_bias(node_id, obj, bias, indices, regularizer)
        return obj
