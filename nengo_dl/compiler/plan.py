"""Planners: list of operators -> ordered list of groups, each a tuple of operators computed
together.

Every planner is a plain function of the operators. Operators are in one group only if their kernels
can merge them and none depends on another; the groups are in an order that respects all
dependencies.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from textwrap import shorten

from nengo.builder.operator import Operator
from nengo.exceptions import BuildError

from nengo_dl.compiler.graph import DependencyGraph
from nengo_dl.compiler.kernel import is_wiring, merge_key

Plan = list[tuple[Operator, ...]]
Planner = Callable[[Sequence[Operator]], Plan]


class _Frontier:
    """The operators whose predecessors are all planned, by merge key."""

    def __init__(self, graph: DependencyGraph, keys: Sequence[Hashable]):
        self.graph = graph
        self.keys = keys
        self.waiting = list(graph.n_predecessors)
        self.remaining = Counter(keys)
        self.available: dict[Hashable, list[int]] = defaultdict(list)
        self._release([v for v, n in enumerate(self.waiting) if n == 0])

    def _release(self, vertices: list[int]) -> None:
        queue = deque(vertices)
        while queue:
            vertex = queue.popleft()
            if self.graph.is_barrier(vertex):
                queue.extend(self._done(vertex))
            else:
                self.available[self.keys[vertex]].append(vertex)

    def _done(self, vertex: int) -> list[int]:
        ready = []
        for post in self.graph.successors[vertex]:
            self.waiting[post] -= 1
            if self.waiting[post] == 0:
                ready.append(post)
        return ready

    def take(self, key: Hashable) -> list[int]:
        """Plan all available operators with ``key``."""
        vertices = self.available.pop(key)
        self.remaining[key] -= len(vertices)
        self._release([post for v in vertices for post in self._done(v)])
        return vertices

    def completeness(self, key: Hashable) -> tuple[float, int]:
        """The share of the key's unplanned operators that is available, and their number."""
        n = len(self.available[key])
        return (n / self.remaining[key], n)


def _start(operators: Sequence[Operator]) -> tuple[_Frontier, set[Hashable]]:
    keys = [merge_key(op) for op in operators]
    free = {key for key, op in zip(keys, operators, strict=True) if is_wiring(op)}
    return _Frontier(DependencyGraph(operators), keys), free


def _finish(operators: Sequence[Operator], groups: list[list[int]]) -> Plan:
    if sum(len(group) for group in groups) < len(operators):
        planned = {v for group in groups for v in group}
        raise _cycle_error([op for v, op in enumerate(operators) if v not in planned])
    return [tuple(operators[v] for v in sorted(group)) for group in groups]


def _cycle_error(operators: Sequence[Operator]) -> BuildError:
    names = ", ".join(shorten(str(op), 80) for op in operators[:2])
    names += f" and {len(operators) - 2} more" if operators[2:] else ""
    return BuildError(
        "the network holds a cycle without delay: each of these operators, or one before it, waits "
        f"for its own result: {names}. Give a connection of the cycle a synapse; one of 0 delays "
        "by one time step"
    )


def greedy_planner(operators: Sequence[Operator]) -> Plan:
    """Group what is available, the most complete kind first; linear in operators plus dependencies.

    Operators that only move values cost nothing and go first. Of the others we take the kind of
    which the largest share of all that are still to come is available (then the most operators):
    what waits may become a larger group.
    """
    frontier, free = _start(operators)
    groups = []
    while frontier.available:
        wiring = [key for key in frontier.available if key in free]
        key = wiring[0] if wiring else max(frontier.available, key=frontier.completeness)
        groups.append(frontier.take(key))
    return _finish(operators, groups)


def noop_planner(operators: Sequence[Operator]) -> Plan:
    """No merging: one group an operator, in an order that respects the dependencies."""
    return _finish(operators, [[v] for v in DependencyGraph(operators).topological_order()])


def tree_planner(operators: Sequence[Operator], max_depth: int = 3) -> Plan:
    """Look ``max_depth`` groups ahead and take the choice after which most operators are planned.

    Slower than `greedy_planner` (the number of kinds that are available, to the power of
    ``max_depth``, at each group).
    """
    graph = DependencyGraph(operators)
    keys = [merge_key(op) for op in operators]
    frontier = _Frontier(graph, keys)
    groups = []
    while frontier.available:
        groups.append(frontier.take(_best_choice(frontier, max_depth)))
    return _finish(operators, groups)


def _best_choice(frontier: _Frontier, max_depth: int) -> Hashable:
    if len(frontier.available) == 1:
        return next(iter(frontier.available))
    reached = {key: _most_planned(_copy(frontier), key, max_depth) for key in frontier.available}
    return max(reached, key=lambda key: (reached[key], frontier.completeness(key)))


def _most_planned(frontier: _Frontier, key: Hashable, depth: int) -> int:
    """The most operators that ``depth`` groups, the first of kind ``key``, can hold."""
    n = len(frontier.take(key))
    if depth <= 1 or not frontier.available:
        return n
    return n + max(_most_planned(_copy(frontier), k, depth - 1) for k in frontier.available)


def _copy(frontier: _Frontier) -> _Frontier:
    other = object.__new__(_Frontier)
    other.graph, other.keys = frontier.graph, frontier.keys
    other.waiting = list(frontier.waiting)
    other.remaining = Counter(frontier.remaining)
    other.available = defaultdict(list, {k: list(v) for k, v in frontier.available.items()})
    return other


def transitive_planner(operators: Sequence[Operator]) -> Plan:
    """Merge kind by kind, the most frequent first: the fewest groups of each kind that dependencies
    allow.

    The operators of a kind are cut into levels (the most of the same kind on any path that leads to
    one); those of a level do not depend on one another, so each level becomes one vertex of the
    graph before the next kind is looked at.
    """
    graph = DependencyGraph(operators)
    keys = [merge_key(op) for op in operators]
    owner = list(range(len(graph.successors)))  # the vertex that stands for each one after merging
    for key, _ in Counter(keys).most_common():
        members = [v for v, k in enumerate(keys) if k == key]
        levels = _levels(graph, owner, set(members))
        first: dict[int, int] = {}
        for vertex in members:
            owner[vertex] = first.setdefault(levels[vertex], vertex)
    contracted = _contract(graph, owner)
    groups = defaultdict(list)
    for vertex in range(len(operators)):
        groups[owner[vertex]].append(vertex)
    return _finish(operators, [groups[v] for v in _order(contracted) if v in groups])


def _contract(graph: DependencyGraph, owner: list[int]) -> dict[int, list[int]]:
    edges: dict[int, list[int]] = {v: [] for v in set(owner)}
    for vertex, posts in enumerate(graph.successors):
        edges[owner[vertex]].extend(owner[post] for post in posts)
    return edges


def _order(edges: dict[int, list[int]]) -> list[int]:
    waiting = Counter(post for posts in edges.values() for post in posts)
    ready = [v for v in edges if waiting[v] == 0]
    for vertex in ready:
        for post in edges[vertex]:
            waiting[post] -= 1
            if waiting[post] == 0:
                ready.append(post)
    return ready


def _levels(graph: DependencyGraph, owner: list[int], members: set[int]) -> dict[int, int]:
    edges = _contract(graph, owner)
    level = dict.fromkeys(edges, 0)
    for vertex in _order(edges):
        here = level[vertex] + (vertex in members)
        for post in edges[vertex]:
            level[post] = max(level[post], here)
    return level
