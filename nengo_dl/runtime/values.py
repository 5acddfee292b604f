"""The values of everything that a network stores, by signal: read and written all at once."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import initial_values
from nengo_dl.runtime.engine import Engine, State
from nengo_dl.runtime.signals import as_built


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


def write_values(engine: Engine, state: State, values: Mapping[Signal, np.ndarray]) -> State:
    """Give base signals other values, (minibatch_size or 1, size); returns the state in which they
    have them.

    Parameters and constants are assigned at once, and keep the values until the parameters are
    reset.
    """
    arrays: dict[int, np.ndarray] = {}
    for stored in engine.lowered.layout.stored:
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
