"""Nengo networks, compiled, batched and differentiable, on TensorFlow or JAX through Keras."""

from nengo_dl import callbacks, dists, graph_optimizer, losses, obj
from nengo_dl.config import configure_settings
from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU
from nengo_dl.runtime.deployment import load_params_into
from nengo_dl.simulator import Simulator
from nengo_dl.tensor_node import Layer, TensorNode, tensor_layer
from nengo_dl.version import __version__

__all__ = [
    "Layer",
    "LeakyReLU",
    "Simulator",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "TensorNode",
    "__version__",
    "callbacks",
    "configure_settings",
    "dists",
    "graph_optimizer",
    "load_params_into",
    "losses",
    "obj",
    "register_neurons",
    "tensor_layer",
]
