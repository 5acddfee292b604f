"""A graph without graphs inside, and without loops that have no delay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import nir
from nengo.exceptions import ValidationError

Edge = tuple[str, str]

#: nodes whose output in Nengo depends on their input up to the step before
DELAYING = (nir.LI, nir.I, nir.CubaLI, nir.CubaLIF, nir.Delay)


@dataclass
class FlatGraph:
    """Nodes and edges of a graph and of those inside it.

    Attributes
    ----------
    nodes
        By name; those of inner graphs have the name of the graph and a point in front.
    edges
        From name to name.
    inputs, outputs
        The names of the graph's own Inputs and Outputs; those of inner graphs pass values on.
    delayed
        The edges that close loops in which nothing else delays. They pass on what was there a step
        before.
    joined
        For a LI the ones after it that are solved together with it, which are not in ``nodes``.
    """

    nodes: dict[str, nir.NIRNode]
    edges: list[Edge]
    inputs: list[str]
    outputs: list[str]
    delayed: set[Edge] = field(default_factory=set)
    joined: dict[str, list[nir.LI]] = field(default_factory=dict)

    def before(self, name: str) -> list[str]:
        """The nodes whose sum a node gets."""
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        """The nodes that get a node's output."""
        return [b for a, b in self.edges if a == name]


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """Take a graph apart."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[Edge] = []
    _collect(graph, "", nodes, edges)
    result = FlatGraph(
        nodes,
        list(dict.fromkeys(edges)),
        [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)],
        [name for name, node in graph.nodes.items() if isinstance(node, nir.Output)],
    )
    _join(result)
    result.delayed = _closing_edges(result)
    return result


def _collect(graph: nir.NIRGraph, prefix: str, nodes: dict, edges: list) -> None:
    inner: dict[str, nir.NIRGraph] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, nir.NIRGraph):
            inner[name] = node
            _collect(node, f"{prefix}{name}.", nodes, edges)
        else:
            nodes[prefix + name] = node
    for a, b in graph.edges:
        start = f"{a}.{_only(inner[a], nir.Output, prefix + a)}" if a in inner else a
        end = f"{b}.{_only(inner[b], nir.Input, prefix + b)}" if b in inner else b
        for name in (start, end):
            if prefix + name not in nodes:
                raise ValidationError(
                    f"the edge from {prefix + a!r} to {prefix + b!r} names {name!r}, which the "
                    "graph has not",
                    attr="graph",
                )
        edges.append((prefix + start, prefix + end))


def _only(graph: nir.NIRGraph, kind: type, name: str) -> str:
    """The name of the one Input or Output of an inner graph."""
    found = [key for key, node in graph.nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise ValidationError(
            f"the graph {name!r} inside the graph has {len(found)} nodes of type {kind.__name__}; "
            "an edge to or from an inner graph needs exactly one",
            attr="graph",
        )
    return found[0]


def _join(graph: FlatGraph) -> None:
    """Take out what `to_nir` wrote for a filter of higher order but the first node."""
    for name, node in list(graph.nodes.items()):
        ours = (node.metadata or {}).get("nengo_dl", {})
        before = graph.before(name)
        if not isinstance(node, nir.LI) or not ours.get("joined") or len(before) != 1:
            continue
        (first,) = before
        if isinstance(graph.nodes[first], nir.LI) and graph.after(first) == [name]:
            graph.joined.setdefault(first, []).append(node)
            del graph.nodes[name]
            graph.edges = [
                (first if a == name else a, b) for a, b in graph.edges if (a, b) != (first, name)
            ]


def _closing_edges(graph: FlatGraph) -> set[Edge]:
    """The edges that close loops, on the way from the inputs, in which no node delays."""
    names = [name for name, node in graph.nodes.items() if not isinstance(node, DELAYING)]
    after = {name: [b for b in graph.after(name) if b in set(names)] for name in names}
    closing: set[Edge] = set()
    done: set[str] = set()
    starts = [*graph.inputs, *_after_delays(graph, set(names)), *names]
    for start in starts:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, Iterator[str]]] = []

        def enter(name: str, path=path, on_path=on_path, stack=stack) -> None:
            path.append(name)
            on_path.add(name)
            stack.append((name, iter(after[name])))

        if start not in done:
            enter(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                on_path.discard(path.pop())
                done.add(name)
            elif following in on_path:
                closing.add((name, following))
            elif following not in done:
                enter(following)
    return closing


def _after_delays(graph: FlatGraph, names: set[str]) -> list[str]:
    """Where values come in that were there a step before."""
    return [b for a, b in graph.edges if a not in names and b in names]
