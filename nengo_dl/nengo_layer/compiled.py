"""The compiled network of a Keras layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo import Network

from nengo_dl.compiler.program import Input
from nengo_dl.runtime import build
from nengo_dl.runtime.inputs.sources import OwnRows
from nengo_dl.runtime.results import saving
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.step.lowered_network import LoweredNetwork


class CompiledNetwork:
    """A compiled network, out of Keras's sight."""

    def __init__(self, source: Network | Callable, network: Network, built: build.Built):
        self.source, self.network, self.built = source, network, built

    def lowered(self, batch: int) -> LoweredNetwork:
        """The network for a size of the batch."""
        return self.built.keras_model.lowered.resized(batch)

    @property
    def _state_variables(self) -> list[keras.Variable]:
        model = self.built.keras_model
        return [model.state.values[name] for name in model.lowered.state_names]

    def initial_state(self) -> list:
        """The values of the states before the first step, (1, width)."""
        return [ops.convert_to_tensor(variable) for variable in self._state_variables]

    def assign_initial_state(self, values: Sequence[Any]) -> None:
        """Give the states other values before the first step."""
        for variable, value in zip(self._state_variables, values, strict=True):
            variable.assign(value)

    def running(self, seed: int) -> saving.Running:
        """The network before its first step, for saving."""
        built = self.built
        state = State(tuple(self.initial_state()), 0)
        operators = built.compiled.program.operators
        return saving.Running(built.model, operators, built.engine, built.host, state, seed)

    def own_rows(
        self, given: Mapping[Input, Any], n_steps: int, seed: int
    ) -> dict[Input, np.ndarray]:
        """Values from the first step on of what changes by itself, (1, n_steps, size)."""
        self.built.host.reset(seed)
        sources = build.make_sources(self.built.compiled, self.built.host, seed)
        return OwnRows(sources, given)(1, n_steps)
