"""Saves a simulator's parameters and state in a file, by what they are, and loads them."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

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
from nengo_dl.compiler.program import probed_signals
from nengo_dl.compiler.signals import initial_values
from nengo_dl.compiler.simplify import remove_unread
from nengo_dl.config import ConnectionSettings
from nengo_dl.lowering.tensor_nodes import SimTensorNode
from nengo_dl.runtime import param_file
from nengo_dl.runtime.engine import Engine, State
from nengo_dl.runtime.ensembles import encoder_lengths, gain_and_encoders, with_fixed_gain
from nengo_dl.runtime.freezing import ParameterSignals, has_neurons, positions
from nengo_dl.runtime.host import HostRuntime
from nengo_dl.runtime.layer_variables import layer_variables
from nengo_dl.runtime.object_names import object_names
from nengo_dl.runtime.param_file import Contents
from nengo_dl.runtime.signals import as_built
from nengo_dl.runtime.values import read_values, write_values

Key = tuple[str, str]
#: numbers that make up a ``numpy.random.RandomState``
RANDOM_STATE_SIZE = 627


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
class Loaded:
    """What a simulator goes on with after loading."""

    state: State
    #: None where the state was not loaded
    seed: int | None = None
    #: steps by which random processes are ahead of the simulation, see `SteppedSource`
    origin: int = 0
    random_states: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: as in `Running`
    encoder_lengths: Mapping[Ensemble, np.ndarray] = field(default_factory=dict)


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


# -- saving ----------------------------------------------------------------------------------------


def save(sim: Running, path: str | os.PathLike, include_state: bool) -> None:
    """See `nengo_dl.Simulator.save_params`."""
    slots = find_slots(sim)
    parameters = parameter_arrays(sim, slots)
    for key, variable in slots.variables.items():
        parameters[key] = sim.engine.backend.array(keras.ops.convert_to_tensor(variable))
    saved_state = _state_arrays(sim) if include_state else {}
    param_file.write(path, Contents(parameters, saved_state, sim.engine.settings.dtype))


def parameter_arrays(sim: Running, slots: Slots) -> dict[Key, np.ndarray]:
    """The parameters by name of object and attribute; not those of Keras layers."""
    engine, state = sim.engine, sim.state
    wanted = {*slots.signals.values(), *(a.signal for a in slots.attributes.values())}
    values = read_values(engine, state, wanted)
    parameters = {key: value for key, (value, _) in slots.fixed.items()}
    for key, signal in slots.signals.items():
        parameters[key] = _compact(values.get(signal, initial_values(signal)[None]), signal)
    for key, attribute in slots.attributes.items():
        parameters[key] = attribute.decode(values[attribute.signal][0, 0])
    for key, ens in slots.gains.items():
        signal = slots.signals[key[0], "scaled_encoders"]
        scaled = _compact(as_built(values[signal], signal), signal) if signal in values else None
        parameters[key] = _gain(sim, ens, scaled)
    return parameters


def _gain(sim: Running, ens: Ensemble, scaled: np.ndarray | None) -> np.ndarray:
    built = sim.model.params[ens]
    if scaled is None:
        return np.asarray(built.gain)
    return gain_and_encoders(built, ens.radius, scaled, sim.encoder_lengths.get(ens))[0]


def _compact(flat: np.ndarray, signal: Signal) -> np.ndarray:
    """(items, size) -> the shape of the parameter, after the items where they differ."""
    shape = _shape(signal)
    if len(flat) == 1 or np.all(flat == flat[:1]):
        return flat[0].reshape(shape)
    return flat.reshape(len(flat), *shape)


def _shape(signal: Signal) -> tuple[int, ...]:
    return (len(initial_values(signal)),) if signal.sparse else signal.shape


def _state_arrays(sim: Running) -> dict[str, np.ndarray]:
    names = state_names(sim)
    values = read_values(sim.engine, sim.state, names)
    arrays = {names[sig]: values[sig] for sig in names}
    for name, rng in sim.host.random_states().items():
        arrays[f"random {name}"] = _packed(rng)
    drawing = [str(op) for op in sim.host.drawing_unseen()]
    if drawing:
        warnings.warn(
            f"{', '.join(drawing)} may draw random numbers in Python, where they cannot be saved: "
            "a simulator that "
            "loads this state draws other ones",
            stacklevel=4,
        )
    origins = [s.origin for s in sim.engine.sources.values() if not s.constant]
    numbers = {"n_steps": sim.state.n_steps, "seed": sim.seed, "origin": max(origins, default=0)}
    return {**arrays, **{name: np.asarray(number) for name, number in numbers.items()}}


def state_names(sim: Running) -> dict[Signal, str]:
    """State signals -> names by their place among the operators that Nengo built, which no planner
    changes.
    """
    places: dict[Signal, int] = {}
    for op in sim.model.operators:
        for sig in op.all_signals:
            places.setdefault(sig.base, len(places))
    states = [sig for stored in sim.engine.lowered.states for sig in stored.signals]
    return {sig: f"{places[sig]:05d} {_without_addresses(sig.name)}".strip() for sig in states}


def _without_addresses(name: str) -> str:
    return re.sub(r"( at )?0x[0-9a-fA-F]+", "", name).replace("/", "|")


def _packed(rng: np.random.RandomState) -> np.ndarray:
    _, keys, position, has_gauss, gauss = rng.get_state()
    return np.array([*keys, position, has_gauss, gauss], dtype=np.float64)


# -- loading ---------------------------------------------------------------------------------------


def load(sim: Running, path: str | os.PathLike, include_state: bool) -> Loaded:
    """See `nengo_dl.Simulator.load_params`. Parameters are assigned once the whole file was
    checked.
    """
    contents = param_file.read(path)
    slots = find_slots(sim)
    differences = param_file.check_names(slots.names(), contents.parameters)
    differences += _differing_parameters(sim, slots, contents)
    if include_state:
        differences += _differing_state(sim, contents)
    param_file.raise_differences(path, differences)
    values = _signal_values(slots, contents.parameters)
    state = sim.state
    if include_state:
        names = state_names(sim)
        values.update({signal: contents.state[name] for signal, name in names.items()})
        state = State(state.tensors, int(contents.state["n_steps"]), state.carried)
    state = write_values(sim.engine, state, values)
    with sim.engine.scope():
        for key, variable in slots.variables.items():
            variable.assign(contents.parameters[key])
    lengths = _loaded_lengths(sim, slots, contents.parameters)
    if not include_state:
        return Loaded(state, encoder_lengths=lengths)
    random_states = {
        name.removeprefix("random "): value
        for name, value in contents.state.items()
        if name.startswith("random ")
    }
    seed, origin = int(contents.state["seed"]), int(contents.state["origin"])
    return Loaded(state, seed, origin, random_states, lengths)


def _loaded_lengths(
    sim: Running, slots: Slots, parameters: Mapping[Key, np.ndarray]
) -> dict[Ensemble, np.ndarray]:
    """Lengths of the encoders that a file has, of ensembles that do not say what these are."""
    lengths = {}
    for key, ens in slots.gains.items():
        if not ens.normalize_encoders:
            scaled, built = parameters[key[0], "scaled_encoders"], sim.model.params[ens]
            otherwise = np.linalg.norm(built.encoders, axis=1)
            lengths[ens] = encoder_lengths(scaled, parameters[key], ens.radius, otherwise)
    return lengths


def _signal_values(slots: Slots, parameters: Mapping[Key, np.ndarray]) -> dict:
    values = {
        signal: parameters[key].reshape(-1, int(np.prod(_shape(signal))))
        for key, signal in slots.signals.items()
    }
    for key, attribute in slots.attributes.items():
        values[attribute.signal] = attribute.encode(parameters[key]).reshape(1, 1)
    return values


def initial_arrays(sim: Running, slots: Slots) -> dict[Key, np.ndarray]:
    """The parameters, and the state in which runs start, by what they are."""
    names = state_names(sim)
    states = read_values(sim.engine, sim.state, names)
    arrays = {("state", names[sig]): value for sig, value in states.items()}
    return {**parameter_arrays(sim, slots), **arrays}


def assign_initial(sim: Running, slots: Slots, arrays: Mapping[Key, np.ndarray]) -> State:
    """Give a network what `initial_arrays` gave, not to the Keras layers in it; returns the state.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the arrays are not those of the network, which then is as it was.
    """
    slots = replace(slots, variables={})
    names = {("state", name): sig for sig, name in state_names(sim).items()}
    contents = Contents(
        {key: value for key, value in arrays.items() if key not in names},
        {},
        sim.engine.settings.dtype,
    )
    differences = param_file.check_names({**slots.names(), **names}, arrays)
    differences += _differing_parameters(sim, slots, contents)
    for key in names.keys() & arrays.keys():
        shape = (sim.minibatch_size, len(initial_values(names[key])))
        differences += _differing_array(key, arrays[key], [shape])
    param_file.raise_differences("the file", differences)
    values = _signal_values(slots, contents.parameters)
    values.update({sig: arrays[key] for key, sig in names.items()})
    return write_values(sim.engine, sim.state, values)


def restore_processes(sim: Running, loaded: Loaded) -> None:
    """Let processes, made anew, go on where they were saved; those computed ahead find their step
    by themselves.
    """
    for source in sim.engine.sources.values():
        source.keep_after_reset(loaded.origin)
    for name, rng in sim.host.random_states().items():
        packed = loaded.random_states[name]
        keys, (position, has_gauss, gauss) = packed[:-3].astype(np.uint32), packed[-3:]
        rng.set_state(("MT19937", keys, int(position), int(has_gauss), float(gauss)))


def _differing_parameters(sim: Running, slots: Slots, contents: Contents) -> list[str]:
    found, differences = contents.parameters, []
    locked = _locked(sim, slots.signals.values())
    states = {sig for stored in sim.engine.lowered.states for sig in stored.signals}
    for key, signal in slots.signals.items():
        if key not in found:
            continue
        value, shape = found[key], _shape(signal)
        allowed = [shape, (sim.minibatch_size, *shape)] if signal in states else [shape]
        differences += _differing_array(key, value, allowed)
        if signal in locked and value.shape == shape:
            if not np.allclose(value.ravel(), initial_values(signal), rtol=1e-6, atol=0):
                differences.append(
                    f"{key[1]} of {key[0]!r} differs, and was simplified away in this simulator "
                    "because nothing "
                    "trains it (nengo_dl.load_params_into puts the file into the network before "
                    "it is simulated)"
                )
    for key, attribute in slots.attributes.items():
        if key in found:
            differences += _differing_array(key, found[key], [()])
            if attribute.positive and not np.all(found[key] > 0):
                differences.append(f"{key[1]} of {key[0]!r} is {found[key]}, which is not positive")
    for key, variable in slots.variables.items():
        if key in found:
            differences += _differing_array(key, found[key], [tuple(variable.shape)])
    for key, ens in slots.gains.items():
        if key in found:
            shape = (ens.n_neurons,)
            allowed = [shape, (sim.minibatch_size, *shape)]
            differences += _differing_array(key, found[key], allowed)
    for key, (value, has_to_agree) in slots.fixed.items():
        if key not in found or not has_to_agree:
            continue
        wrong = _differing_array(key, found[key], [value.shape])
        if not wrong and not np.allclose(found[key], value, rtol=1e-6, atol=0):
            wrong = [
                f"{key[1]} of {key[0]!r} differs; give the network a seed, so that it is built "
                "the same each time, "
                "or use nengo_dl.load_params_into before it is simulated"
            ]
        differences += wrong
    return differences


def _differing_array(key: Key, value: np.ndarray, allowed: list[tuple[int, ...]]) -> list[str]:
    if value.dtype.kind not in "fiub":
        return [f"{key[1]} of {key[0]!r} holds {value.dtype}, not numbers"]
    if value.shape not in allowed:
        expected = " or ".join(str(shape) for shape in allowed)
        return [f"{key[1]} of {key[0]!r} has shape {value.shape} in the file, expected {expected}"]
    return []


def _locked(sim: Running, signals: Any) -> set[Signal]:
    """Parameters whose value the compiler used up, so that they cannot be changed any more."""

    def readers(operators) -> Counter:
        return Counter(sig.base for op in operators for sig in (*op.reads, *op.updates, *op.incs))

    built, compiled = readers(sim.model.operators), readers(sim.operators)
    read = readers(remove_unread(sim.model.operators, probed_signals(sim.model)))
    stored = {sig for s in sim.engine.lowered.layout.stored for sig in s.signals}
    return {s for s in signals if (built[s] and s not in stored) or compiled[s] != read[s]}


def _differing_state(sim: Running, contents: Contents) -> list[str]:
    if not contents.state:
        return ["it was saved without the state (include_state=True saves it)"]
    differences = []
    names = state_names(sim)
    expected: dict[str, tuple[int, ...]] = {
        name: (sim.minibatch_size, len(initial_values(sig))) for sig, name in names.items()
    }
    expected.update({"n_steps": (), "seed": (), "origin": ()})
    expected.update({f"random {name}": (RANDOM_STATE_SIZE,) for name in sim.host.random_states()})
    for name, shape in expected.items():
        if name not in contents.state:
            differences.append(f"the file has no state {name!r}")
        elif contents.state[name].shape != shape:
            differences.append(
                f"state {name!r} has shape {contents.state[name].shape} in the file, expected "
                f"{shape}"
            )
    extra = [name for name in contents.state if name not in expected]
    return differences + [
        f"the file has the state {name!r}, which the network has not" for name in extra
    ]
