"""Graphs as text that other programs draw."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nengo_dl.viz.graph import NetworkGraph

#: kind of a vertex -> what is around its text in Mermaid, shape in Graphviz
_MERMAID = {
    "node": ("[", "]"),
    "ensemble": ("(", ")"),
    "tensor_node": ("[[", "]]"),
    "probe": (">", "]"),
    "network": ("{{", "}}"),
}
_DOT = {
    "node": "shape=box",
    "ensemble": 'shape=box, style="rounded,filled"',
    "tensor_node": "shape=box, peripheries=2",
    "probe": "shape=cds",
    "network": "shape=box3d",
}
_ARROWS = {"connection": "-->", "learning": "-.->", "probe": "-.->"}


def mermaid(graph: NetworkGraph) -> str:
    """Text for Mermaid."""

    def vertex(i: int) -> str:
        v = graph.vertices[i]
        before, after = _MERMAID[v.kind]
        text = "<br/>".join(_mermaid_text(line) for line in (v.name, *v.lines))
        return f'v{i}{before}"{text}"{after}'

    lines = ["flowchart LR"]
    lines += _nested(
        graph, vertex, lambda n, name: f'subgraph n{n}["{_mermaid_text(name)}"]', "end"
    )
    for edge in graph.edges:
        text = "<br/>".join(_mermaid_text(line) for line in edge.lines)
        label = f'|"{text}"|' if text else ""
        lines.append(f"  v{edge.pre} {_ARROWS[edge.kind]}{label} v{edge.post}")
    return "\n".join(lines) + "\n"


def dot(graph: NetworkGraph) -> str:
    """Text for Graphviz."""

    def vertex(i: int) -> str:
        v = graph.vertices[i]
        return f"v{i} [label={_dot_text((v.name, *v.lines))}, {_DOT[v.kind]}];"

    lines = [
        "digraph network {",
        '  rankdir=LR; fontname="sans-serif";',
        '  node [fontname="sans-serif", fontsize=10, fillcolor="#e8f1f8"];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    lines += _nested(
        graph, vertex, lambda n, name: f"subgraph cluster_{n} {{ label={_dot_text((name,))};", "}"
    )
    for edge in graph.edges:
        dashed = "" if edge.kind == "connection" else ", style=dashed"
        lines.append(f"  v{edge.pre} -> v{edge.post} [label={_dot_text(edge.lines)}{dashed}];")
    return "\n".join([*lines, "}"]) + "\n"


def _nested(
    graph: NetworkGraph,
    vertex: Callable[[int], str],
    opening: Callable[[int, str], str],
    closing: str,
) -> Iterator[str]:
    """A line for each vertex, and lines around those of each inner network."""
    place: tuple[str, ...] = ()
    n_opened = 0
    for i, v in enumerate(graph.vertices):
        if v.place != place:
            same = next(
                (k for k, (a, b) in enumerate(zip(place, v.place, strict=False)) if a != b),
                min(len(place), len(v.place)),
            )
            for k in range(len(place), same, -1):
                yield "  " * k + closing
            for k, name in enumerate(v.place[same:], same):
                yield "  " * (k + 1) + opening(n_opened, name)
                n_opened += 1
            place = v.place
        yield "  " * (len(place) + 1) + vertex(i)
    for k in range(len(place), 0, -1):
        yield "  " * k + closing


def _mermaid_text(text: str) -> str:
    """As in HTML, but that Mermaid writes # in place of &."""
    escaped = html.escape(text.replace("#", "\0")).replace("&", "#").replace("\0", "#35;")
    return escaped.replace("`", "#96;").replace("\n", " ")


def _dot_text(lines: tuple[str, ...]) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines)
    return '"' + "\\n".join(escaped) + '"'
