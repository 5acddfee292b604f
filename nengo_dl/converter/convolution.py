"""Convolutions: plain, separable, depthwise and transposed, of one to three dimensions.

Where `nengo.Convolution` has no form for one (dilation, three dimensions, causal padding, the
padding of Keras's transposed convolutions), the input is copied into patches, to which a
convolution of one position applies the same kernel. So the weights are the layer's own in any case,
and are trained as those are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import nengo
import numpy as np

from nengo_dl.converter.base import LayerConverter, register
from nengo_dl.converter.linear import array
from nengo_dl.converter.regularizers import in_keras_shape
from nengo_dl.converter.taps import Axis, patches

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Image:
    """Shape of an image, whichever axis its channels are."""

    shape: Shape
    channels_last: bool

    @property
    def space(self) -> Shape:
        """The spatial axes."""
        return self.shape[:-1] if self.channels_last else self.shape[1:]

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[-1 if self.channels_last else 0]

    def of_channels(self) -> np.ndarray:
        """The channel of each element of the flat image."""
        channels = np.arange(self.channels)
        if not self.channels_last:
            channels = channels.reshape(-1, *[1] * len(self.space))
        return np.broadcast_to(channels, self.shape).ravel()


class ConvolutionConverter(LayerConverter):
    """What the families of convolutions share."""

    def images(self, node_id: int) -> tuple[Image, Image]:
        """The input and the output."""
        last = self.layer.data_format == "channels_last"
        return Image(self.input_shape(node_id), last), Image(self.output_shape(node_id), last)

    def axes(self, source: Image, target: Image) -> list[Axis]:
        """The spatial axes."""
        layer = self.layer
        parts = source.space, target.space, layer.kernel_size, layer.strides, layer.dilation_rate
        return [Axis(*values, layer.padding) for values in zip(*parts, strict=True)]

    def add_patches(
        self, node_id: int, source: Image, target: Image, table: np.ndarray, groups: int
    ) -> nengo.Node:
        """A Node with the inputs that each output position needs, group by group.

        Laid out as an image of one axis with ``n_taps * source.channels`` channels.
        """
        per_group = source.channels // groups
        channel = np.arange(source.channels).reshape(groups, 1, per_group)
        n_space = int(np.prod(source.space))
        position = table[:, None, :, None]
        if source.channels_last:
            flat = position * source.channels + channel
        else:
            flat = channel * n_space + position
        flat = np.where(position >= 0, flat, -1).reshape(len(table), -1)
        if not target.channels_last:
            flat = flat.T
        flat = flat.ravel()
        node = self.add_node(flat.size, f"{self.name(node_id)}.patches")
        used = np.flatnonzero(flat >= 0)
        self.connect(self.get_input_obj(node_id), node, flat[used], to=used)
        return node

    def convolve_patches(
        self, node_id, obj, table, kernel: np.ndarray, groups: int, regularizer: Callable | None
    ) -> None:
        """Connect the input to ``obj`` through patches; the kernel is (*taps, channels per group,
        filters).
        """
        source, target = self.images(node_id)
        n_out, n_taps = table.shape
        node = self.add_patches(node_id, source, target, table, groups)
        channels = n_taps * source.channels
        image = (n_out, channels) if target.channels_last else (channels, n_out)
        transform = nengo.Convolution(
            kernel.shape[-1],
            image,
            kernel_size=(1,),
            strides=(1,),
            channels_last=target.channels_last,
            groups=groups,
            init=kernel.reshape(1, -1, kernel.shape[-1]),
        )
        self.connect(
            node,
            obj,
            transform=transform,
            trainable=True,
            persistent=True,
            regularizer=regularizer,
            label=f"{self.name(node_id)}.kernel",
        )

    def convolve(
        self, node_id, obj, kernel: np.ndarray, groups: int, regularizer: Callable | None
    ) -> None:
        """Connect the input to ``obj`` by a convolution."""
        source, target = self.images(node_id)
        layer = self.layer
        axes = self.axes(source, target)
        if len(axes) <= 2 and layer.padding != "causal" and max(layer.dilation_rate) == 1:
            transform = nengo.Convolution(
                kernel.shape[-1],
                source.shape,
                kernel_size=tuple(layer.kernel_size),
                strides=tuple(layer.strides),
                padding=layer.padding,
                channels_last=source.channels_last,
                groups=groups,
                init=kernel,
            )
            self.connect(
                self.get_input_obj(node_id),
                obj,
                transform=transform,
                trainable=True,
                persistent=True,
                regularizer=regularizer,
                label=f"{self.name(node_id)}.kernel",
            )
        else:
            table = patches([axis.forward() for axis in axes], source.space)
            self.convolve_patches(node_id, obj, table, kernel, groups, regularizer)

    def add_channel_bias(self, node_id, obj) -> None:
        """Add the layer's bias, one for each channel."""
        layer = self.layer
        if layer.use_bias:
            bias = array(layer.bias)
            regularizer = in_keras_shape(layer.bias_regularizer, bias.shape)
            channels = self.images(node_id)[1].of_channels()
            self.add_bias(node_id, obj, bias, channels, regularizer)


@register(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvertConv(ConvolutionConverter):
    """Convolutions with any padding, strides, groups and dilation."""

    moves_through_time = True

    def convert(self, node_id):
        layer = self.layer
        kernel = array(layer.kernel)
        obj = self.add_nengo_obj(node_id, activation=layer.activation)
        regularizer = in_keras_shape(layer.kernel_regularizer, kernel.shape)
        self.convolve(node_id, obj, kernel, layer.groups, regularizer)
        self.add_channel_bias(node_id, obj)
        return obj


@register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class ConvertDepthwiseConv(ConvolutionConverter):
    """Convolutions of each channel for itself: as many groups as channels."""

    moves_through_time = True
    unsupported_training_args = ("depthwise_constraint",)

    def convert(self, node_id):
        layer = self.layer
        kernel = array(layer.kernel)
        *taps, channels, multiplier = kernel.shape
        obj = self.add_nengo_obj(node_id, activation=layer.activation)
        regularizer = in_keras_shape(layer.depthwise_regularizer, kernel.shape)
        flat = kernel.reshape(*taps, 1, channels * multiplier)
        self.convolve(node_id, obj, flat, channels, regularizer)
        self.add_channel_bias(node_id, obj)
        return obj


@register(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class ConvertSeparableConv(ConvolutionConverter):
    """A depthwise convolution and one of a single position."""

    moves_through_time = True
    unsupported_training_args = ("depthwise_constraint", "pointwise_constraint")

    def convert(self, node_id):
        layer = self.layer
        depthwise = array(layer.depthwise_kernel)
        pointwise = array(layer.pointwise_kernel)
        *taps, channels, multiplier = depthwise.shape
        n_between = channels * multiplier
        target = self.images(node_id)[1]
        n_space = int(np.prod(target.space))
        name = self.name(node_id)
        between = self.add_node(n_space * n_between, f"{name}.depthwise")
        regularizer = in_keras_shape(layer.depthwise_regularizer, depthwise.shape)
        flat = depthwise.reshape(*taps, 1, n_between)
        self.convolve(node_id, between, flat, channels, regularizer)
        obj = self.add_nengo_obj(node_id, activation=layer.activation)
        image = (n_space, n_between) if target.channels_last else (n_between, n_space)
        transform = nengo.Convolution(
            target.channels,
            image,
            kernel_size=(1,),
            strides=(1,),
            channels_last=target.channels_last,
            init=pointwise.reshape(1, n_between, -1),
        )
        self.connect(
            between,
            obj,
            transform=transform,
            trainable=True,
            persistent=True,
            regularizer=in_keras_shape(layer.pointwise_regularizer, pointwise.shape),
            label=f"{name}.pointwise_kernel",
        )
        self.add_channel_bias(node_id, obj)
        return obj


@register(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
class ConvertConvTranspose(ConvolutionConverter):
    """Transposed convolutions with any padding, strides, output padding and dilation."""

    moves_through_time = True

    def convert(self, node_id):
        layer = self.layer
        kernel = array(layer.kernel)
        source, target = self.images(node_id)
        padding = layer.output_padding or [None] * len(source.space)
        tables = [
            axis.transposed(n) for axis, n in zip(self.axes(source, target), padding, strict=True)
        ]
        obj = self.add_nengo_obj(node_id, activation=layer.activation)
        # Keras has the filters before the channels
        swapped = np.swapaxes(kernel, -1, -2)
        axes = (*range(len(source.space)), -1, -2)
        axes = tuple(axis % kernel.ndim for axis in axes)
        regularizer = in_keras_shape(layer.kernel_regularizer, swapped.shape, axes)
        table = patches(tables, source.space)
        self.convolve_patches(node_id, obj, table, swapped, 1, regularizer)
        self.add_channel_bias(node_id, obj)
        return obj
