"""Average pooling and maximum pooling."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from nengo_dl.converter import activations
from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import along_axes, window_starts
from nengo_dl.converter.populations import Population, channels_of
from nengo_dl.converter.scaling import rate_type
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

    def windows(self, node_id):
        """For each position of the output those of its window, -1 for what is outside."""
        space, _ = self.split(self.input_shape(node_id))
        out_space, _ = self.split(self.output_shape(node_id))
        parts = zip(space, out_space, self.layer.pool_size, self.layer.strides, strict=True)
        return patches([Axis(*part, 1, self.layer.padding).forward() for part in parts], space)

    def elements(self, positions, channels, n_space):
        """The elements of an input that are at some positions, in all channels."""
        channel = np.arange(channels)
        if self.layer.data_format == "channels_last":
            return (positions[:, None] * channels + channel).ravel()
        return (channel[:, None] * n_space + positions).ravel()


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
        name, n_space = self.name(node_id), int(np.prod(space))
        table = self.windows(node_id)
        total = self.add_node(len(table) * channels, f"{name}.sum")
        source = self.filtered_input(node_id)
        for positions in table.T:
            self.connect(source, total, self.elements(positions, channels, n_space))
        obj = self.add_node(total.size_out, name)
        self.connect(total, obj, transform=1 / table.shape[1], label=f"{name}.mean")
        return obj


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


class Maximum:
    """The largest element of each window: ``max(a, b)`` is ``b + relu(a - b)``, in rounds in which
    half of the elements are left, as in a tournament. The neurons spike where those of ReLU do.
    """

    def convert(self, node_id):
        if self.converter.max_to_avg_pool:
            return super().convert(node_id)
        space, channels = self.split(self.input_shape(node_id))
        table = self.windows(node_id)
        # in place of what is outside of the image, something that is inside
        inside = np.take_along_axis(table, np.argmax(table >= 0, axis=1)[:, None], axis=1)
        table = np.where(table >= 0, table, inside)
        n_space = int(np.prod(space))
        taps = np.stack([self.elements(p, channels, n_space) for p in table.T], axis=1)
        return self._tournament(node_id, taps)

    def _tournament(self, node_id, taps):
        """``taps`` has the elements of each window, (windows, elements)."""
        source, name = self.filtered_input(node_id), self.name(node_id)
        value = self.converter.calls[node_id].inputs[0]
        all_channels = channels_of(self.layer, value.shape)
        channels = all_channels[taps[:, 0]]
        if taps.shape[1] == 1:
            obj = self.add_node(len(taps), name)
            self.connect(source, obj, taps[:, 0])
            return obj
        while taps.shape[1] > 1:
            n_pairs = taps.shape[1] // 2
            first, second = taps[:, :n_pairs].ravel(), taps[:, n_pairs : 2 * n_pairs].ravel()
            alone = taps[:, 2 * n_pairs :]
            label = f"{name}.of_{taps.shape[1]}"
            population = Population(
                label, value, np.repeat(channels, n_pairs), all_channels, takes_back=True
            )
            ahead = self.add_neurons(node_id, self._neurons(), population)
            self.connect(source, ahead, first)
            self.connect(source, ahead, second, transform=-1)
            obj = self.add_node(len(first) + alone.size, name if taps.shape[1] == 2 else label)
            self.connect(source, obj, np.concatenate([second, alone.ravel()]))
            self.connect(ahead, obj, to=np.arange(len(first)))
            source = obj
            left = np.arange(obj.size_in)
            taps = np.concatenate(
                [
                    left[: len(first)].reshape(first.size // n_pairs, n_pairs),
                    left[len(first) :].reshape(alone.shape),
                ],
                axis=1,
            )
        return source

    def _neurons(self):
        """What ReLU is swapped for, if its rates are those of ReLU."""
        swapped = activations.neuron_type(self.converter.swaps.apply("relu"))
        relu = nengo.RectifiedLinear()
        return swapped if swapped is not None and rate_type(swapped) == relu else relu


@register(*MAXIMUM)
class ConvertMaxPooling(Maximum, ConvertAveragePooling):
    """The maximum of each window, or with ``max_to_avg_pool`` its mean."""


@register(*GLOBAL_MAXIMUM)
class ConvertGlobalMaxPooling(Maximum, ConvertGlobalAveragePooling):
    """The maximum over all positions, or with ``max_to_avg_pool`` the mean."""

    def windows(self, node_id):
        """One window with all positions."""
        space, _ = self.split(self.input_shape(node_id))
        return np.arange(int(np.prod(space)))[None]
