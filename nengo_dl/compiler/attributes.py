"""Attributes of neuron types and synapses that training changes, as signals that operators read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal


@dataclass(frozen=True)
class Encoding:
    """How training holds an attribute: what it adds to one number is comparable for all of them.

    A positive attribute is ``initial * exp(unit * signal)``: it stays positive whatever training
    does, a step changes it by so many per cent whether it is milliseconds or seconds, and it is
    exactly its first value as long as the signal is 0. Any other is ``initial + unit * signal``,
    and not beyond the limits.
    """

    positive: bool = False
    unit: float = 1.0
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Attribute:
    """A number that belongs to a neuron type or synapse, or one for each element, and a signal that
    says how far training took it from its first value.
    """

    name: str
    initial: float | np.ndarray
    encoding: Encoding
    signal: Signal

    @classmethod
    def new(cls, name: str, initial: Any, encoding: Encoding) -> Attribute:
        """An attribute with a signal of its own."""
        signal = Signal(np.zeros(np.size(initial)), name=f"trained {name}")
        return cls(name, initial, encoding, signal)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its values."""
        return np.shape(self.initial)

    def decode(self, stored: Any) -> np.ndarray:
        """Values of the signal -> values of the attribute."""
        stored = np.reshape(np.asarray(stored, dtype=np.float64), self.shape)
        moved = self.encoding.unit * stored
        if self.encoding.positive:
            return np.asarray(self.initial * np.exp(moved))
        values = np.asarray(self.initial + moved)
        return values if self.encoding.limits is None else np.clip(values, *self.encoding.limits)

    def encode(self, value: Any) -> np.ndarray:
        """Values of the attribute -> values of the signal, (1, size)."""
        value = np.reshape(np.asarray(value, dtype=np.float64), self.shape)
        moved = np.log(value / self.initial) if self.encoding.positive else value - self.initial
        return np.reshape(moved / self.encoding.unit, (1, -1))

    def allows(self, value: np.ndarray) -> bool:
        """Whether the attribute can have these values."""
        low, high = self.encoding.limits or (-np.inf, np.inf)
        inside = (value > 0) & (value < np.inf) if self.encoding.positive else np.isfinite(value)
        return bool(np.all(inside & (value >= low) & (value <= high)))


class _WithAttributes(Operator):
    """Mixin of operators that read some attributes from signals."""

    attributes: tuple[Attribute, ...]

    @classmethod
    def of(cls, operator: Operator, attributes: Sequence[Attribute]) -> Operator:
        """``operator``, which reads ``attributes`` too."""
        result = object.__new__(cls)
        result.__dict__.update(operator.__dict__)
        result.attributes = tuple(attributes)
        result.reads = [*operator.reads, *(a.signal for a in attributes)]
        return result


class TrainedNeurons(_WithAttributes, SimNeurons):
    """``SimNeurons`` with trained attributes of the neuron type."""


class TrainedFilter(_WithAttributes, SimProcess):
    """``SimProcess`` of a synapse with a trained time constant."""


def with_attributes(operator: Operator, attributes: Sequence[Attribute]) -> Operator:
    """The operator of a neuron type or synapse, reading ``attributes`` from their signals."""
    kind = TrainedNeurons if isinstance(operator, SimNeurons) else TrainedFilter
    return kind.of(operator, attributes)
