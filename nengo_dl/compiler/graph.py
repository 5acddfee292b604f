"""The dependency graph of the operators of one step: set -> increment -> read -> update.

Between the phases of a signal stands one barrier vertex, so that n increments and m readers cost
n + m edges and not n * m. Views that share only part of their memory are told apart by cutting the
base into classes of elements that the same views hold; the operators that use one view in one phase
enter its classes through a pair of barriers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import Indices, as_array, signal_size, view_indices

PHASES = ("sets", "incs", "reads", "updates")

#: where edges into an operator (or several) end, and where those out of it start
Use = tuple[int, int]


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
        for base, by_view in _uses_of_bases(operators).items():
            if len(by_view) == 1:
                (uses,) = by_view.values()
                self._connect({p: [(v, v) for v in vertices] for p, vertices in uses.items()})
            else:
                for uses in _classes(base, self._bundled(by_view)):
                    self._connect(uses)

    def is_barrier(self, vertex: int) -> bool:
        return vertex >= len(self.operators)

    def add_edge(self, pre: int, post: int) -> None:
        self.successors[pre].append(post)
        self.n_predecessors[post] += 1

    def _barrier(self) -> int:
        self.successors.append([])
        self.n_predecessors.append(0)
        return len(self.successors) - 1

    def _bundled(self, by_view: dict[Signal, dict[str, list[int]]]):
        """For each view its uses, where those of one phase are one, between two barriers."""
        # an operator that reads and updates must not wait for itself
        n_phases = Counter(
            vertex
            for vertex, _ in {
                (vertex, phase)
                for uses in by_view.values()
                for phase, vertices in uses.items()
                for vertex in vertices
            }
        )
        for view, uses in by_view.items():
            yield (
                view,
                [
                    (phase, use)
                    for phase, vertices in uses.items()
                    for use in self._bundle(vertices, n_phases)
                ],
            )

    def _bundle(self, vertices: list[int], n_phases: Counter) -> list[Use]:
        alike = [v for v in vertices if n_phases[v] == 1]
        if len(alike) < 2:
            return [(v, v) for v in vertices]
        start, end = self._barrier(), self._barrier()
        for vertex in alike:
            self.add_edge(start, vertex)
            self.add_edge(vertex, end)
        return [(start, end), *((v, v) for v in vertices if n_phases[v] > 1)]

    def _connect(self, uses: dict[str, list[Use]]) -> None:
        before: list[Use] = []
        for phase in PHASES:
            now = uses.get(phase, [])
            if now and before:
                self._join(before, now)
            before = before + now

    def _join(self, before: list[Use], after: list[Use]) -> None:
        both = set(before).intersection(after)
        for use in both:  # reads and updates one signal: it waits for the others, not for itself
            for pre in before:
                if pre not in both:
                    self.add_edge(pre[1], use[0])
        after = [use for use in after if use not in both]
        if len(before) == 1 or len(after) == 1:
            for pre in before:
                for post in after:
                    self.add_edge(pre[1], post[0])
        elif after:
            barrier = self._barrier()
            for pre in before:
                self.add_edge(pre[1], barrier)
            for post in after:
                self.add_edge(barrier, post[0])

    def sorted_vertices(self) -> list[int]:
        """All vertices, each after those it depends on; those on a cycle, and behind it, are left
        out.
        """
        waiting = list(self.n_predecessors)
        ready = [v for v, n in enumerate(waiting) if n == 0]
        for vertex in ready:
            for post in self.successors[vertex]:
                waiting[post] -= 1
                if waiting[post] == 0:
                    ready.append(post)
        return ready

    def topological_order(self) -> list[int]:
        """The operators' vertices, each after those it depends on."""
        return [vertex for vertex in self.sorted_vertices() if not self.is_barrier(vertex)]


def _uses_of_bases(
    operators: Sequence[Operator],
) -> dict[Signal, dict[Signal, dict[str, list[int]]]]:
    """Base signal -> view -> phase -> operators that use the view in this phase."""
    uses: dict[Signal, dict[Signal, dict[str, list[int]]]] = {}
    views: dict[tuple, Signal] = {}
    for vertex, op in enumerate(operators):
        for phase in PHASES:
            for sig in getattr(op, phase):
                view = views.setdefault(_view_key(sig), sig) if sig.is_view else sig
                by_view = uses.setdefault(sig.base, {})
                vertices = by_view.setdefault(view, {}).setdefault(phase, [])
                if not vertices or vertices[-1] != vertex:  # it may use a signal twice
                    vertices.append(vertex)
    return uses


def _view_key(sig: Signal) -> tuple:
    return (sig.base, sig.elemoffset, sig.shape, sig.elemstrides)


def _classes(base: Signal, views: Iterable[tuple[Signal, list]]):
    """Cut the elements of ``base`` into classes that the same views hold, each with the uses of
    these views.
    """
    label = np.zeros(signal_size(base), dtype=np.int64)
    members = [signal_size(base)]
    uses: list[list] = [[]]
    for view, use in views:
        elements = _each_once(view_indices(view))
        labels = label[elements]
        for old, count in _counted(labels):
            if count == members[old]:
                uses[old].extend(use)
                continue
            labels[labels == old] = len(members)
            members[old] -= count
            members.append(count)
            uses.append(uses[old] + use)
        label[elements] = labels
    for use in uses:
        if len(use) > 1:
            yield _by_phase(use)


def _each_once(indices: Indices) -> slice | np.ndarray:
    if isinstance(indices, range) and indices.step > 0:
        return slice(indices.start, indices.stop, indices.step)
    return np.unique(as_array(indices))


def _counted(labels: np.ndarray) -> list[tuple[int, int]]:
    """Each of the labels, and how often it is there."""
    if labels.size and (labels == labels[0]).all():
        return [(int(labels[0]), labels.size)]
    found, counts = np.unique(labels, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))


def _by_phase(uses: list[tuple[str, Use]]) -> dict[str, list[Use]]:
    phases: dict[str, dict[Use, None]] = defaultdict(dict)
    for phase, use in uses:
        phases[phase][use] = None
    return {phase: list(found) for phase, found in phases.items()}
