"""Layers that only move numbers, and those that resize images."""

from __future__ import annotations

import keras
import numpy as np

from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import along_axes, array, moved_indices


@register(
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.RepeatVector,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling3D,
)
class ConvertMove(LayerConverter):
    """Each number of the output is one of the input, or zero. Where the order stays there is
    nothing to add.
    """

    moves_through_time = True

    def convert(self, node_id):
        indices = moved_indices(self.layer, self.input_shape(node_id))
        n_in = int(np.prod(self.input_shape(node_id)))
        if np.array_equal(indices, np.arange(n_in)):
            return self.get_input_obj(node_id)
        obj = self.add_nengo_obj(node_id)
        used = np.flatnonzero(indices >= 0)
        self.connect(self.get_input_obj(node_id), obj, indices[used], to=used)
        return obj


@register(keras.layers.UpSampling2D)
class ConvertUpSampling2D(ConvertMove):
    """Nearest neighbours are moved; every other interpolation is a matrix along each axis."""

    def convert(self, node_id):
        layer = self.layer
        if layer.interpolation == "nearest":
            return super().convert(node_id)
        last = layer.data_format == "channels_last"
        shape = self.input_shape(node_id)
        space, channels = (shape[:-1], shape[-1]) if last else (shape[1:], shape[0])
        matrices = [self._matrix(n, axis, last) for axis, n in enumerate(space)]
        matrices = [*matrices, np.eye(channels)] if last else [np.eye(channels), *matrices]
        obj = self.add_nengo_obj(node_id)
        self.add_connection(node_id, obj, transform=along_axes(matrices), trainable=False)
        return obj

    def _matrix(self, size: int, axis: int, last: bool) -> np.ndarray:
        """What the layer makes of unit vectors along an axis, as columns."""
        units = np.eye(size, dtype=np.float32)
        units = np.expand_dims(units, (2, 3) if axis == 0 else (1, 3))
        units = units if last else np.moveaxis(units, 3, 1)
        output = array(self.layer.call(keras.ops.convert_to_tensor(units)))
        output = output if last else np.moveaxis(output, 1, 3)
        return (output[:, :, 0, 0] if axis == 0 else output[:, 0, :, 0]).T.astype(np.float64)


@register(keras.layers.Identity, keras.layers.InputLayer)
class ConvertIdentity(LayerConverter):
    """Nothing to add."""

    def convert(self, node_id):
        return self.get_input_obj(node_id)
