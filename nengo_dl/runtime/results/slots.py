"""Where the parameters and the state of a simulator are, by the names that files have for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
from nengo import Connection, Ensemble, Network
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError

from nengo_dl.compiler.attributes import Attribute
from nengo_dl.compiler.signals import initial_values
from nengo_dl.config import ConnectionSettings
from nengo_dl.lowering.tensor_nodes import SimTensorNode
from nengo_dl.runtime.inputs.host import HostRuntime
from nengo_dl.runtime.parameters.ensembles import with_fixed_gain
from nengo_dl.runtime.parameters.freezing import positions
from nengo_dl.runtime.parameters.layer_variables import layer_variables
from nengo_dl.runtime.parameters.object_names import object_names
from nengo_dl.runtime.parameters.parameter_signals import ParameterSignals, has_neurons
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.state import State

Key = tuple[str, str]


@dataclass(frozen=True)
class Running:
    """A simulator between two runs."""

    model: Model
    #: after simplification
    operators: tuple[Operator, ...]
    engine: Engine
    host: HostRuntime
    state: State
    seed: int
    #: of neuron types and synapses, by object
    attributes: Mapping[NengoObject, tuple[Attribute, ...]] = field(default_factory=dict)
    #: of encoders, where they are not those with which an ensemble was built
    encoder_lengths: Mapping[Ensemble, np.ndarray] = field(default_factory=dict)

    @property
    def network(self) -> Network:
        """The network that was built."""
        if self.model.toplevel is None:
            raise ValidationError(
                "the model was built without a network, whose objects could give the parameters "
                "their names",
                attr="model",
            )
        return self.model.toplevel

    @property
    def minibatch_size(self) -> int:
        return self.engine.settings.minibatch_size


@dataclass(frozen=True)
class Slots:
    """Where the parameters of a simulated network are, by name of object and attribute."""

    signals: dict[Key, Signal] = field(default_factory=dict)
    #: those of neuron types and synapses; a file has their values, not those of their signals
    attributes: dict[Key, Attribute] = field(default_factory=dict)
    variables: dict[Key, keras.Variable] = field(default_factory=dict)
    #: ensembles by where their gains are, which follow from the encoders, but for those that stay
    gains: dict[Key, Ensemble] = field(default_factory=dict)
    #: what the file says too and loading cannot change, and whether it has to agree
    fixed: dict[Key, tuple[np.ndarray, bool]] = field(default_factory=dict)

    def names(self) -> dict[Key, None]:
        parts = (self.signals, self.attributes, self.variables, self.gains, self.fixed)
        return dict.fromkeys(key for part in parts for key in part)


def find_slots(sim: Running) -> Slots:
    """All parameters of the network, trained or not."""
    network = sim.network
    slots, names = Slots(), object_names(network)
    signals_of = ParameterSignals(sim.model)
    to_neurons = {
        conn.post_obj.ensemble
        for conn in network.all_connections
        if isinstance(conn.post_obj, Neurons)
    }
    settings, fixed_gain = ConnectionSettings(network), with_fixed_gain(sim.model)
    for obj in _objects(network):
        if isinstance(obj, Connection) and not settings.persistent(obj):
            continue
        for attribute, signal in signals_of(obj).items():
            slots.signals[names[obj], attribute] = signal
            if signal.sparse:
                where = positions(signal.initial_value)
                slots.fixed[names[obj], f"{attribute} positions"] = where, True
        for trained in sim.attributes.get(obj, ()):
            slots.attributes[names[obj], trained.name] = trained
        if has_neurons(obj):
            if obj in fixed_gain:
                gain = np.asarray(sim.model.params[obj].gain)
                slots.fixed[names[obj], "gain"] = gain, obj in to_neurons
            else:
                slots.gains[names[obj], "gain"] = obj
            slots.fixed[names[obj], "seed"] = np.asarray(sim.model.seeds[obj]), False
    slots.variables.update(_layer_slots(sim, network, names))
    return slots


def _objects(network: Network) -> list[NengoObject]:
    return [*network.all_ensembles, *network.all_connections, *network.all_probes]


def _layer_slots(sim: Running, network: Network, names: Mapping) -> dict[Key, keras.Variable]:
    layers = {op.output: op.layer for op in sim.model.operators if isinstance(op, SimTensorNode)}
    slots, seen = {}, set()
    for node in network.all_nodes:
        layer = layers.get(sim.model.sig[node].get("out"))
        if layer is None or id(layer) in seen:
            continue
        seen.add(id(layer))
        for name, variable in layer_variables(layer).items():
            slots[names[node], name] = variable
    return slots


def shape_in_file(signal: Signal) -> tuple[int, ...]:
    """The shape of a parameter as a file has it: a sparse matrix without its zeros."""
    return (len(initial_values(signal)),) if signal.sparse else signal.shape


def state_names(sim: Running) -> dict[Signal, str]:
    """State signals -> names by their place among the operators that Nengo built, which no planner
    changes.
    """
    places: dict[Signal, int] = {}
    for op in sim.model.operators:
        for sig in op.all_signals:
            places.setdefault(sig.base, len(places))
    origins = sim.engine.lowered.layout.origins
    names = {}
    for sig in (sig for stored in sim.engine.lowered.states for sig in stored.signals):
        of, k = origins.get(sig, (sig, None))
        name = f"{places[of]:05d} {_without_addresses(of.name)}".strip()
        names[sig] = name if k is None else f"{name} operand {k}"
    return names


def _without_addresses(name: str) -> str:
    return re.sub(r"( at )?0x[0-9a-fA-F]+", "", name).replace("/", "|")
