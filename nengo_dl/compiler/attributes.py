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
class Attribute:
    """A number that belongs to a neuron type or synapse, and a signal that says how far training
    took it from its first value.

    A positive one is ``initial * exp(signal)``: it stays positive whatever training does, a step
    changes it by so many per cent whether it is milliseconds or seconds, and it is exactly its
    first value as long as the signal is 0. Any other is ``initial + signal``.
    """

    name: str
    initial: float
    positive: bool
    signal: Signal

    @classmethod
    def new(cls, name: str, initial: float, positive: bool) -> Attribute:
        """An attribute with a signal of its own."""
        return cls(name, initial, positive, Signal(np.zeros(1), name=f"trained {name}"))

    def decode(self, stored: Any) -> np.ndarray:
        """Values of the signal -> values of the attribute."""
        stored = np.asarray(stored, dtype=np.float64)
        return self.initial * np.exp(stored) if self.positive else self.initial + stored

    def encode(self, value: Any) -> np.ndarray:
        """Values of the attribute -> values of the signal."""
        value = np.asarray(value, dtype=np.float64)
        return np.log(value / self.initial) if self.positive else value - self.initial


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
