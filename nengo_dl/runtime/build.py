"""From a network to something that runs: build, compile, lower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo import Network, Node, Probe
from nengo.builder import Model
from nengo.rc import rc

import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl import config, surrogates
from nengo_dl.compiler.compile import Compiled, Options, compile_model
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.kernel import Settings, is_host_call
from nengo_dl.compiler.program import Input
from nengo_dl.input_node import ConstantNode
from nengo_dl.lowering.tensor_nodes import SimTensorNode
from nengo_dl.process_settings import collected_later
from nengo_dl.runtime import backends
from nengo_dl.runtime.inputs.host import HostRuntime
from nengo_dl.runtime.inputs.names import N_STEPS, unique_names
from nengo_dl.runtime.inputs.sources import make_source
from nengo_dl.runtime.parameters.learned import learned_signals
from nengo_dl.runtime.parameters.stored import (
    Parameter,
    describe,
    find_parameters,
    find_quantizers,
    find_trainable,
)
from nengo_dl.runtime.parameters.trained_attributes import TrainedAttributes, find_attributes
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.engine import Engine, scope
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.training.regularization import add_regularizers


@dataclass(frozen=True)
class Choices:
    """What ``configure_settings`` says about running and training."""

    stateful: bool
    jit_compile: bool | None
    data_dtype: str


@dataclass(frozen=True)
class Built:
    """All that a simulator holds."""

    model: Model
    compiled: Compiled
    keras_model: NengoModel
    engine: Engine
    host: HostRuntime
    parameters: tuple[Parameter, ...]
    attributes: TrainedAttributes
    choices: Choices
    names: dict[Node | Probe, str]
    inputs: dict[Node, Input]


@dataclass(frozen=True)
class Target:
    """What to build for."""

    minibatch_size: int
    device: str | None
    unroll_simulation: int


class _Setting:
    """Looks up a setting of the network that is simulated, if there is one."""

    def __init__(self, toplevel: Network | None):
        self.toplevel = toplevel

    def __call__(self, name: str, default: Any) -> Any:
        value = None if self.toplevel is None else config.get_setting(self.toplevel, name)
        return default if value is None else value


@collected_later()
def build(
    network: Network | None, dt: float, model: Model | None, target: Target, progress: Any
) -> Built:
    """Build, compile and lower ``network``."""
    toplevel = network if network is not None or model is None else model.toplevel
    setting = _Setting(toplevel)
    stage = progress.next_stage("Building", "Build")
    model = build_model(network, dt, model, stage, how=_how(setting))
    attributes = find_attributes(model, toplevel)
    parameters = [*find_parameters(model, toplevel), *attributes.parameters()]
    compiled = _compile(model, parameters, attributes, target.minibatch_size, setting)
    inputs = {item.node: item for item in _node_inputs(compiled)}
    names = {**unique_names(inputs, [N_STEPS]), **unique_names(model.probes)}
    host = make_host(compiled, target.minibatch_size)
    with scope(backends.active(), setting("dtype", "float32"), target.device):
        keras_model = _keras_model(compiled, parameters, names, host, target, setting)
        jit_compile = _jit_compile(compiled, target.minibatch_size, setting)
    add_regularizers(keras_model, parameters, toplevel)
    choices = Choices(
        stateful=setting("stateful", True),
        jit_compile=jit_compile,
        data_dtype=_data_dtype(setting("dtype", None)),
    )
    engine = Engine(
        keras_model,
        make_sources(compiled, host, 0),
        unroll=target.unroll_simulation,
        jit=choices.jit_compile,
        device=target.device,
    )
    return Built(
        model,
        compiled,
        keras_model,
        engine,
        host,
        tuple(parameters),
        attributes,
        choices,
        names,
        inputs,
    )


def _how(setting: _Setting) -> str:
    """How the model is built: in double precision to the last bit as Nengo builds it."""
    default = "exact" if setting("dtype", "float32") == "float64" else "fast"
    return setting("build", default)


def _compile(
    model: Model, parameters, attributes, minibatch_size: int, setting: _Setting
) -> Compiled:
    trainable = {}
    if not setting("inference_only", False):
        trainable = find_trainable(model, setting.toplevel, parameters)
    defaults = Options()
    return compile_model(
        model,
        Options(
            planner=setting("planner", defaults.planner),
            sorter=setting("sorter", defaults.sorter),
            simplifications=setting("simplifications", defaults.simplifications),
            trainable=trainable,
            replaced=attributes.replaced,
            minibatch_size=minibatch_size,
        ),
    )


def _keras_model(
    compiled: Compiled, parameters, names, host: HostRuntime, target: Target, setting: _Setting
) -> NengoModel:
    model, backend = compiled.program.model, backends.active()
    by_signal = {p.signal.base: p for p in parameters}
    lowering = Settings(
        dt=model.dt,
        dtype=setting("dtype", "float32"),
        minibatch_size=target.minibatch_size,
        lif_smoothing=setting("lif_smoothing", None),
        surrogate=surrogates.get(setting("surrogate", None)),
        product_form=backend.product_form,
        matmul=backend.matmul,
        adds_slices=backend.adds_slices,
    )
    return NengoModel(
        LoweredNetwork(compiled, lowering, host, backend.host_call),
        [describe(s, by_signal) for s in compiled.layout.of_kind("parameter")],
        {names.get(item.node, item.name): item for item in _all_inputs(compiled)},
        [names[probe] for probe in model.probes],
        _kept(setting.toplevel, model.probes),
        backend,
        use_loop=setting("use_loop", True),
        learning_phase=setting("learning_phase", None),
        checkpoint_segments=setting("checkpoint_segments", None),
        quantizers=find_quantizers(setting.toplevel, parameters),
        learned=learned_signals(model),
    )


def _jit_compile(compiled: Compiled, minibatch_size: int, setting: _Setting) -> bool | None:
    """The setting ``jit_compile``; where it was not made, False for networks with TensorNodes whose
    random numbers have a seed without XLA only.
    """
    chosen = setting("jit_compile", None)
    if chosen is None:
        nodes = (op for op in compiled.program.operators if isinstance(op, SimTensorNode))
        dtype = setting("dtype", "float32")
        if any(_loses_seed(op, minibatch_size, dtype) for op in nodes):
            return False
    return chosen


def _loses_seed(op: SimTensorNode, minibatch_size: int, dtype: str) -> bool:
    if op.layer is not None and type(op.layer).__module__.startswith("keras."):
        return False

    def call(t, x, *state):
        return op.call(t, x, list(state), False, minibatch_size)[0]

    size_in = 0 if op.input is None else op.input.size
    shapes = [(), (minibatch_size, size_in), *((minibatch_size, *s.shape) for s in op.updates)]
    return backends.active().loses_seed_in_xla(call, shapes, dtype)


def _all_inputs(compiled: Compiled) -> tuple[Input, ...]:
    return (*compiled.program.inputs, *compiled.program.loop_inputs)


def _node_inputs(compiled: Compiled) -> list[Input]:
    """The inputs that are the values of a Node, for which data can be given, in the order of the
    Nodes.
    """
    toplevel = compiled.program.model.toplevel
    nodes = [] if toplevel is None else toplevel.all_nodes
    order = {node: number for number, node in enumerate(nodes)}
    inputs = [
        item
        for item in _all_inputs(compiled)
        if item.node is not None and not isinstance(item.node, ConstantNode)
    ]
    return sorted(inputs, key=lambda item: order.get(item.node, len(order)))


def _data_dtype(dtype: str | None) -> str:
    """Precision of ``sim.data``: that of ``nengo.rc``, or where it is the default the network's
    setting.
    """
    nengo_dtype = np.dtype(rc.float_dtype).name
    return dtype if dtype is not None and nengo_dtype == "float64" else nengo_dtype


def _kept(toplevel: Network | None, probes: Sequence[Probe]) -> list[bool]:
    """For each probe, whether all steps are kept, or only the last."""
    if toplevel is None:
        return [True] * len(probes)
    settings = config.ProbeSettings(toplevel)
    return [settings.keep_history(probe) for probe in probes]


def make_host(compiled: Compiled, minibatch_size: int) -> HostRuntime:
    """The runtime of everything that is computed by Python code."""
    program = compiled.program
    return HostRuntime(
        program.model,
        minibatch_size,
        in_loop=[op for op in program.operators if is_host_call(op)],
        ahead=[item.operator for item in program.inputs if item.operator is not None],
        labels={item.operator: str(item.node) for item in _all_inputs(compiled)},
    )


def make_sources(compiled: Compiled, host: HostRuntime, seed: int) -> dict:
    """Where the rows of each input come from."""
    return {item: make_source(item, host, seed) for item in compiled.program.inputs}
