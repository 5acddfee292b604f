"""Nengo networks, compiled, batched and differentiable, on TensorFlow or JAX through Keras."""

from __future__ import annotations

import importlib
import os
from typing import Any

from nengo_dl import xla_options
from nengo_dl.config import configure_settings
from nengo_dl.version import __version__

xla_options.set_defaults(os.environ)

#: public name -> module that has it; loaded when it is first used, because Keras and its backend
#: take seconds to load and not everything needs them
_PUBLIC = {
    "Converter": "converter",
    "InputNode": "input_node",
    "Layer": "tensor_node",
    "ClippedReLU": "neurons",
    "LeakyReLU": "neurons",
    "NengoLayer": "nengo_layer",
    "Simulator": "simulator",
    "SoftLIFRate": "neurons",
    "SpikingLeakyReLU": "neurons",
    "TensorNode": "tensor_node",
    "load_params_into": "runtime.deployment",
    "register_neurons": "lowering.neurons",
    "tensor_layer": "tensor_node",
}
_MODULES = (
    "benchmarks",
    "callbacks",
    "constraints",
    "converter",
    "dists",
    "energy",
    "graph_optimizer",
    "layers",
    "losses",
    "neuron_builders",
    "neurons",
    "nir",
    "obj",
    "quantization",
    "regularizers",
    "surrogates",
    "viz",
)

__all__ = ["__version__", "configure_settings", *_PUBLIC, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"nengo_dl.{name}")
    if name in _PUBLIC:
        value = getattr(importlib.import_module(f"nengo_dl.{_PUBLIC[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nengo_dl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
