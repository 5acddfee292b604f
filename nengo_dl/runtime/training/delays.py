"""How many steps it takes from the parameters of a network to its outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from nengo import Probe
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.synapses import Synapse

from nengo_dl.compiler.kernel import is_host_call
from nengo_dl.compiler.program import Program


class Delays:
    """Steps between signals and what a loss looks at: what an operator updates, as the output of a
    synapse, is seen in the next step.

    Parameters
    ----------
    program
        The network.
    probes
        The probes with a loss.
    """

    def __init__(self, program: Program, probes: Iterable[Probe]):
        self._program = program
        self._writers: dict[Signal, list[tuple[Operator, int]]] = {}
        for op in program.operators:
            for sig in (*op.sets, *op.incs, *op.updates):
                self._writers.setdefault(sig.base, []).append((op, int(sig in op.updates)))
        #: base signal -> the least number of steps that it takes from there
        self._steps: dict[Signal, int] = {}
        #: the same for operators
        self._operator_steps: dict[Operator, int] = {}
        self._go_back(program.model.sig[probe]["in"].base for probe in probes)
        reached = [self._steps[sig] for sig in program.trainable if sig in self._steps]
        self._from_parameters = min(reached, default=None)
        self._layers = [
            (op.layer, steps)
            for op, steps in self._operator_steps.items()
            if getattr(op, "layer", None) is not None
        ]

    def _go_back(self, wanted: Iterable[Signal]) -> None:
        ahead = deque((sig, 0) for sig in wanted)
        while ahead:
            sig, steps = ahead.popleft()
            if sig in self._steps:
                continue
            self._steps[sig] = steps
            for op, delay in self._writers.get(sig, ()):
                if is_host_call(op):
                    continue  # no gradient goes through Python code
                self._operator_steps.setdefault(op, steps + delay)
                found = [(s.base, steps + delay) for s in (*op.reads, *op.updates)]
                (ahead.extend if delay else ahead.extendleft)(found)

    def from_parameters(self) -> int | None:
        """The least number of steps that a gradient needs to reach any parameter; None where none
        does.
        """
        found = [s for layer, s in self._layers if layer.trainable_variables]
        found += [] if self._from_parameters is None else [self._from_parameters]
        return min(found) + 1 if found else None

    def synapses(self) -> list[str]:
        """The synapses of whose input nothing is seen in a single step."""
        return [
            f"{op.process} of {op.output.name}"
            for op in self._program.operators
            if isinstance(op, SimProcess)
            and isinstance(op.process, Synapse)
            and op.output in op.updates
            and self._steps.get(op.output.base) == 0
        ]
