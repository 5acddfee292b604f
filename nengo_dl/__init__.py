"""Nengo networks, compiled, batched and differentiable, on TensorFlow or JAX through Keras."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nengo_dl import distribution, keras_backend, process_settings
from nengo_dl.settings import configure_settings
from nengo_dl.version import __version__

if TYPE_CHECKING:  # what `__getattr__` loads; a test compares the two
    from nengo_dl import (
        benchmarks,
        callbacks,
        constraints,
        converter,
        dists,
        energy,
        events,
        graph_optimizer,
        layers,
        losses,
        neurons,
        nir,
        quantization,
        regularizers,
        surrogates,
        sweeps,
        synapses,
        viz,
    )
    from nengo_dl.compat.modules import neuron_builders, obj
    from nengo_dl.converter import Converter
    from nengo_dl.input_node import InputNode
    from nengo_dl.lowering.neurons import register_neurons
    from nengo_dl.nengo_layer import NengoLayer
    from nengo_dl.neurons import (
        ELU,
        GELU,
        ClippedReLU,
        IntegratedSpiking,
        LeakyReLU,
        SiLU,
        SoftLIFRate,
        SpikingLeakyReLU,
    )
    from nengo_dl.runtime.parameters.deployment import load_params_into
    from nengo_dl.simulator import Simulator
    from nengo_dl.sweeps import sweep
    from nengo_dl.tensor_node import Layer, TensorNode, tensor_layer

__all__ = [
    "ELU",
    "GELU",
    "ClippedReLU",
    "Converter",
    "InputNode",
    "IntegratedSpiking",
    "Layer",
    "LeakyReLU",
    "NengoLayer",
    "SiLU",
    "Simulator",
    "SoftLIFRate",
    "SpikingLeakyReLU",
    "TensorNode",
    "__version__",
    "benchmarks",
    "callbacks",
    "configure_settings",
    "constraints",
    "converter",
    "dists",
    "energy",
    "events",
    "graph_optimizer",
    "layers",
    "load_params_into",
    "losses",
    "neuron_builders",
    "neurons",
    "nir",
    "obj",
    "quantization",
    "register_neurons",
    "regularizers",
    "surrogates",
    "sweep",
    "sweeps",
    "synapses",
    "tensor_layer",
    "viz",
]

#: modules of earlier versions, which are in a folder of their own
_OLDER = (
    "builder",
    "compat",
    "learning_rule_builders",
    "neuron_builders",
    "obj",
    "op_builders",
    "process_builders",
    "transform_builders",
    "utils",
)
__path__.append(os.path.join(__path__[0], "compat", "modules"))

#: public name -> module that has it, for those that are not modules; all are loaded when they are
#: first used, because Keras and its backend take seconds to load and not everything needs them
_PUBLIC = {
    "Converter": "converter",
    "InputNode": "input_node",
    "Layer": "tensor_node",
    "ClippedReLU": "neurons",
    "ELU": "neurons",
    "GELU": "neurons",
    "IntegratedSpiking": "neurons",
    "LeakyReLU": "neurons",
    "NengoLayer": "nengo_layer",
    "Simulator": "simulator",
    "SiLU": "neurons",
    "SoftLIFRate": "neurons",
    "SpikingLeakyReLU": "neurons",
    "TensorNode": "tensor_node",
    "load_params_into": "runtime.parameters.deployment",
    "register_neurons": "lowering.neurons",
    "sweep": "sweeps",
    "tensor_layer": "tensor_node",
}

distribution.check_for_the_other()
process_settings.choose_backend(os.environ)
process_settings.less_talk(os.environ)
process_settings.load_quietly(os.environ)
process_settings.prepare_keras()
process_settings.prepare_jax()
process_settings.set_xla_flags(os.environ)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(_load(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in __all__ or name in _OLDER:
        return _load(name)
    raise AttributeError(f"module 'nengo_dl' has no attribute {name!r}")


def _load(module: str) -> ModuleType:
    try:
        # looking for garbage is a tenth of the time that the imports take
        with process_settings.collected_later(), process_settings.same_random_numbers():
            return importlib.import_module(f"nengo_dl.{module}")
    except Exception:
        problem = keras_backend.problem()
        if problem is None:
            raise
        raise ImportError(problem) from None


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
