"""What the parts of the simulator know of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nengo import Node, Probe
from nengo.exceptions import ReadonlyError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime.build import Built
from nengo_dl.runtime.inputs.host import HostRuntime
from nengo_dl.runtime.results.simulated import Simulated
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.guards import OneThread
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.fitting import Training


class SimulatorParts(Simulated):
    """Attributes and methods that `nengo_dl.Simulator` has and its parts use."""

    progress_bar: Any
    _alone: OneThread
    _built: Built
    _engine: Engine
    _host: HostRuntime
    _inputs: Mapping[Node, Input]
    _input_names: Mapping[Node, str]
    _names: Mapping[Node | Probe, str]
    _seed: int
    _state: State
    _training: Training

    @property
    def keras_model(self) -> NengoModel:
        """The ``keras.Model`` that owns the parameters."""
        raise NotImplementedError

    @property
    def dt(self) -> float:
        """Length of a time step in seconds."""
        return self.model.dt

    @dt.setter
    def dt(self, _):
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def seed(self) -> int:
        """Seed of processes without a seed of their own."""
        return self._seed

    def get_name(self, node_or_probe: Node | Probe) -> str:
        """The unique name by which Keras knows a Node or Probe."""
        raise NotImplementedError

    def _check_open(self, what: str) -> None:
        raise NotImplementedError

    def _restart_processes(self) -> None:
        raise NotImplementedError
