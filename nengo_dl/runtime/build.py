"""From a network to something that runs: build, compile, lower."""

from __future__ import annotations

from dataclasses import dataclass

from nengo import Network
from nengo.builder import Model

import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl import config
from nengo_dl.compiler.compile import Compiled, Options, compile_model
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.kernel import Settings, is_host_call
from nengo_dl.runtime import backends
from nengo_dl.runtime.engine import Engine
from nengo_dl.runtime.host import HostRuntime
from nengo_dl.runtime.inputs import make_source
from nengo_dl.runtime.step import LoweredNetwork


@dataclass(frozen=True)
class Built:
    """All that a simulator holds."""

    model: Model
    compiled: Compiled
    engine: Engine
    host: HostRuntime
    settings: RunSettings
    kept: tuple[bool, ...]


@dataclass(frozen=True)
class RunSettings:
    """What ``configure_settings`` says about running."""

    stateful: bool
    dtype: str


def build(network: Network | None, dt: float, model: Model | None, simulator, progress) -> Built:
    """Build, compile and lower ``network`` for a simulator."""
    model = build_model(network, dt, model, progress.next_stage("Building", "Build"))
    toplevel = network if network is not None else model.toplevel

    def setting(name, default):
        return config.get_setting(toplevel, name, default) if toplevel is not None else default

    defaults = Options()
    compiled = compile_model(
        model,
        Options(
            planner=setting("planner", None) or defaults.planner,
            sorter=setting("sorter", None) or defaults.sorter,
            simplifications=_or_default(setting("simplifications", None), defaults.simplifications),
        ),
    )
    settings = Settings(
        dt=model.dt,
        dtype=setting("dtype", "float32"),
        minibatch_size=simulator.batch_size,
        lif_smoothing=setting("lif_smoothing", None),
        inference_only=setting("inference_only", False),
    )
    backend = backends.active()
    host = make_host(compiled, simulator.batch_size)
    kept = tuple(_keeps_history(toplevel, probe) for probe in compiled.program.probes)
    engine = Engine(
        LoweredNetwork(compiled, settings, host, backend.host_call),
        make_sources(compiled, host, 0),
        backend,
        kept,
        unroll=simulator.unroll_simulation,
        jit=setting("jit_compile", None),
        device=simulator.device,
    )
    run_settings = RunSettings(stateful=setting("stateful", True), dtype=settings.dtype)
    return Built(model, compiled, engine, host, run_settings, kept)


def _or_default(value, default):
    return default if value is None else value


def _keeps_history(toplevel: Network | None, probe) -> bool:
    return True if toplevel is None else config.get_keep_history(toplevel, probe)


def make_host(compiled: Compiled, minibatch_size: int) -> HostRuntime:
    """The runtime of everything that is computed by Python code."""
    program = compiled.program
    inputs = (*program.inputs, *program.loop_inputs)
    return HostRuntime(
        program.model,
        minibatch_size,
        in_loop=[op for op in program.operators if is_host_call(op)],
        ahead=[item.operator for item in program.inputs if item.operator is not None],
        labels={item.operator: str(item.node) for item in inputs},
    )


def make_sources(compiled: Compiled, host: HostRuntime, seed: int) -> dict:
    """Where the rows of each input come from."""
    return {item: make_source(item, host, seed) for item in compiled.program.inputs}
