"""Average pooling, and maximum pooling where an average may stand for it."""

from __future__ import annotations

import keras
import numpy as np

from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import along_axes, window_starts
from nengo_dl.converter.taps import Axis, patches

AVERAGE = (
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
)
MAXIMUM = (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)
GLOBAL_AVERAGE = (
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
GLOBAL_MAXIMUM = (
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)


class Pooling(LayerConverter):
    """What the families share."""

    moves_through_time = True

    def split(self, shape):
        """Spatial axes and number of channels."""
        if self.layer.data_format == "channels_last":
            return shape[:-1], shape[-1]
        return shape[1:], shape[0]


@register(*AVERAGE)
class ConvertAveragePooling(Pooling):
    """The mean of each window; "same" counts only what is inside the image."""

    def convert(self, node_id):
        layer = self.layer
        space, channels = self.split(self.input_shape(node_id))
        windows = list(zip(space, layer.pool_size, layer.strides, strict=True))
        if all(_is_inside(*window, layer.padding) for window in windows):
            return self._sum_of_parts(node_id, space, channels)
        matrices = [_means(*window, layer.padding) for window in windows]
        obj = self.add_nengo_obj(node_id)
        transform = along_axes(_with_channels(layer, matrices, channels))
        self.add_connection(node_id, obj, transform=transform, trainable=False)
        return obj

    def _sum_of_parts(self, node_id, space, channels):
        """One connection for each position in the windows: all of them read it in the same way."""
        layer, name = self.layer, self.name(node_id)
        out_space, _ = self.split(self.output_shape(node_id))
        parts = zip(space, out_space, layer.pool_size, layer.strides, strict=True)
        tables = [Axis(*part, 1, layer.padding).forward() for part in parts]
        table = patches(tables, space)
        total = self.add_node(len(table) * channels, f"{name}.sum")
        source = self.filtered_input(node_id)
        for positions in table.T:
            self.connect(source, total, self._elements(positions, channels, int(np.prod(space))))
        obj = self.add_node(total.size_out, name)
        self.connect(total, obj, transform=1 / table.shape[1], label=f"{name}.mean")
        return obj

    def _elements(self, positions, channels, n_space):
        channel = np.arange(channels)
        if self.layer.data_format == "channels_last":
            return (positions[:, None] * channels + channel).ravel()
        return (channel[:, None] * n_space + positions).ravel()


def _is_inside(size, window, stride, padding) -> bool:
    """Whether all windows along an axis are whole."""
    starts, n = window_starts(size, window, stride, padding)
    return n > 0 and starts[0] >= 0 and starts[-1] + window <= size


def _means(size, window, stride, padding) -> np.ndarray:
    starts, n = window_starts(size, window, stride, padding)
    matrix = np.zeros((n, size))
    for row, start in zip(matrix, starts, strict=True):
        row[max(start, 0) : start + window] = 1
    return matrix / matrix.sum(axis=1, keepdims=True)


def _with_channels(layer, matrices, channels) -> list[np.ndarray]:
    if layer.data_format == "channels_last":
        return [*matrices, np.eye(channels)]
    return [np.eye(channels), *matrices]


@register(*GLOBAL_AVERAGE)
class ConvertGlobalAveragePooling(Pooling):
    """The mean over all positions."""

    def convert(self, node_id):
        space, channels = self.split(self.input_shape(node_id))
        matrices = [np.full((1, n), 1 / n) for n in space]
        obj = self.add_nengo_obj(node_id)
        transform = along_axes(_with_channels(self.layer, matrices, channels))
        self.add_connection(node_id, obj, transform=transform, trainable=False)
        return obj


class InsteadOfMaximum:
    """Adds the condition under which a mean may stand for a maximum."""

    @classmethod
    def convertible(cls, layer, converter):
        """See `LayerConverter.convertible`."""
        if not converter.max_to_avg_pool:
            return False, "a maximum has no equivalent in Nengo, unless max_to_avg_pool=True"
        return super().convertible(layer, converter)


@register(*MAXIMUM)
class ConvertMaxPooling(InsteadOfMaximum, ConvertAveragePooling):
    """Average pooling in place of maximum pooling."""


@register(*GLOBAL_MAXIMUM)
class ConvertGlobalMaxPooling(InsteadOfMaximum, ConvertGlobalAveragePooling):
    """Global average pooling in place of global maximum pooling."""
