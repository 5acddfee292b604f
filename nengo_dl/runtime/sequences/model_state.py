"""The state of a network between calls of its Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from nengo_dl.runtime.backends.protocol import Devices
from nengo_dl.runtime.parameters.learned import Learned
from nengo_dl.runtime.sequences.stored_values import StoredValues
from nengo_dl.runtime.step.lowered_network import LoweredNetwork, stored_values


class ModelState(keras.Model):
    """A Keras model of a network, as far as it keeps states: what a call starts from, and what it
    leaves.
    """

    lowered: LoweredNetwork
    devices: Devices | None
    minibatch_size: int
    #: the states of all items, and the number of the last step
    state: StoredValues
    learned: Learned
    #: whether a call leaves its last state in `state`, or what was learned in it
    keep_state: bool | Literal["learned"] = False

    def initial_arrays(self) -> list[np.ndarray]:
        """The states before the first step, (minibatch_size, width) each."""
        batch, dtype = self.minibatch_size, self.lowered.settings.dtype
        return [np.repeat(stored_values(s, dtype), batch, axis=0) for s in self.lowered.states]

    def initial_state(self) -> dict[str, np.ndarray]:
        values = zip(self.lowered.state_names, self.initial_arrays(), strict=True)
        return {**dict(values), "n_steps": np.zeros((), dtype=np.int32)}

    def own_items(self, value: Any, n_items: int) -> Any:
        """The items of this call, of a tensor of the whole minibatch."""
        return value[:n_items] if self.devices is None else self.devices.own_items(value, n_items)

    def with_others(self, state: Sequence, whole: Sequence) -> list:
        """States of the items of this call, with those of all others as they were."""
        n = state[0].shape[0] if state else self.minibatch_size
        pairs = zip(state, whole, strict=False)
        return [
            ops.concatenate([value, before[n:]]) if n < self.minibatch_size else value
            for value, before in pairs
        ]

    def keep(self, before: Sequence, after: Sequence, first: Any, n_steps: int) -> None:
        """Go on from the last state, or with what was learned."""
        if self.keep_state == "learned":
            self._store(self.learned.kept(before, after), first - 1)
        else:
            self._store(after, first + (n_steps - 1))

    def state_values(self) -> dict[str, Any]:
        """Copies of the values in `state`."""
        return {name: ops.copy(variable.value) for name, variable in self.state.values.items()}

    def set_state_values(self, values: Mapping[str, Any], keep_learned: bool = False) -> None:
        """Go back to `state_values`; with ``keep_learned`` not from what was learned since."""
        values = dict(values)
        if keep_learned:
            names = self.lowered.state_names
            kept = self.learned.kept([values[name] for name in names], self.state_tensors())
            values.update(zip(names, kept, strict=True))
        for name, value in values.items():
            self.state.values[name].assign(ops.copy(value))

    def state_tensors(self) -> list:
        names = self.lowered.state_names
        return [ops.convert_to_tensor(self.state.values[name]) for name in names]

    def carried(self) -> list:
        """Tensors of what Keras layers change in a step."""
        return [ops.convert_to_tensor(variable) for variable in self.lowered.carried]

    def assign_carried(self, values: Sequence[Any]) -> None:
        """Let the variables of Keras layers have the values that they have after a run."""
        for variable, value in zip(self.lowered.carried, values, strict=True):
            variable.assign(value)

    def _store(self, state, n_steps) -> None:
        for name, value in zip(self.lowered.state_names, state, strict=False):
            self.state.values[name].assign(value)
        self.state.values["n_steps"].assign(n_steps)
