"""A simulator between two steps as plain data: what pickling keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.layout import Stored
from nengo_dl.compiler.signals import initial_values
from nengo_dl.runtime.results.simulated import Simulated
from nengo_dl.runtime.results.values import LastValues
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.step.lowered_network import tensor_name

#: arguments of the simulator that are kept as they are
ARGUMENTS = (
    "seed",
    "device",
    "unroll_simulation",
    "minibatch_size",
    "progress_bar",
    "optimize",
)


def take(simulator: Simulated, last: LastValues, engine: Engine | None) -> dict[str, Any]:
    """Everything that makes the simulator what it is.

    Values are kept by signal, so that the layout may be another one when they are restored. As
    with nengo.Simulator, Python functions and processes start anew, at the present step. Of a
    closed simulator there is no engine.
    """
    values = last.changed()
    return {
        "model": simulator.model,
        "arguments": {name: getattr(simulator, name) for name in ARGUMENTS},
        "closed": simulator.closed,
        "n_steps": simulator.n_steps,
        "attributes": {
            (obj, attribute.name): values[attribute.signal].reshape(1, -1)
            for obj, attributes in simulator.trained_attributes.items()
            for attribute in attributes
            if attribute.signal in values
        },
        "encoder_lengths": simulator.encoder_lengths,
        "values": {sig: value.reshape(len(value), -1) for sig, value in values.items()},
        "operands": {
            origin: values[sig].reshape(len(values[sig]), -1)
            for sig, origin in simulator.program.layout.origins.items()
            if sig in values
        },
        "variables": None
        if engine is None
        else [engine.backend.array(keras.ops.convert_to_tensor(v)) for v in _variables(engine)],
        "records": {probe: record.values() for probe, record in simulator.records.items()},
    }


def restore(simulator: Simulated, engine: Engine, snapshot: Mapping[str, Any]) -> State:
    """Give a simulator that was made anew its parameters and recorded data; returns its state."""
    # signals of trained attributes and of deferred states are made anew, unlike Nengo's own
    attributes = {
        attribute.signal: snapshot["attributes"][obj, attribute.name]
        for obj, of_obj in simulator.trained_attributes.items()
        for attribute in of_obj
        if (obj, attribute.name) in snapshot["attributes"]
    }
    operands = {
        sig: snapshot["operands"][origin]
        for sig, origin in engine.lowered.layout.origins.items()
        if origin in snapshot["operands"]
    }
    values = {**snapshot["values"], **attributes, **operands}
    simulator.encoder_lengths = snapshot["encoder_lengths"]
    with engine.scope():
        for stored in engine.lowered.layout.of_kind("parameter"):
            engine.model.parameters[tensor_name(stored)].assign(_joined(stored, values))
        if snapshot["variables"] is not None:
            for variable, value in zip(_variables(engine), snapshot["variables"], strict=True):
                variable.assign(value)
    for probe, samples in snapshot["records"].items():
        simulator.records[probe].restore(samples)
    return engine.state_of(
        [_joined(stored, values) for stored in engine.lowered.states], snapshot["n_steps"]
    )


def _variables(engine: Engine) -> tuple:
    """What Keras layers inside the network hold."""
    return (*engine.lowered.weights, *engine.lowered.carried)


def _joined(stored: Stored, values: Mapping[Signal, np.ndarray]) -> np.ndarray:
    parts = [values.get(sig, initial_values(sig)[None]) for sig in stored.signals]
    return np.concatenate(parts, axis=1)
