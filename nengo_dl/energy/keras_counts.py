"""Operations of a Keras model, counted while it runs on examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from nengo_dl.energy.report import EnergyReport, Part
from nengo_dl.layers.base import DEFAULT_DT, SequenceLayer
from nengo_dl.layers.legendre import LegendreMemory
from nengo_dl.layers.lmu import LMU
from nengo_dl.layers.neurons import LIF, AdaptiveLIF
from nengo_dl.layers.spiking import SpikingActivation

_SPIKING = (SpikingActivation, LIF, AdaptiveLIF)
_ACTIVATIONS = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU)
_connections: dict[type, Callable[[Any, tuple, tuple], float]] = {}


def register_connections(layer_class: type) -> Callable:
    """Decorator: a function that counts a layer's multiply-accumulates.

    It takes the layer, and the shapes of its input and its output without the batch, and returns
    their number for one inference. Subclasses of ``layer_class`` use it too.
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


def _channel_axis(layer) -> int:
    return -1 if layer.data_format == "channels_last" else 0


for _name in ("Conv1D", "Conv2D", "Conv3D"):
    register_connections(getattr(keras.layers, _name))(_convolution)
    register_connections(getattr(keras.layers, _name + "Transpose"))(_transposed)
for _name in ("DepthwiseConv1D", "DepthwiseConv2D"):
    register_connections(getattr(keras.layers, _name))(_depthwise)


@register_connections(LegendreMemory)
def _memory(layer, shape_in, shape_out):
    order = layer.cell.order
    return math.prod(shape_in) * order * (order + 1)


@register_connections(LMU)
def _lmu(layer, shape_in, shape_out):
    weights = sum(math.prod(w.shape) for w in layer.cell.to_memory + layer.cell.to_hidden)
    memory, order = layer.cell.memory, layer.cell.memory.order
    return shape_in[0] * (weights + memory.channels * order * (order + 1))


def count_model(
    model: keras.Model,
    x: Any,
    dt: float | None = None,
    n_steps: int | None = None,
    rates: Mapping[str, float] | None = None,
    activations_are_rates: bool = False,
) -> EnergyReport:
    """Count the operations of a Keras model for an inference.

    A synaptic operation is a multiply-accumulate of an input that is not zero, so what is counted
    depends on the examples: each spike costs as many as the unit has connections.

    Parameters
    ----------
    model
        A functional or sequential model.
    x
        Examples, as for ``model.predict``; the counts are means over them.
    dt : float, optional
        Time step in seconds; by default that of the first spiking layer, else 0.001.
    n_steps : int, optional
        Steps of an inference. By default those of the input of the first spiking layer, else 1.
    rates : dict, optional
        Firing rates in hertz, by the names of layers, to use in place of the measured ones.
    activations_are_rates : bool
        For a model without spikes: count as if it were run for ``n_steps`` steps, its activations
        being firing rates in hertz.

    Returns
    -------
    EnergyReport

    Raises
    ------
    ValueError
        For a layer with weights that it cannot count; `register_connections` says how.
    """
    layers = [a for a in model.layers if not isinstance(a, keras.layers.InputLayer)]
    values = _values(model, layers, x)
    spiking = [layer for layer in layers if isinstance(layer, _SPIKING)]
    if dt is None:
        dt = spiking[0].dt if spiking else DEFAULT_DT
    if n_steps is None:
        n_steps = values[spiking[0].name][0].shape[1] if spiking else 1
    repeats = n_steps if activations_are_rates else 1
    given = dict(rates or {})
    unknown = set(given) - {layer.name for layer in layers}
    if unknown:
        raise ValueError(f"rates were given for {sorted(unknown)}, which the model has not")
    parts: list[Part] = []
    events: dict[int, float] = {}
    for layer in layers:
        before, after = values[layer.name]
        source = id(before)
        active = events.get(source)
        if active is None:
            active = float(np.mean(before != 0))
        macs = repeats * _multiply_accumulates(layer, before.shape[1:], after.shape[1:])
        neurons, updates, rate = _neurons(layer, after, n_steps, activations_are_rates)
        rate = given.get(layer.name, rate)
        if rate is not None and (layer.name in given or activations_are_rates):
            events[id(after)] = min(1.0, rate * dt)
        weights = [w for w in layer.weights if len(w.shape) > 0]
        parts.append(
            Part(
                name=layer.name,
                kind=type(layer).__name__,
                neurons=neurons,
                connections=macs / n_steps,
                macs=macs,
                synops=macs * active,
                updates=updates,
                rate=rate,
                parameters=sum(math.prod(w.shape) for w in weights),
                bytes=sum(math.prod(w.shape) * _size(w.dtype) for w in weights),
            )
        )
    return EnergyReport(tuple(parts), n_steps, dt)


def _values(model: keras.Model, layers: list, x: Any) -> dict[str, tuple]:
    """Input and output of each layer as arrays."""
    pairs = {}
    for layer in layers:
        before = layer.input[0] if isinstance(layer.input, (list, tuple)) else layer.input
        after = layer.output[0] if isinstance(layer.output, (list, tuple)) else layer.output
        pairs[layer.name] = before, after
    tensors = {id(tensor): tensor for pair in pairs.values() for tensor in pair}
    found = keras.Model(model.inputs, list(tensors.values())).predict(x, verbose=0)
    found = found if isinstance(found, (list, tuple)) else [found]
    arrays = dict(zip(tensors, found, strict=True))
    return {name: (arrays[id(a)], arrays[id(b)]) for name, (a, b) in pairs.items()}


def _multiply_accumulates(layer, shape_in: tuple, shape_out: tuple) -> float:
    for cls in type(layer).__mro__:
        if cls in _connections:
            return _connections[cls](layer, shape_in, shape_out)
    counted_elsewhere = isinstance(
        layer, (SequenceLayer, keras.layers.BatchNormalization, keras.layers.Dropout)
    )
    if layer.trainable_weights and not counted_elsewhere:
        raise ValueError(
            f"the multiply-accumulates of {layer.name!r}, a {type(layer).__name__}, are not known; "
            "give a function that counts them with nengo_dl.energy.register_connections"
        )
    return 0


def _neurons(layer, after: np.ndarray, n_steps: int, are_rates: bool) -> tuple:
    """Number of neurons, of their updates in an inference, and their mean rate."""
    if isinstance(layer, _SPIKING):
        every = layer.return_sequences
        units = math.prod(after.shape[2:] if every else after.shape[1:])
        events = np.mean(np.abs(after) * _event_size(layer)) if every else None
        return units, units * n_steps, None if events is None else float(events)
    activation = getattr(layer, "activation", None)
    nonlinear = activation is not None and activation is not keras.activations.linear
    if isinstance(layer, _ACTIVATIONS) or nonlinear:
        units = math.prod(after.shape[1:])
        rate = float(np.mean(np.maximum(after, 0))) if are_rates else None
        return units, units * (n_steps if are_rates else 1), rate
    return 0, 0, None


def _event_size(layer) -> Any:
    """What makes hertz of a mean output."""
    return 1 / layer.attribute("amplitude") if hasattr(layer.cell, "neuron_type") else 1.0


def _size(dtype: str) -> int:
    return np.dtype("float16" if dtype == "bfloat16" else dtype).itemsize
