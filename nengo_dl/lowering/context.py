"""What a step function is given besides its operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal


class Host(Protocol):
    """Runs operators in Python; ``failure`` is the first error that one raised, and its step."""

    failure: tuple[BaseException, int] | None

    def run(
        self,
        op: Operator,
        item: int,
        step: int,
        reads: Sequence[Signal],
        values: Iterable[np.ndarray],
        writes: Sequence[Signal],
    ) -> list[np.ndarray]:
        """One step of ``op`` for one item of the minibatch, as `HostOperator.run`."""


class Variables:
    """The values that the variables of Keras layers have at this point of a step.

    Parameters
    ----------
    fixed
        Pairs of a variable and its value, the same in each step.
    carried
        Pairs of a variable and its value, which a call may change.
    """

    def __init__(self, fixed: Iterable[tuple], carried: Iterable[tuple]):
        self._fixed = list(fixed)
        self._carried = list(carried)
        #: whether a layer added a loss, of which nothing comes
        self.dropped_losses = False

    def run(self, function: Callable[[], Any]) -> Any:
        """Call ``function``, in which variables have these values, and keep what it assigns to
        those that are carried.
        """
        mapping = [*self._fixed, *self._carried]
        with keras.StatelessScope(state_mapping=mapping, collect_losses=True) as scope:
            result = function()
        self.dropped_losses = bool(scope.losses)
        self._carried = [(v, scope.get_current_value(v)) for v, _ in self._carried]
        return result

    @property
    def carried(self) -> list:
        """The present values of the carried variables."""
        return [value for _, value in self._carried]


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
        ``host_call(function, tensors, shapes) -> tensors`` calls numpy code from inside the
        compiled step. ``shapes`` is a list of (shape, dtype).
    host
        Runs the operators that have no lowering.
    variables
        The variables of Keras layers.
    surrogate
        Derivative that stands for that of a spike in training, see `nengo_dl.surrogates`; None:
        rates stand for spikes.
    """

    dt: float
    dtype: str
    training: bool
    lif_smoothing: float | None
    step_index: Any
    host_call: Callable[..., Any]
    host: Host
    variables: Variables
    surrogate: Any = None

    def spikes(self, emitted: Any, excess: Any) -> Any:
        """Numbers of spikes ``emitted``; in training with the surrogate's derivative at the
        voltage's ``excess`` over the threshold.
        """
        if not self.training or self.surrogate is None:
            return emitted
        slope = keras.ops.stop_gradient(self.surrogate(excess))
        # the second term is zero, and has the derivative ``slope``
        return keras.ops.stop_gradient(emitted) + slope * (excess - keras.ops.stop_gradient(excess))
