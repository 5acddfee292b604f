"""What a step function is given besides its operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal


class Host(Protocol):
    """Runs operators in Python."""

    def run(
        self,
        op: Operator,
        item: int,
        step: int,
        given: dict[Signal, np.ndarray],
        wanted: tuple[Signal, ...],
    ) -> list[np.ndarray]:
        """One step of ``op`` for one item of the minibatch."""


@dataclass(frozen=True)
class StepContext:
    """The surroundings of one step.

    Attributes
    ----------
    dt
        Time step in seconds.
    dtype
        ``"float32"`` or ``"float64"``.
    training
        Whether spiking neurons act as their differentiable counterparts.
    lif_smoothing
        Sigma of the SoftLIF that stands for LIF in training, or None.
    step_index
        Integer scalar tensor: 1 in the first step.
    host_call
        ``host_call(function, tensors, shapes) -> tensors`` calls numpy code from inside the compiled step.
        ``shapes`` is a list of (shape, dtype).
    host
        Runs the operators that have no lowering.
    """

    dt: float
    dtype: str
    training: bool
    lif_smoothing: float | None
    step_index: Any
    host_call: Callable[..., Any]
    host: Host
