"""Layers and operations that are activations."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from nengo_dl.converter.activations import activation_problem, no_equivalent
from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import array
from nengo_dl.converter.spellings import KINDS


@register(keras.layers.Activation, keras.layers.Lambda, *KINDS)
class ConvertActivation(LayerConverter):
    """Neurons, whose type computes the activation."""

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        if converter.swaps(layer) is layer and activation_problem(layer, converter.swaps):
            return False, no_equivalent(layer)
        return super().convertible(layer, converter)

    def convert(self, node_id):
        obj = self.add_nengo_obj(node_id, activation=self.layer)
        self.add_connection(node_id, obj)
        return obj


@register(keras.layers.PReLU)
class ConvertPReLU(LayerConverter):
    """``relu(x) - alpha * relu(-x)``: two populations of rectified linear neurons, or where all
    slopes are the same one of `nengo_dl.LeakyReLU`.
    """

    unsupported_training_args = ("alpha_constraint",)

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        if not converter.inference_only and layer.trainable:
            return False, (
                "Nengo cannot train its slopes; set inference_only=True or layer.trainable=False"
            )
        return super().convertible(layer, converter)

    def convert(self, node_id):
        alpha = array(self.layer.alpha)
        name, shape = self.name(node_id), self.output_shape(node_id)
        slope = float(alpha.flat[0])
        if slope >= 0 and np.all(alpha == slope):
            obj = self.add_nengo_obj(
                node_id, activation=keras.layers.LeakyReLU(negative_slope=slope)
            )
            self.add_connection(node_id, obj)
            return obj
        source = self.filtered_input(node_id)
        # each is a part of the output
        above, below = (self.add_nengo_obj(node_id, activation="relu") for _ in range(2))
        for half in (above, below):
            population = self.converter.populations[half.ensemble]
            self.converter.populations[half.ensemble] = replace(population, computes_value=False)
        self.connect(source, above)
        self.connect(source, below, transform=-1)
        obj = self.add_node(int(np.prod(shape)), name)
        self.connect(above, obj)
        # in a temporal model the axis of time has no slopes of its own
        alpha = alpha.reshape(alpha.shape[alpha.ndim - len(shape) :])
        slopes = np.broadcast_to(alpha, shape).ravel()
        self.connect(below, obj, transform=-slopes, persistent=True, label=f"{name}.alpha")
        return obj
