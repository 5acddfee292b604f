"""What nengo.Simulator shows of Nengo's operators, from which the network was compiled."""

from __future__ import annotations

import numpy as np
from nengo.builder.operator import Operator
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from nengo_dl.simulator.parts import SimulatorParts


class OperatorInterface(SimulatorParts):
    """Part of `nengo_dl.Simulator`."""

    @property
    def dg(self) -> dict[Operator, list[Operator]]:
        """The dependency graph of Nengo's operators: each operator with the operators that depend
        on it.
        """
        return operator_dependency_graph(self.model.operators)

    @property
    def step_order(self) -> list[Operator]:
        """Nengo's operators, in an order in which Nengo could run them. ``sim.program`` shows the
        compiled program.
        """
        return [op for op in toposort(self.dg) if hasattr(op, "make_step")]

    @property
    def rng(self) -> np.random.RandomState:
        """A new random number generator with the seed ``sim.seed``, like the one that seeds
        processes.
        """
        return np.random.RandomState(self.seed)
