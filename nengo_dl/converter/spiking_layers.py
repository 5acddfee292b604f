"""The layers of `nengo_dl.layers` as Nengo objects, in temporal models.

The simulator has to have the time step of the layers.
"""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np

from nengo_dl import layers
from nengo_dl.converter import activations
from nengo_dl.converter.base import (
    LayerConverter,
    NotConvertible,
    Population,
    channels_of,
    register,
)
from nengo_dl.converter.linear import array
from nengo_dl.converter.recurrent import check_sequence
from nengo_dl.converter.regularizers import in_keras_shape
from nengo_dl.filter_from import FilterFrom


class ConvertSequenceLayer(LayerConverter):
    """What holds for all of them."""

    unsupported_args = ("go_backwards", "stateful", "return_state", "time_major")

    def source(self, node_id: int) -> Any:
        """The object that holds the input, which has to be a step of a sequence."""
        check_sequence(self.converter.calls[node_id])
        return self.filtered_input(node_id)


@register(layers.SpikingActivation)
class ConvertSpikingActivation(ConvertSequenceLayer):
    """`nengo.RegularSpiking` of the neuron type that computes the activation."""

    def convert(self, node_id):
        self.source(node_id)
        cell = self.layer.cell
        rates = activations.neuron_type(cell.activation)
        if rates is None:
            raise NotConvertible(
                f"its activation {activations.describe(cell.activation)!r} has no neuron type"
            )
        voltage = array(cell.initial_voltage).astype(np.float64)
        obj = self.add_nengo_obj(
            node_id, activation=nengo.RegularSpiking(rates, initial_state={"voltage": voltage})
        )
        self.add_connection(node_id, obj)
        return obj


@register(layers.LIF, layers.AdaptiveLIF)
class ConvertLIF(ConvertSequenceLayer):
    """`nengo.LIF` or `nengo.AdaptiveLIF`, whose input is divided by the threshold.

    Units with different parameters become an ensemble for each kind, and a Node with all of them.
    """

    def convert(self, node_id):
        source, cell, name = self.source(node_id), self.layer.cell, self.name(node_id)
        factors = 1 / self._values("threshold")
        names = [attribute for attribute in cell.attributes if attribute != "threshold"]
        values = np.stack([self._values(attribute) for attribute in names], axis=1)
        kinds, kind_of = np.unique(values, axis=0, return_inverse=True)
        if len(kinds) == 1:
            obj = self.add_nengo_obj(node_id, activation=self._type(names, kinds[0]))
            scale = {} if np.all(factors == 1) else {"transform": factors, "trainable": False}
            self.add_connection(node_id, obj, **scale)
            self._recur(node_id, obj, [(obj, None)])
            return obj
        neurons_of_kinds = []
        obj = self.add_node(cell.units, name)
        value = self.converter.calls[node_id].outputs[0]
        channels = channels_of(self.layer, value.shape)
        for k, kind in enumerate(kinds):
            indices = np.flatnonzero(kind_of.ravel() == k)
            population = Population(f"{name}.kind{k}", value, channels[indices], channels)
            neurons = self.add_neurons(node_id, self._type(names, kind), population)
            self.connect(source, neurons, indices, transform=factors[indices])
            self.connect(neurons, obj, to=indices)
            neurons_of_kinds.append((neurons, indices))
        self._recur(node_id, obj, neurons_of_kinds)
        return obj

    def _recur(self, node_id: int, obj: Any, kinds: list) -> None:
        """Connect neurons among themselves: ``obj`` has their outputs, each of ``kinds`` is neurons
        and which of all they are.
        """

    def _values(self, attribute: str) -> np.ndarray:
        value = self.layer.attribute(attribute).astype(float)
        return np.array(np.broadcast_to(value, (self.layer.cell.units,)))

    def _type(self, names: list[str], values: np.ndarray) -> nengo.neurons.NeuronType:
        parameters = dict(zip(names, map(float, values), strict=True))
        state = {"voltage": nengo.dists.Choice([0])}
        return type(self.layer.cell.neuron_type)(**parameters, initial_state=state)


@register(layers.RecurrentLIF, layers.RecurrentAdaptiveLIF)
class ConvertRecurrentLIF(ConvertLIF):
    """The same, with a connection from their spikes, of height 1 / dt, to the neurons."""

    def _recur(self, node_id, obj, kinds):
        cell, name = self.layer.cell, self.name(node_id)
        kernel = array(cell.recurrent_kernel).T
        nodes = [self.add_node(cell.units, f"{name}.{part}") for part in ("spikes", "jumps")]
        spikes, jumps = nodes
        # any synapse delays by a step; one of 0 seconds does nothing else
        synapse = self.converter.synapses.get(obj)
        synapse = nengo.Lowpass(0) if synapse is None else synapse
        self.connect(obj, spikes, transform=1 / self._values("amplitude"), synapse=synapse)
        self.connect(
            spikes,
            jumps,
            transform=nengo.Dense(kernel.shape, init=kernel),
            trainable=True,
            persistent=True,
            regularizer=in_keras_shape(cell.recurrent_regularizer, kernel.shape, axes=(1, 0)),
            label=f"{name}.recurrent_kernel",
        )
        currents = self.add_node(cell.units, f"{name}.currents")
        self.connect(jumps, currents, transform=self._values("tau_rc"))
        if cell.use_bias:
            bias = array(cell.bias)
            regularizer = in_keras_shape(cell.bias_regularizer, bias.shape)
            self.add_bias(node_id, currents, bias, regularizer=regularizer)
        for neurons, indices in kinds:
            self.connect(currents, neurons, indices)


@register(layers.Lowpass, layers.Alpha)
class ConvertFilter(ConvertSequenceLayer):
    """Nodes that filter, one for each time constant."""

    def convert(self, node_id):
        source, name, units = self.source(node_id), self.name(node_id), self.layer.cell.units
        lowpass = isinstance(self.layer, layers.Lowpass)
        synapse = nengo.Lowpass if lowpass else nengo.Alpha
        tau = np.broadcast_to(self.layer.attribute("tau"), (units,))
        level = np.broadcast_to(self.layer.attribute("initial_level"), (units,))
        constants = np.unique(tau)
        obj = self.add_node(units, name)
        for k, constant in enumerate(constants):
            indices = np.flatnonzero(tau == constant)
            # the output of a Node, unlike a synapse of a connection, comes in the same step
            size = len(indices)
            process = synapse(float(constant))
            if np.any(level[indices]):
                process = FilterFrom(process, level[indices])
            node = nengo.Node(process, size_in=size, size_out=size, label=f"{name}.filter{k}")
            self.connect(source, node, indices)
            self.connect(node, obj, to=indices)
        return obj


@register(layers.LegendreMemory)
class ConvertLegendreMemory(ConvertSequenceLayer):
    """A Node that is connected with itself, with a delay of one step."""

    def convert(self, node_id):
        source, name, cell = self.source(node_id), self.name(node_id), self.layer.cell
        a, b = (array(matrix).astype(np.float64) for matrix in cell.matrices())
        each = np.eye(cell.channels)
        obj = self.add_node(cell.units, name)
        self.connect(source, obj, transform=np.kron(each, b[:, None]), label=f"{name}.b")
        # any synapse delays by a step; one of 0 seconds does nothing else
        self.connect(
            obj, obj, transform=np.kron(each, a), synapse=nengo.Lowpass(0), label=f"{name}.a"
        )
        return obj
