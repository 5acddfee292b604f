"""What does not fit between a file of parameters and a simulator, in words.

Names, types and shapes are compared by the file's headers, before its arrays are unpacked; their
values after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from nengo import Ensemble
from nengo.builder import Model
from nengo.builder.operator import DotInc, Reset
from nengo.builder.signal import Signal

from nengo_dl.compiler.program import probed_signals
from nengo_dl.compiler.signals import initial_values
from nengo_dl.compiler.simplify import remove_unread
from nengo_dl.runtime.checks import N_SEEDS
from nengo_dl.runtime.parameters.param_file import Contents, check_names, differing_array, integer
from nengo_dl.runtime.results.slots import Key, Running, Slots, shape_in_file, state_names

#: numbers that make up a ``numpy.random.RandomState``
RANDOM_STATE_SIZE = 627

#: steps are counted by integers of 32 bits
N_STEPS = 2**31


def differing_headers(
    sim: Running, slots: Slots, headers: Contents, include_state: bool
) -> list[str]:
    """What is missing, too much, or of another type or shape."""
    wrong = check_names(slots.names(), headers.parameters)
    wrong += differing_shapes(sim, slots, headers.parameters)
    return wrong + (_differing_state(sim, headers.state) if include_state else [])


def differing_shapes(sim: Running, slots: Slots, found: Mapping[Key, Any]) -> list[str]:
    """What has another type or shape, of arrays or their headers."""
    states = {sig for stored in sim.engine.lowered.states for sig in stored.signals}
    allowed: dict[Key, list[tuple[int, ...]]] = {}
    for key, signal in slots.signals.items():
        shape = shape_in_file(signal)
        per_item = [(sim.minibatch_size, *shape)] if signal in states else []
        allowed[key] = [shape, *per_item]
    for key, ens in slots.gains.items():
        allowed[key] = [(ens.n_neurons,), (sim.minibatch_size, ens.n_neurons)]
    allowed.update({key: [attribute.shape] for key, attribute in slots.attributes.items()})
    allowed.update({key: [tuple(v.shape)] for key, v in slots.variables.items()})
    allowed.update({key: [value.shape] for key, (value, _) in slots.fixed.items()})
    return [
        difference
        for key, shapes in allowed.items()
        if key in found
        for difference in differing_array(key, found[key], shapes)
    ]


def differing_values(sim: Running, slots: Slots, contents: Contents) -> list[str]:
    """What has values that the simulator cannot have; names and shapes fit."""
    found, wrong = contents.parameters, []
    locked = _locked(sim, slots.signals.values())
    for key, signal in slots.signals.items():
        if signal not in locked:
            continue
        if not np.allclose(found[key].ravel(), initial_values(signal), rtol=1e-6, atol=0):
            wrong.append(
                f"{key[1]} of {key[0]!r} differs, and was simplified away in this simulator "
                "because nothing trains it (nengo_dl.load_params_into puts the file into the "
                "network before it is simulated)"
            )
    for key, attribute in slots.attributes.items():
        if not attribute.allows(found[key]):
            limits = attribute.encoding.limits
            expected = "positive" if limits is None else f"between {limits[0]:g} and {limits[1]:g}"
            wrong.append(f"{key[1]} of {key[0]!r} is {found[key]}, which is not {expected}")
    for key, (value, has_to_agree) in slots.fixed.items():
        if has_to_agree and not np.allclose(found[key], value, rtol=1e-6, atol=0):
            wrong.append(
                f"{key[1]} of {key[0]!r} differs; give the network a seed, so that it is built "
                "the same each time, or use nengo_dl.load_params_into before it is simulated"
            )
    return wrong + _differing_numbers(contents.state)


def _locked(sim: Running, signals: Iterable[Signal]) -> set[Signal]:
    """Parameters whose value the compiler used up, so that they cannot be changed any more; not
    those on which nothing depends.
    """
    zeros = _without_input(sim.model)

    def readers(operators) -> Counter:
        used = (op for op in operators if not (type(op) is DotInc and op.X.base in zeros))
        return Counter(sig.base for op in used for sig in (*op.reads, *op.updates, *op.incs))

    compiled = readers(sim.operators)
    read = readers(remove_unread(sim.model.operators, probed_signals(sim.model)))
    stored = {sig for s in sim.engine.lowered.layout.stored for sig in s.signals}
    return {s for s in signals if (read[s] and s not in stored) or compiled[s] != read[s]}


def _without_input(model: Model) -> set[Signal]:
    """Inputs of ensembles to which nothing is connected, and which are zero therefore: whatever
    the encoders are has no effect.
    """
    built = (obj for obj in model.params if isinstance(obj, Ensemble))
    inputs = {sig for ens in built if (sig := model.sig[ens].get("in")) is not None}
    for op in model.operators:
        if type(op) is not Reset:
            inputs.difference_update(sig.base for sig in (*op.sets, *op.incs, *op.updates))
    return inputs


def _differing_state(sim: Running, found: Mapping[str, Any]) -> list[str]:
    if not found:
        return ["it was saved without the state (include_state=True saves it)"]
    expected: dict[str, tuple[int, ...]] = {
        name: (sim.minibatch_size, len(initial_values(sig)))
        for sig, name in state_names(sim).items()
    }
    expected.update({"n_steps": (), "seed": (), "origin": ()})
    expected.update({f"random {name}": (RANDOM_STATE_SIZE,) for name in sim.host.random_states()})
    wrong = []
    for name, shape in expected.items():
        if name not in found:
            wrong.append(f"the file has no state {name!r}")
        elif found[name].dtype.kind not in "fiub":
            wrong.append(f"state {name!r} holds {found[name].dtype}, not numbers")
        elif found[name].shape != shape:
            wrong.append(
                f"state {name!r} has shape {found[name].shape} in the file, expected {shape}"
            )
    extra = [name for name in found if name not in expected]
    return wrong + [f"the file has the state {name!r}, which the network has not" for name in extra]


def _differing_numbers(state: Mapping[str, np.ndarray]) -> list[str]:
    """What is wrong with the numbers of a state that count something."""
    wrong = [
        f"state {name!r} is {state[name]}, expected an integer from 0 to {limit - 1}"
        for name, limit in (("n_steps", N_STEPS), ("origin", N_STEPS), ("seed", N_SEEDS))
        if name in state and not integer(state[name], 0, limit - 1)
    ]
    for name, packed in state.items():
        if name.startswith("random "):
            keys, position = packed[:-3], packed[-3]
            whole = np.all(np.isfinite(packed)) and np.all(packed[:-1] == np.floor(packed[:-1]))
            inside = np.all((keys >= 0) & (keys < 2**32)) and 0 <= position <= len(keys)
            if not (whole and inside):
                wrong.append(f"state {name!r} is not that of a random number generator")
    return wrong
