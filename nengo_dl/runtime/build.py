"""From a network to something that runs: build, compile, lower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from nengo import Network, Node, Probe
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.exceptions import SimulationError, ValidationError
from nengo.rc import rc

import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl import config, surrogates
from nengo_dl.compiler.building.blas import n_cores
from nengo_dl.compiler.compile import Options, compile_model
from nengo_dl.compiler.compiled import Compiled
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.kernel import Settings, is_host_call
from nengo_dl.compiler.program import Input
from nengo_dl.input_node import ConstantNode
from nengo_dl.lowering.tensor_nodes import SimTensorNode
from nengo_dl.process_settings import collected_later
from nengo_dl.runtime import backends
from nengo_dl.runtime.backends.protocol import Devices
from nengo_dl.runtime.inputs.host import HostRuntime
from nengo_dl.runtime.inputs.names import N_STEPS, unique_names
from nengo_dl.runtime.inputs.sources import make_source
from nengo_dl.runtime.parameters.learned import learned_signals
from nengo_dl.runtime.parameters.object_names import object_names
from nengo_dl.runtime.parameters.stored import (
    Parameter,
    describe,
    find_parameters,
    find_quantizers,
    find_trainable,
)
from nengo_dl.runtime.parameters.trained_attributes import TrainedAttributes, find_attributes
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.placement import Placement
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


@collected_later()
def build(
    network: Network | None, dt: float, model: Model | None, target: Target, progress: Any
) -> Built:
    """Build, compile and lower ``network``."""
    toplevel = network if network is not None or model is None else model.toplevel
    settings = config.network_settings(toplevel)
    if toplevel is not None:
        config.warn_of_unused(toplevel, settings)
    settings.dtype, settings.half = precision(settings.dtype)
    settings.threads = settings.threads or n_cores()
    stage = progress.next_stage("Building", "Build")
    model = build_model(network, dt, model, stage, how(settings), settings.threads)
    attributes = find_attributes(model, toplevel)
    parameters = [*find_parameters(model, toplevel), *attributes.parameters()]
    compiled = _compile(model, parameters, attributes, target.minibatch_size, toplevel, settings)
    inputs = {item.node: item for item in _node_inputs(compiled)}
    names = {**unique_names(inputs, [N_STEPS]), **unique_names(model.probes)}
    _check_spikes(compiled, settings.half)
    host = make_host(compiled, target.minibatch_size, settings.threads)
    backend, devices = backends.active(), _devices(compiled, target)
    simulating = None if devices is None else devices.simulating()
    placement = Placement(backend, settings.dtype, target.device, simulating)
    making = backend.none_in_force() if devices is None else devices.making()
    with placement.scope(), making:
        keras_model = _keras_model(
            compiled, parameters, names, host, target, toplevel, settings, devices
        )
        jit_compile = _jit_compile(compiled, target.minibatch_size, settings)
    add_regularizers(keras_model, parameters, toplevel)
    choices = Choices(
        stateful=settings.stateful,
        jit_compile=jit_compile,
        data_dtype=_data_dtype(toplevel),
    )
    engine = Engine(
        keras_model,
        make_sources(compiled, host, 0),
        placement,
        unroll=target.unroll_simulation,
        jit=choices.jit_compile,
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


def precision(dtype: str) -> tuple[str, str | None]:
    """The type of all values that a setting ``dtype`` means, and that in half precision to which
    products round them.
    """
    policy = keras.dtype_policies.get(dtype)
    rounds = policy.compute_dtype != policy.variable_dtype
    return policy.variable_dtype, policy.compute_dtype if rounds else None


def _check_spikes(compiled: Compiled, half: str | None) -> None:
    """Refuse spikes that are infinite in half precision; weights are as a rule far smaller."""
    if half != "float16":
        return
    largest = np.finfo(half).max
    for op in compiled.program.operators:
        if isinstance(op, SimNeurons) and op.neurons.spiking:
            height = (
                np.max(np.abs(getattr(op.neurons, "amplitude", 1.0))) / compiled.program.model.dt
            )
            if height > largest:
                raise ValidationError(
                    f"a spike of {op.neurons} is {height:g}, but with 'mixed_float16' products "
                    f"hold numbers up to {largest:g}; use 'mixed_bfloat16' or a smaller amplitude",
                    attr="dtype",
                )


def how(settings: SimpleNamespace) -> str:
    """How the model is built: in double precision to the last bit as Nengo builds it."""
    return settings.build or ("exact" if settings.dtype == "float64" else "fast")


def _compile(
    model: Model,
    parameters,
    attributes,
    minibatch_size: int,
    toplevel: Network | None,
    settings: SimpleNamespace,
) -> Compiled:
    trainable = {}
    if not settings.inference_only:
        trainable = find_trainable(model, toplevel, parameters)
    chosen = {name: getattr(settings, name) for name in ("planner", "sorter", "simplifications")}
    return compile_model(
        model,
        Options(
            trainable=trainable,
            replaced=attributes.replaced,
            minibatch_size=minibatch_size,
            separate_stages=bool(settings.sequence_kernels and backends.active().fused_scan()),
            **{name: value for name, value in chosen.items() if value is not None},
        ),
    )


def _keras_model(
    compiled: Compiled,
    parameters,
    names,
    host: HostRuntime,
    target: Target,
    toplevel: Network | None,
    settings: SimpleNamespace,
    devices: Devices | None,
) -> NengoModel:
    model, backend = compiled.program.model, backends.active()
    by_signal = {p.signal.base: p for p in parameters}
    called = {} if toplevel is None else object_names(toplevel)
    lowering = Settings(
        dt=model.dt,
        dtype=settings.dtype,
        minibatch_size=target.minibatch_size,
        lif_smoothing=settings.lif_smoothing,
        surrogate=surrogates.get(settings.surrogate),
        threads=settings.threads,
        product_form=backend.product_form,
        matmul=backend.matmul,
        half=settings.half,
        half_convolution=backend.half_convolution,
        adds_slices=backend.adds_slices,
    )
    return NengoModel(
        LoweredNetwork(compiled, lowering, host, backend.host_call),
        [describe(s, by_signal, called) for s in compiled.layout.of_kind("parameter")],
        {names.get(item.node, item.name): item for item in _all_inputs(compiled)},
        [names[probe] for probe in model.probes],
        _kept(toplevel, model.probes),
        backend,
        use_loop=settings.use_loop,
        learning_phase=settings.learning_phase,
        checkpoint_segments=settings.checkpoint_segments,
        sequence_kernels=settings.sequence_kernels,
        quantizers=find_quantizers(toplevel, parameters),
        learned=learned_signals(model),
        devices=devices,
    )


def _devices(compiled: Compiled, target: Target) -> Devices | None:
    """The devices over which Keras spreads what is built now; None for a device that was asked for,
    and for a single item.
    """
    devices = None if target.device is not None else backends.active().in_force()
    if devices is None or target.minibatch_size == 1 < devices.n_shares:
        return None
    n = devices.n_shares
    if target.minibatch_size % n:
        more = target.minibatch_size // n * n + n
        raise ValidationError(
            f"{target.minibatch_size} items cannot be divided evenly among {n} devices; choose "
            f"a multiple of {n}, such as {more}, or build the simulator without a distribution "
            "over devices",
            attr="minibatch_size",
        )
    called = [op for op in compiled.program.operators if is_host_call(op)]
    if called:
        raise SimulationError(
            f"the network calls Python in each step ({called[0]}), which is not possible on "
            f"{n} devices; build the simulator without a distribution over devices"
        )
    return devices


def _jit_compile(compiled: Compiled, minibatch_size: int, settings: SimpleNamespace) -> bool | None:
    """The setting ``jit_compile``; where it was not made, False for networks with TensorNodes whose
    random numbers have a seed without XLA only.
    """
    chosen = settings.jit_compile
    if chosen is None:
        nodes = (op for op in compiled.program.operators if isinstance(op, SimTensorNode))
        if any(_loses_seed(op, minibatch_size, settings.dtype) for op in nodes):
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


def _data_dtype(toplevel: Network | None) -> str:
    """Precision of ``sim.data``: that of ``nengo.rc``, or where it is the default the network's
    setting.
    """
    dtype = None if toplevel is None else config.get_setting(toplevel, "dtype")
    nengo_dtype = np.dtype(rc.float_dtype).name
    return precision(dtype)[0] if dtype is not None and nengo_dtype == "float64" else nengo_dtype


def _kept(toplevel: Network | None, probes: Sequence[Probe]) -> list[bool]:
    """For each probe, whether all steps are kept, or only the last."""
    if toplevel is None:
        return [True] * len(probes)
    settings = config.ProbeSettings(toplevel)
    return [settings.keep_history(probe) for probe in probes]


def make_host(compiled: Compiled, minibatch_size: int, threads: int) -> HostRuntime:
    """The runtime of everything that is computed by Python code."""
    program = compiled.program
    return HostRuntime(
        program.model,
        minibatch_size,
        in_loop=[op for op in program.operators if is_host_call(op)],
        ahead=[item.operator for item in program.inputs if item.operator is not None],
        labels={item.operator: str(item.node) for item in _all_inputs(compiled)},
        threads=threads,
    )


def make_sources(compiled: Compiled, host: HostRuntime, seed: int) -> dict:
    """Where the rows of each input come from."""
    return {item: make_source(item, host, seed) for item in compiled.program.inputs}
