"""The dependency graph of the operators of one step: set -> increment -> read -> update.

Between the phases of a signal stands one barrier vertex, so that n increments and m readers cost n + m edges and
not n * m. Views that share only part of their memory are told apart by cutting the base into classes of elements that
the same views hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import as_array, signal_size, view_indices

PHASES = ("sets", "incs", "reads", "updates")


class DependencyGraph:
    """Vertices 0..n-1 are the operators, those above are barriers.

    Attributes
    ----------
    successors : list of lists of int
    n_predecessors : list of int
    """

    def __init__(self, operators: Sequence[Operator]):
        self.operators = operators
        self.successors: list[list[int]] = [[] for _ in operators]
        self.n_predecessors: list[int] = [0] * len(operators)
        for phases in _phases_of_classes(operators):
            self._connect(phases)

    def is_barrier(self, vertex: int) -> bool:
        return vertex >= len(self.operators)

    def add_edge(self, pre: int, post: int) -> None:
        self.successors[pre].append(post)
        self.n_predecessors[post] += 1

    def _connect(self, phases: dict[str, list[int]]) -> None:
        before: list[int] = []
        for phase in PHASES:
            now = phases.get(phase, [])
            if now and before:
                self._join(before, now)
            before = before + now

    def _join(self, before: list[int], after: list[int]) -> None:
        both = set(before).intersection(after)
        for op in both:  # e.g. reads and updates one signal: it waits for the others, not for itself
            for pre in before:
                if pre not in both:
                    self.add_edge(pre, op)
        after = [op for op in after if op not in both]
        if len(before) == 1 or len(after) == 1:
            for pre in before:
                for post in after:
                    self.add_edge(pre, post)
        elif after:
            barrier = len(self.successors)
            self.successors.append([])
            self.n_predecessors.append(0)
            for pre in before:
                self.add_edge(pre, barrier)
            for post in after:
                self.add_edge(barrier, post)

    def topological_order(self) -> list[int]:
        """The operators' vertices, each after those it depends on."""
        waiting = list(self.n_predecessors)
        ready = [v for v, n in enumerate(waiting) if n == 0]
        order = []
        for vertex in ready:
            if not self.is_barrier(vertex):
                order.append(vertex)
            for post in self.successors[vertex]:
                waiting[post] -= 1
                if waiting[post] == 0:
                    ready.append(post)
        return order


def _phases_of_classes(operators: Sequence[Operator]):
    """For each class of elements: phase -> operators that touch it in this phase."""
    uses: dict[Signal, dict[tuple, list]] = defaultdict(dict)
    views: dict[tuple, Signal] = {}
    for vertex, op in enumerate(operators):
        for phase in PHASES:
            for sig in getattr(op, phase):
                key = _view_key(sig)
                views.setdefault(key, sig)
                uses[sig.base].setdefault(key, []).append((phase, vertex))
    for base, by_view in uses.items():
        if len(by_view) == 1:
            yield _by_phase(next(iter(by_view.values())))
        else:
            yield from _split(base, [(views[key], use) for key, use in by_view.items()])


def _view_key(sig: Signal) -> tuple:
    if not sig.is_view:
        return (sig.base,)
    return (sig.base, sig.elemoffset, sig.shape, sig.elemstrides)


def _by_phase(uses: list[tuple[str, int]]) -> dict[str, list[int]]:
    phases: dict[str, dict[int, None]] = defaultdict(dict)
    for phase, vertex in uses:
        phases[phase][vertex] = None
    return {phase: list(vertices) for phase, vertices in phases.items()}


def _split(base: Signal, views: list[tuple[Signal, list]]):
    """Refine the elements of ``base`` into classes, then give each class the uses of its views."""
    label = np.zeros(signal_size(base), dtype=np.int64)
    members = [signal_size(base)]
    uses: list[list] = [[]]
    for view, use in views:
        elements = np.unique(as_array(view_indices(view)))
        labels, counts = np.unique(label[elements], return_counts=True)
        for old, count in zip(labels.tolist(), counts.tolist(), strict=True):
            if count == members[old]:
                uses[old].extend(use)
                continue
            members[old] -= count
            members.append(count)
            uses.append(uses[old] + use)
            label[elements[label[elements] == old]] = len(members) - 1
    for use in uses:
        if len(use) > 1:
            yield _by_phase(use)
