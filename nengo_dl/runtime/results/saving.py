"""Saves a simulator's parameters and state in a file, by what they are, and loads them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import keras
import numpy as np
from nengo import Ensemble
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import initial_values
from nengo_dl.runtime.inputs.sources import ProcessSource
from nengo_dl.runtime.parameters import param_file
from nengo_dl.runtime.parameters.ensembles import encoder_lengths, gain_and_encoders
from nengo_dl.runtime.parameters.param_file import Contents
from nengo_dl.runtime.results.file_checks import (
    differing_headers,
    differing_shapes,
    differing_values,
)
from nengo_dl.runtime.results.signals import as_built
from nengo_dl.runtime.results.slots import (
    Key,
    Running,
    Slots,
    find_slots,
    shape_in_file,
    state_names,
)
from nengo_dl.runtime.results.values import read_values, write_values
from nengo_dl.runtime.simulation.state import State


@dataclass(frozen=True)
class Loaded:
    """What a simulator goes on with after loading."""

    state: State
    #: None where the state was not loaded
    seed: int | None = None
    #: steps by which random processes are ahead of the simulation, see `ProcessSource`
    origin: int = 0
    random_states: Mapping[str, np.ndarray] = field(default_factory=dict)
    #: as in `Running`
    encoder_lengths: Mapping[Ensemble, np.ndarray] = field(default_factory=dict)


# -- saving ----------------------------------------------------------------------------------------


def save(sim: Running, path: str | os.PathLike, include_state: bool) -> None:
    """See `nengo_dl.Simulator.save_params`."""
    slots = find_slots(sim)
    parameters = parameter_arrays(sim, slots)
    for key, variable in slots.variables.items():
        parameters[key] = sim.engine.backend.array(keras.ops.convert_to_tensor(variable))
    saved_state = _state_arrays(sim) if include_state else {}
    devices = sim.engine.model.devices
    if devices is None or devices.is_first_process:
        param_file.write(path, Contents(parameters, saved_state, sim.engine.settings.dtype))
    if devices is not None:
        devices.wait()  # for the file


def parameter_arrays(sim: Running, slots: Slots) -> dict[Key, np.ndarray]:
    """The parameters by name of object and attribute; not those of Keras layers."""
    engine, state = sim.engine, sim.state
    wanted = {*slots.signals.values(), *(a.signal for a in slots.attributes.values())}
    values = read_values(engine, state, wanted)
    parameters = {key: value for key, (value, _) in slots.fixed.items()}
    for key, signal in slots.signals.items():
        parameters[key] = _compact(values.get(signal, initial_values(signal)[None]), signal)
    for key, attribute in slots.attributes.items():
        parameters[key] = attribute.decode(values[attribute.signal])
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
    shape = shape_in_file(signal)
    if len(flat) == 1 or np.all(flat == flat[:1]):
        return flat[0].reshape(shape)
    return flat.reshape(len(flat), *shape)


def _state_arrays(sim: Running) -> dict[str, np.ndarray]:
    names = state_names(sim)
    values = read_values(sim.engine, sim.state, names)
    arrays = {names[sig]: values[sig] for sig in names}
    for name, rng in sim.host.random_states().items():
        arrays[f"random {name}"] = _packed(rng)
    drawing = [str(op) for op in sim.host.drawing_unseen()]
    if drawing:
        warnings.warn(
            f"{', '.join(drawing)} may draw random numbers in Python, whose state cannot be saved: "
            "a simulator that loads this state draws different numbers",
            stacklevel=4,
        )
    origins = [s.origin for s in sim.engine.sources.values() if isinstance(s, ProcessSource)]
    numbers = {"n_steps": sim.state.n_steps, "seed": sim.seed, "origin": max(origins, default=0)}
    return {**arrays, **{name: np.asarray(number) for name, number in numbers.items()}}


def _packed(rng: np.random.RandomState) -> np.ndarray:
    _, keys, position, has_gauss, gauss = rng.get_state()
    return np.array([*keys, position, has_gauss, gauss], dtype=np.float64)


# -- loading ---------------------------------------------------------------------------------------


def load(sim: Running, path: str | os.PathLike, include_state: bool) -> Loaded:
    """See `nengo_dl.Simulator.load_params`. Parameters are assigned once the whole file was
    checked.
    """
    slots = find_slots(sim)
    contents = param_file.read(
        path,
        lambda headers: differing_headers(sim, slots, headers, include_state),
        include_state,
        slots.names(),
    )
    param_file.raise_differences(path, differing_values(sim, slots, contents))
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
        signal: parameters[key].reshape(-1, int(np.prod(shape_in_file(signal))))
        for key, signal in slots.signals.items()
    }
    for key, attribute in slots.attributes.items():
        values[attribute.signal] = attribute.encode(parameters[key])
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
    parameters = {key: value for key, value in arrays.items() if key not in names}
    differences = param_file.check_names({**slots.names(), **names}, arrays)
    differences += differing_shapes(sim, slots, parameters)
    for key in names.keys() & arrays.keys():
        shape = (sim.minibatch_size, len(initial_values(names[key])))
        differences += param_file.differing_array(key, arrays[key], [shape])
    if not differences:
        differences = differing_values(sim, slots, Contents(parameters))
    param_file.raise_differences("the file", differences)
    values = _signal_values(slots, parameters)
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
