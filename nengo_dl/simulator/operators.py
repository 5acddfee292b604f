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
        """The dependency graph of Nengo's operators: for each, those that come after it."""
        return operator_dependency_graph(self.model.operators)

    @property
    def step_order(self) -> list[Operator]:
        """Nengo's operators in an order in which Nengo could run them; see ``sim.program`` for what
        runs here.
        """
        return [op for op in toposort(self.dg) if hasattr(op, "make_step")]

    @property
    def rng(self) -> np.random.RandomState:
        """A new generator like the one that seeds the processes, from ``sim.seed``."""
        return np.random.RandomState(self.seed)
