"""What the parts of a conversion know of each other."""

from __future__ import annotations

from typing import Any

import keras
import nengo
from nengo.neurons import NeuronType

from nengo_dl.converter.activations import Swaps
from nengo_dl.converter.graph import Call, Graph, Value
from nengo_dl.converter.lookup import Objects
from nengo_dl.converter.populations import Population


class Conversion:
    """Attributes and methods that `nengo_dl.Converter` has and its parts use."""

    model: keras.Model
    net: nengo.Network
    inputs: Objects
    outputs: Objects
    layers: Objects
    fallbacks: dict[str, str]
    firing_rates: list
    allow_fallback: bool
    inference_only: bool
    max_to_avg_pool: bool
    split_shared_weights: bool
    temporal_model: bool
    graph: Graph
    calls: list[Call]
    swaps: Swaps
    #: Nengo object of each value; synapse of neurons; where connections to an object go
    objects: dict[Value, Any]
    synapses: dict[Any, Any]
    populations: dict[nengo.Ensemble, Population]
    entrances: dict[Any, Any]
    #: copies of the Keras layers that are in TensorNodes
    copies: dict[keras.layers.Layer, keras.layers.Layer]

    def convert_layer(self, layer: Any, obj: Any, shape: tuple[int, ...], name: str) -> Any:
        """Convert a layer (or model) that the model itself does not call; returns its output."""
        raise NotImplementedError

    @property
    def one(self) -> nengo.Node:
        """The Node that is 1, from which biases come."""
        raise NotImplementedError

    def filtered(self, obj: Any) -> Any:
        """A Node with the filtered output of neurons; ``obj`` itself where it has no synapse."""
        raise NotImplementedError

    def scale_of(self, layer: Any, neurons: NeuronType) -> float:
        """By how much the firing rates of a layer are scaled."""
        raise NotImplementedError

    def synapse_of(self, layer: Any) -> Any:
        """Synapse on the output of a layer's neurons."""
        raise NotImplementedError
