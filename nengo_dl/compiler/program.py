"""The records that the stages of the compiler hand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nengo import Node, Probe
from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal


@dataclass(frozen=True, eq=False)
class Input:
    """Values that do not depend on the simulation: computed ahead, one row a step.

    ``operator`` is Nengo's own operator that computes them (None: a Node with an array,
    ``signal``'s initial value). ``node`` is the Node whose values they are, None for noise that is
    injected into an ensemble.
    """

    name: str
    signal: Signal
    operator: Operator | None
    node: Node | None

    @cached_property
    def size(self) -> int:
        return self.signal.size


@dataclass(frozen=True)
class Program:
    """A network as operators."""

    model: Model
    operators: tuple[Operator, ...]
    inputs: tuple[Input, ...]
    probes: tuple[Probe, ...]
    #: base signals that training changes -> what they are ("encoders", "weights", ...); stored
    #: together by that
    trainable: Mapping[Signal, str] = field(default_factory=dict)
    #: those of them that nothing reads, but that can be saved and loaded as all others
    unread: tuple[Signal, ...] = ()
    #: Nodes whose function runs inside the loop although it has no input; data can be given for
    #: them too
    loop_inputs: tuple[Input, ...] = ()


def probed_signals(model: Model) -> list[Signal]:
    """What the probes record, in their order."""
    return [model.sig[probe]["in"] for probe in model.probes]


@dataclass(frozen=True)
class Group:
    """Operators that are computed together."""

    operators: tuple[Operator, ...]

    @property
    def kind(self) -> str:
        return type(self.operators[0]).__name__

    def __len__(self) -> int:
        return len(self.operators)
