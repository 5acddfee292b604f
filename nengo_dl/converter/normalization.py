"""Layers that multiply with constants and add constants, and layer normalization."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from nengo_dl.converter.base import LayerConverter, NotConvertible, register
from nengo_dl.converter.linear import array
from nengo_dl.normalizations import LayerNorm


class Affine(LayerConverter):
    """A factor and an offset for each element."""

    def add_affine(self, node_id, factor, offset, persistent=True):
        """Node with ``factor * input + offset``, where both broadcast to the input's shape."""
        shape = self.output_shape(node_id)
        obj = self.add_node(int(np.prod(shape)), self.name(node_id))
        factor = np.asarray(factor, dtype=float)
        if factor.size > 1:
            factor = np.broadcast_to(factor, shape).ravel()
        self.connect(
            self.get_input_obj(node_id),
            obj,
            transform=factor.item() if factor.size == 1 else factor,
            persistent=persistent,
            label=f"{self.name(node_id)}.factor",
        )
        offset = np.asarray(offset, dtype=float)
        if np.any(offset):
            values = np.broadcast_to(offset, shape).ravel()
            indices = None
            if offset.size == 1:
                values, indices = values[:1], np.zeros(len(values), dtype=int)
            self.add_bias(node_id, obj, values, indices, trainable=False)
        return obj

    def along(self, node_id, axis: int, values) -> np.ndarray:
        """Values for each place along an axis, in a shape that broadcasts to the input."""
        shape = [1] * len(self.input_shape(node_id))
        shape[self.axis(node_id, axis)] = -1
        return np.reshape(values, shape)


@register(keras.layers.BatchNormalization)
class ConvertBatchNormalization(Affine):
    """Normalization with the moving mean and variance, folded into a factor and an offset."""

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        if not converter.inference_only and layer.trainable:
            return False, (
                "in training it normalizes with the mean of each batch, which has no equivalent "
                "in Nengo, unless inference_only=True or layer.trainable=False"
            )
        return super().convertible(layer, converter)

    def convert(self, node_id):
        layer = self.layer
        mean, variance = (
            array(v).astype(float) for v in (layer.moving_mean, layer.moving_variance)
        )
        factor = 1 / np.sqrt(variance + layer.epsilon)
        if layer.scale:
            factor = factor * array(layer.gamma)
        offset = -mean * factor
        if layer.center:
            offset = offset + array(layer.beta)
        return self.add_affine(
            node_id,
            self.along(node_id, layer.axis, factor),
            self.along(node_id, layer.axis, offset),
        )


@register(keras.layers.Rescaling)
class ConvertRescaling(Affine):
    """``scale * input + offset``"""

    def convert(self, node_id):
        scale, offset = (np.asarray(v, dtype=float) for v in (self.layer.scale, self.layer.offset))
        if scale.ndim and keras.config.image_data_format() == "channels_first":
            scale = scale.reshape(*scale.shape, *[1] * (3 - scale.ndim))
        return self.add_affine(node_id, scale, offset, persistent=False)


@register(keras.layers.Normalization)
class ConvertNormalization(Affine):
    """``(input - mean) / sqrt(variance)``, or the inverse."""

    def convert(self, node_id):
        layer = self.layer
        # both have the axes of the input, with the batch and in a temporal model time in front
        rank = len(self.input_shape(node_id))
        mean, variance = (np.asarray(array(v), dtype=float) for v in (layer.mean, layer.variance))
        if any(v.ndim > rank and np.prod(v.shape[: v.ndim - rank]) > 1 for v in (mean, variance)):
            raise NotConvertible("it normalizes each time step differently")
        mean, variance = (v.reshape(v.shape[max(v.ndim - rank, 0) :]) for v in (mean, variance))
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        if layer.invert:
            return self.add_affine(node_id, deviation, mean)
        return self.add_affine(node_id, 1 / deviation, -mean / deviation)


@register(keras.layers.LayerNormalization)
class ConvertLayerNormalization(LayerConverter):
    """A Node that normalizes, gains as weights, and biases."""

    unsupported_args = ("rms_scaling",)
    unsupported_training_args = (
        "beta_constraint",
        "beta_regularizer",
        "gamma_constraint",
        "gamma_regularizer",
    )

    def convert(self, node_id):
        layer, shape, name = self.layer, self.input_shape(node_id), self.name(node_id)
        axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
        axes = tuple(sorted(self.axis(node_id, axis) for axis in axes))
        positions = [n for i, n in enumerate(shape) if i not in axes]
        shared = int(np.prod(positions)) > 1 and (layer.scale or layer.center)
        if shared and layer.trainable and not self.converter.inference_only:
            raise NotConvertible(
                "its gains and biases are shared by several positions, which Nengo cannot train; "
                "set inference_only=True or layer.trainable=False"
            )
        process = LayerNorm(shape, axes, epsilon=layer.epsilon)
        node = nengo.Node(process, size_in=process.default_size_in, label=f"{name}.normalized")
        self.add_connection(node_id, node)
        obj = self.add_node(process.default_size_in, name)
        spread = [n if i in axes else 1 for i, n in enumerate(shape)]

        def values(variable):
            return np.broadcast_to(array(variable).reshape(spread), shape).ravel()

        gains = {"transform": values(layer.gamma), "trainable": True} if layer.scale else {}
        self.connect(node, obj, persistent=bool(gains), label=f"{name}.gamma", **gains)
        if layer.center:
            self.add_bias(node_id, obj, values(layer.beta))
        return obj
