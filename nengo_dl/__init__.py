"""Nengo networks, compiled, batched and differentiable, on TensorFlow or JAX through Keras."""

from nengo_dl.config import configure_settings
from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.simulator import Simulator
from nengo_dl.version import __version__

__all__ = ["Simulator", "__version__", "configure_settings", "register_neurons"]
