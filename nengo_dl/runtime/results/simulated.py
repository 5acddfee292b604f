"""What is asked of a simulator by what reads its results."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nengo import Ensemble, Probe
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.signal import Signal

from nengo_dl.compiler.attributes import Attribute
from nengo_dl.compiler.compiled import Compiled
from nengo_dl.runtime.results.recording import ProbeRecord


class Simulated:
    """A network while it is simulated, and afterwards."""

    model: Model
    program: Compiled
    records: Mapping[Probe, ProbeRecord]
    trained_attributes: Mapping[NengoObject, tuple[Attribute, ...]]
    encoder_lengths: Mapping[Ensemble, np.ndarray]
    minibatch_size: int | None
    batch_size: int
    closed: bool

    @property
    def n_steps(self) -> int:
        """Steps that were run since the last reset."""
        raise NotImplementedError

    @property
    def time(self) -> float:
        """Simulated time in seconds."""
        raise NotImplementedError

    @property
    def data(self) -> Mapping:
        """Maps probes to what they recorded."""
        raise NotImplementedError

    def is_variable(self, signal: Signal) -> bool:
        """Whether training or the simulation can change the value of a signal."""
        raise NotImplementedError

    def present_value(self, signal: Signal) -> np.ndarray:
        """The value now of a signal that is stored."""
        raise NotImplementedError

    def set_value(self, signal: Signal, values: np.ndarray) -> None:
        """Give a base signal that is stored other values, (minibatch_size or 1, size)."""
        raise NotImplementedError
