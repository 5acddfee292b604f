"""Operations of a Keras model, counted while it runs on examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from nengo_dl._private.keras import flattened
from nengo_dl.energy.report import EnergyReport, Part
from nengo_dl.energy.uses import Recording, Use, record
from nengo_dl.layers.arguments import default
from nengo_dl.layers.legendre import LegendreMemory
from nengo_dl.layers.lmu import LMU
from nengo_dl.layers.neurons import LIF, AdaptiveLIF
from nengo_dl.layers.recurrent import RecurrentAdaptiveLIF, RecurrentLIF
from nengo_dl.layers.sequence_layer import SequenceLayer
from nengo_dl.layers.spiking import SpikingActivation
from nengo_dl.runtime.checks import checked_duration

_SPIKING = (SpikingActivation, LIF, AdaptiveLIF)
#: whose products are of their own spikes
_RECURRENT = (RecurrentLIF, RecurrentAdaptiveLIF)
_ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)
#: layers with trained weights that a device multiplies into others, or adds
_NO_PRODUCTS = (keras.layers.BatchNormalization, SequenceLayer)
_connections: dict[type, Callable[[Any, tuple, tuple], float]] = {}


def register_connections(layer_class: type) -> Callable:
    """Decorator that registers a function to count a layer's multiply-accumulates.

    The function takes the layer, and the shapes of its input and output without the batch, and
    returns the number for one inference. It also applies to subclasses of ``layer_class``.

    Examples
    --------
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, shape):
    ...         self.factor = self.add_weight(shape=(shape[-1],))
    ...
    ...     def call(self, x):
    ...         return self.factor * x
    >>> @nengo_dl.energy.register_connections(Scale)
    ... def count(layer, shape_in, shape_out):
    ...     return shape_in[-1]
    >>> model = keras.Sequential([keras.Input((4,)), Scale()])
    >>> nengo_dl.energy.count_model(model, np.ones((1, 4))).total("macs")
    4
    """

    def decorate(function):
        _connections[layer_class] = function
        return function

    return decorate


@register_connections(keras.layers.Dense)
def _dense(layer, shape_in, shape_out):
    return math.prod(shape_in) * shape_out[-1]


def _convolution(layer, shape_in, shape_out):
    # every position of the output is a product of a kernel, of which each filter has its own
    kernel = math.prod(layer.kernel.shape)
    return kernel * math.prod(shape_out) / shape_out[_channel_axis(layer)]


def _transposed(layer, shape_in, shape_out):
    return math.prod(layer.kernel.shape) * math.prod(shape_in) / shape_in[_channel_axis(layer)]


def _depthwise(layer, shape_in, shape_out):
    return math.prod(layer.kernel.shape[:-2]) * math.prod(shape_out)


def _separable(layer, shape_in, shape_out):
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return kernels * math.prod(shape_out) / shape_out[_channel_axis(layer)]


def _recurrent_convolution(layer, shape_in, shape_out):
    # the image of a step, and the state, whose shape is that of an output
    image = shape_out[1:] if layer.return_sequences else shape_out
    kernels = math.prod(layer.cell.kernel.shape) + math.prod(layer.cell.recurrent_kernel.shape)
    return shape_in[0] * kernels * math.prod(image) / image[_channel_axis(layer)]


def _channel_axis(layer) -> int:
    return -1 if layer.data_format == "channels_last" else 0


for _name in ("Conv1D", "Conv2D", "Conv3D"):
    register_connections(getattr(keras.layers, _name))(_convolution)
    register_connections(getattr(keras.layers, _name + "Transpose"))(_transposed)
for _name in ("DepthwiseConv1D", "DepthwiseConv2D"):
    register_connections(getattr(keras.layers, _name))(_depthwise)
for _name in ("SeparableConv1D", "SeparableConv2D"):
    register_connections(getattr(keras.layers, _name))(_separable)
for _name in ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"):
    register_connections(getattr(keras.layers, _name))(_recurrent_convolution)


@register_connections(LegendreMemory)
def _memory(layer, shape_in, shape_out):
    order = layer.cell.order
    return math.prod(shape_in) * order * (order + 1)


@register_connections(LMU)
def _lmu(layer, shape_in, shape_out):
    memory, order = layer.cell.memory, layer.cell.memory.order
    return _recurrent(layer, shape_in, shape_out) + shape_in[0] * memory.channels * order * (
        order + 1
    )


@register_connections(keras.layers.RNN)
def _recurrent(layer, shape_in, shape_out):
    """Each matrix of a cell multiplies a vector once in a step."""
    weights = [w for w in layer.cell.weights if "bias" not in w.name]
    if any(len(w.shape) > 2 for w in weights):
        raise _unknown(layer)
    return shape_in[0] * sum(math.prod(w.shape) for w in weights if len(w.shape) == 2)


def count_model(
    model: keras.Model,
    x: Any,
    dt: float | None = None,
    n_steps: int | None = None,
    rates: Mapping[str, float] | None = None,
    activations_are_rates: bool = False,
) -> EnergyReport:
    """Count the operations of a Keras model for one inference.

    A synaptic operation is a multiply-accumulate of an input that is not zero, so the counts depend
    on the examples: each spike costs one operation per connection of its unit.

    A layer is counted each time the model calls it: operations, neurons and updates are counted in
    each place, including nested models, wrappers and layers, and in each step of a
    ``TimeDistributed``. Shared parameters are stored, and counted, once.

    Parameters
    ----------
    model
        A model that has been built. It is run on the examples without being compiled.
    x
        Examples, as for ``model.predict``; the counts are means over them.
    dt : float, optional
        Time step in seconds; by default that of the first spiking layer, otherwise 0.001.
    n_steps : int, optional
        Number of steps of an inference. By default that of the input of the first spiking layer,
        otherwise 1.
    rates : dict, optional
        Firing rates in hertz by layer name, used instead of measured rates.
    activations_are_rates : bool
        For a model without spikes: count as if it ran for ``n_steps`` steps, and interpret its
        activations as firing rates in hertz.

    Returns
    -------
    EnergyReport

    Raises
    ------
    ValueError
        If the model is not built, or if it contains a layer with weights that cannot be counted;
        use `register_connections` for such layers.

    Examples
    --------
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((10, 4)),
    ...         keras.layers.Dense(8),
    ...         nengo_dl.layers.SpikingActivation("relu"),
    ...         keras.layers.Dense(2),
    ...     ]
    ... )
    >>> report = nengo_dl.energy.count_model(model, np.ones((1, 10, 4)))
    >>> report.total("macs")  # 10 steps of 4 * 8 and 8 * 2
    480
    >>> report.joules("loihi") < report.joules("cpu")
    True
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"expected a keras.Model, got {model!r}")
    if not model.built:
        raise ValueError(f"{model.name} has not been built; call it with examples first")
    given = dict(rates or {})
    layers = _inside(model)
    unknown = set(given) - {layer.name for layer in layers}
    if unknown:
        raise ValueError(
            f"rates were given for {sorted(unknown)}, which are not layers of the model"
        )
    dt = None if dt is None else checked_duration("dt", dt)
    first = next((layer for layer in layers if isinstance(layer, _SPIKING)), None)
    if dt is None:
        dt = default.dt if first is None else first.dt
    recording = record(model, x, _is_counted)
    if n_steps is None:
        steps = (use.shape_in[0] for use in recording.uses if isinstance(use.layer, _SPIKING))
        n_steps = next(steps, 1)
    _refuse_unknown(layers)
    counts = _Counts(recording, n_steps, dt, given, activations_are_rates)
    used = dict.fromkeys(use.layer for use in recording.uses)
    return EnergyReport(tuple(counts.part(layer) for layer in used), n_steps, dt)


def _connections_of(layer: Any) -> Callable | None:
    """What counts the multiply-accumulates of a layer, if that is known."""
    return next((_connections[cls] for cls in type(layer).__mro__ if cls in _connections), None)


def _is_counted(layer: Any) -> bool:
    """Whether a layer is counted as it is; else those inside it are."""
    return _connections_of(layer) is not None or not _inside(layer)


def _inside(layer: Any) -> list:
    return flattened(layer, include_self=False)


def _refuse_unknown(layers: list) -> None:
    """An error for weights of which nobody knows how often they multiply."""
    known = {id(w) for a in layers if _connections_of(a) is not None for w in a.trainable_weights}
    for layer in layers:
        inner = {id(w) for a in _inside(layer) for w in a.trainable_weights}
        own = [w for w in layer.trainable_weights if id(w) not in inner | known]
        if own and not isinstance(layer, _NO_PRODUCTS):
            raise _unknown(layer)


def _unknown(layer: Any) -> ValueError:
    return ValueError(
        f"the multiply-accumulates of {layer.name!r}, a {type(layer).__name__}, are unknown; "
        "register a function that counts them with nengo_dl.energy.register_connections"
    )


class _Counts:
    """Sums over the uses of layers, for one inference."""

    def __init__(self, recording: Recording, n_steps: int, dt: float, rates: dict, are_rates: bool):
        self.recording, self.n_steps, self.dt = recording, n_steps, dt
        self.rates, self.are_rates = rates, are_rates
        self._seen: set[int] = set()

    def part(self, layer: Any) -> Part:
        """What all uses of a layer take together."""
        uses = [use for use in self.recording.uses if use.layer is layer]
        macs = [self._multiply_accumulates(use) for use in uses]
        neurons, updates, rates = zip(*map(self._neurons, uses), strict=True)
        weights = [w for w in layer.weights if len(w.shape) > 0 and id(w) not in self._seen]
        self._seen.update(id(w) for w in weights)
        return Part(
            name=layer.name,
            kind=type(layer).__name__,
            neurons=sum(neurons),
            connections=sum(macs) / self.n_steps,
            macs=sum(macs),
            synops=sum(n * self._share(use) for n, use in zip(macs, uses, strict=True)),
            updates=sum(updates),
            rate=None if None in rates else float(np.average(rates, weights=neurons)),
            parameters=sum(math.prod(w.shape) for w in weights),
            bytes=sum(math.prod(w.shape) * _size(w.dtype) for w in weights),
        )

    def _times(self, use: Use) -> float:
        """How often an inference makes this call."""
        return use.items / self.recording.examples

    def _multiply_accumulates(self, use: Use) -> float:
        count = _connections_of(use.layer)
        if count is None:
            return 0
        repeats = self.n_steps if self.are_rates else 1
        return repeats * self._times(use) * count(use.layer, use.shape_in, use.shape_out)

    def _share(self, use: Use) -> float:
        """The mean share that is not zero of what a use multiplies: its input, or its spikes."""
        if isinstance(use.layer, _RECURRENT):
            rate = self.rates.get(use.layer.name, _rate(use))
            return min(1.0, rate * self.dt)
        if use.source is not None:
            name = use.source.layer.name
            rate = self._neurons(use.source)[2]
            if rate is not None and (name in self.rates or self.are_rates):
                return min(1.0, rate * self.dt)
        return use.active / use.items

    def _neurons(self, use: Use) -> tuple[int, float, float | None]:
        """Number of neurons, of their updates in an inference, and their mean rate."""
        layer, rate = use.layer, None
        recurrent = isinstance(layer, keras.layers.RNN) and _is_nonlinear(layer)
        if isinstance(layer, _SPIKING) or recurrent:
            every = layer.return_sequences
            units = math.prod(use.shape_out[1:] if every else use.shape_out)
            updates = units * use.shape_in[0] * self._times(use)
            if every and not recurrent:
                rate = _rate(use)
        elif _is_nonlinear(layer):
            units = math.prod(use.shape_out)
            updates = units * self._times(use) * (self.n_steps if self.are_rates else 1)
            if self.are_rates:
                rate = float(np.mean(use.positives)) / use.items
        else:
            return 0, 0, self.rates.get(layer.name)
        return units, updates, self.rates.get(layer.name, rate)


def _is_nonlinear(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    linear = activation is None or activation is keras.activations.linear
    return isinstance(layer, _ACTIVATIONS) or not linear


def _rate(use: Use) -> float:
    """Mean firing rate in hertz; of the last step, where the output has no other."""
    return float(np.mean(use.magnitudes * _event_size(use.layer))) / use.items


def _event_size(layer) -> Any:
    """What makes hertz of a mean output."""
    return 1 / layer.attribute("amplitude") if hasattr(layer.cell, "neuron_type") else 1.0


def _size(dtype: str) -> int:
    return np.dtype("float16" if dtype == "bfloat16" else dtype).itemsize
