"""Neurons and heights of spikes for a network that sees each input for some steps, from data."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.converter import lookup, measuring
from nengo_dl.converter.parts import Conversion
from nengo_dl.converter.populations import Population
from nengo_dl.converter.rates import (
    LayerRates,
    Report,
    checked_target,
    default_target,
    high_rates,
)
from nengo_dl.converter.scaling import rate_type
from nengo_dl.neurons import IntegratedSpiking
from nengo_dl.normalizations import Normalization

#: what the scale of a channel that is hardly active is measured by, as a share of the layer's
LEAST_SHARE = 0.05


def calibrate(converter: Conversion, data: Any, n_steps: int, target: Any, dt: float) -> Report:
    """See `Converter.calibrate`."""
    if converter.temporal_model:
        raise ValidationError(
            "in a temporal model, the input differs from step to step; calibrate() is for models "
            "that see the same input for several steps",
            attr="temporal_model",
        )
    arrays = lookup.input_arrays(converter.graph, data, "data")
    values = converter.graph.evaluate(arrays)
    converter.firing_rates = [
        _choose(ens, population, values, checked_target(target))
        for ens, population in converter.populations.items()
    ]
    for node in converter.net.all_nodes:
        if isinstance(node.output, Normalization):
            node.output = node.output.of_mean(as_rate=True)
    average_outputs(converter, n_steps)
    return measuring.measure(converter, data, n_steps, dt)


def average_outputs(converter: Conversion, n_steps: int) -> None:
    """Let the outputs be sums of what there was so far, which after so many steps are means."""
    sources = {conn.pre_obj for conn in converter.net.all_connections}
    for value in converter.graph.outputs:
        obj, probe = converter.objects[value], converter.outputs[value.tensor]
        is_last = type(obj) is nengo.Node and obj not in sources
        if is_last and isinstance(obj.output, Normalization):
            obj.output = obj.output.of_mean()
        elif is_last:
            obj.output = nengo.LinearFilter([1 / n_steps], [1, -1], analog=False)
        else:  # a synapse leaves out the last step
            scale = 1 / max(n_steps - 1, 1)
            probe.synapse = nengo.LinearFilter([scale], [1, -1], analog=False)


def _choose(
    ens: nengo.Ensemble, population: Population, values: dict, target: float | None
) -> LayerRates:
    """Give neurons their type."""
    neurons = rate_type(ens.neuron_type)
    if neurons is None:
        raise ValidationError(
            f"the neurons of {population.name!r} are {ens.neuron_type}, which has no rate type "
            "without state; choose another type with swap_activations",
            attr="swap_activations",
        )
    if population.value not in values:
        raise ValidationError(
            f"the layer {population.name!r} is inside another layer, such as TimeDistributed, so "
            "its activity is unknown; to calibrate(), put it into the model itself",
            attr="model",
        )
    target = default_target(nengo.RectifiedLinear()) if target is None else target
    activity = np.abs(values[population.value])
    high = _by_channel(activity.reshape(len(activity), -1), population)
    amplitude = high / target
    ens.neuron_type = IntegratedSpiking(
        neurons, amplitude=amplitude, signed=True if population.takes_back else None
    )
    largest = float(np.max(high))
    return LayerRates(population.name, neurons, target / largest, float(np.mean(activity)), largest)


def _by_channel(activity: np.ndarray, population: Population) -> np.ndarray:
    """For each neuron what its channel is hardly ever above."""
    channels = population.channels_of_value
    order = np.argsort(channels, kind="stable")
    n_channels = int(channels.max()) + 1
    rows = activity[:, order].reshape(len(activity), n_channels, -1)
    high = high_rates(np.moveaxis(rows, 1, 0).reshape(n_channels, -1))
    most = float(np.max(high))
    high = np.maximum(high, LEAST_SHARE * most) if most > 0 else np.ones(n_channels)
    return high[population.channels]
