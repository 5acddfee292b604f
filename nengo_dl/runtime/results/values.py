"""The values of everything that a network stores, by signal: read and written all at once."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import initial_values
from nengo_dl.runtime.results.signals import as_built
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.state import State


def read_values(
    engine: Engine, state: State, wanted: Container[Signal] | None = None
) -> dict[Signal, np.ndarray]:
    """Base signal -> its present values, (minibatch_size or 1, size); those ``wanted``, or all
    that are stored.
    """
    values = {}
    for stored in engine.lowered.layout.stored:
        if wanted is None or any(sig in wanted for sig in stored.signals):
            array = engine.stored_array(stored, state)
            for base, span in stored.spans():
                if wanted is None or base in wanted:
                    values[base] = array[:, span]
    return values


#: kinds of what is stored that has a value of its own between two steps
WRITTEN = "constant", "parameter", "state"


def can_be_written(engine: Engine, signal: Signal) -> bool:
    """Whether `write_values` gives a base signal other values."""
    return any(signal in stored.signals for stored in engine.lowered.layout.of_kind(*WRITTEN))


def write_values(engine: Engine, state: State, values: Mapping[Signal, np.ndarray]) -> State:
    """Give base signals other values, (minibatch_size or 1, size); returns the state in which they
    have them.

    Parameters and constants are assigned at once, and keep the values until the parameters are
    reset.
    """
    arrays: dict[int, np.ndarray] = {}
    for stored in engine.lowered.layout.of_kind(*WRITTEN):
        if not any(sig in values for sig in stored.signals):
            continue
        array = np.array(engine.assigned_array(stored, state))
        for base, span in stored.spans():
            if base in values:
                array[:, span] = values[base]
        if stored.tensor.kind == "state":
            arrays[engine.lowered.states.index(stored)] = array
        else:
            with engine.scope():
                engine.model.assign_stored(stored, array)
    changed = engine.state_of(list(arrays.values()), state.n_steps)
    tensors = list(state.tensors)
    for index, tensor in zip(arrays, changed.tensors, strict=True):
        tensors[index] = tensor
    return State(tuple(tensors), state.n_steps, state.carried)


class LastValues:
    """What a simulator holds that training or a simulation may have changed, on the host; nothing
    that it runs with.
    """

    def __init__(self, engine: Engine, state: State):
        layout, model = engine.lowered.layout, engine.model
        states = {sig for s in layout.of_kind("state", "deferred") for sig in s.signals}
        variable = {sig for s in layout.stored if not model.is_constant(s) for sig in s.signals}
        #: base signal -> (minibatch_size or 1, size); None for parameters with their first values
        self._values = {
            sig: np.array(value) if sig in states or _is_changed(sig, value) else None
            for sig, value in read_values(engine, state, variable).items()
        }

    def is_variable(self, signal: Signal) -> bool:
        """As `Engine.is_variable`."""
        return signal.base in self._values

    def value(self, signal: Signal) -> np.ndarray:
        """As `Engine.value`."""
        base = signal.base
        flat = self._values[base]
        flat = initial_values(base)[None] if flat is None else flat
        return flat if base.sparse else flat.reshape(len(flat), *np.shape(base.initial_value))

    def changed(self) -> dict[Signal, np.ndarray]:
        """Base signal -> (minibatch_size or 1, size)."""
        return {sig: value for sig, value in self._values.items() if value is not None}


def _is_changed(signal: Signal, value: np.ndarray) -> bool:
    return not np.array_equal(value, initial_values(signal)[None].astype(value.dtype))


class PresentValues:
    """Signal -> its present value, (minibatch_size or 1, *shape); of a sparse one its entries.

    What did not change since the network was built is exactly what Nengo's builder made.
    """

    def __init__(self, engine: Engine, state: State):
        self._values = read_values(engine, state)

    def __call__(self, signal: Signal) -> np.ndarray:
        if signal not in self._values:
            flat = initial_values(signal)[None]
        else:
            flat = as_built(self._values[signal], signal)
        return flat if signal.sparse else flat.reshape(len(flat), *signal.shape)
