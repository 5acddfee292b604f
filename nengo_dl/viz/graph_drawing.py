"""Graphs drawn with matplotlib."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nengo.exceptions import ValidationError

from nengo_dl.optional import installed
from nengo_dl.viz import style
from nengo_dl.viz.graph_layout import place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nengo_dl.viz.graph import NetworkGraph, Vertex

#: more are not readable
MAX_VERTICES = 150
#: kind of a vertex -> its colour
FILLS = {
    "node": "#f4f4f4",
    "ensemble": "#d9ebf7",
    "tensor_node": "#fbe3d3",
    "probe": "#ffffff",
    "network": "#e3e3e8",
}
FONT = 8  # points
# sizes in inches
LINE, LETTER, MARGIN, SPACE = 0.15, 0.073, 0.09, 0.55
#: letters of the names of networks around an object; what is longer lacks its beginning
LONGEST = 24
#: how high the curve of a connection from an ensemble to itself is
LOOP = 0.3


@dataclass(frozen=True)
class Box:
    """A vertex on the page, in inches."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2


def draw(graph: NetworkGraph, ax: Axes | None = None) -> Axes:
    """See `NetworkGraph.draw`."""
    n = len(graph.vertices)
    if not 1 <= n <= MAX_VERTICES:
        raise ValidationError(
            f"the graph has {n} objects, and 1 to {MAX_VERTICES} can be drawn; "
            "network_graph(net, depth=1, probes=False) shows fewer",
            attr="graph",
        )
    boxes, routes = _lay_out(graph)
    if ax is None:
        with installed("viz"):
            from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(4, 3), layout="constrained")
        _fit(ax, boxes, resize=True)
    else:
        _fit(style.axes_for(ax), boxes, resize=False)
    for vertex, box in zip(graph.vertices, boxes, strict=True):
        _draw_vertex(ax, vertex, box)
    taken: list[tuple[float, float, float, float]] = []
    for edge, route in zip(graph.edges, routes, strict=True):
        _draw_edge(ax, edge, route)
    for edge, route in zip(graph.edges, routes, strict=True):
        _draw_label(ax, edge.lines, route, taken)
    if graph.title:
        ax.set_title(graph.title, loc="left", fontsize=10)
    return ax


def svg(graph: NetworkGraph) -> str:
    """The picture as SVG."""
    with installed("viz"):
        from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    boxes, _ = _lay_out(graph)
    _fit(ax, boxes, resize=True)
    draw(graph, ax)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _fit(ax: Axes, boxes: list[Box], resize: bool) -> None:
    left, right = min(b.left for b in boxes) - 0.1, max(b.right for b in boxes) + 0.1
    bottom = min(b.y - b.height / 2 for b in boxes) - 0.1
    top = max(b.y + b.height / 2 for b in boxes) + LOOP + 0.25
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.set_aspect("equal")
    ax.axis("off")
    if resize:
        style.figure_of(ax).set_size_inches(right - left + 0.1, top - bottom + 0.35)


# -- where things go -------------------------------------------------------------------------------


def _text_of(vertex: Vertex) -> list[str]:
    place = "/".join(vertex.place)
    if len(place) > LONGEST:
        place = "…" + place[1 - LONGEST :]
    return [*([place] if place else []), vertex.name, *vertex.lines]


def _width(lines) -> float:
    return LETTER * max((len(line) for line in lines), default=0)


def _lay_out(graph: NetworkGraph) -> tuple[list[Box], list[list[tuple[float, float]]]]:
    """A box for each vertex, and for each edge the points that it goes through."""
    ends = [(edge.pre, edge.post) for edge in graph.edges]
    texts = [_text_of(v) for v in graph.vertices]
    loops = {pre for pre, post in ends if pre == post}
    heights = [len(lines) * LINE + 2 * MARGIN for lines in texts]
    room = [h + 2 * (LOOP + LINE) * (i in loops) for i, h in enumerate(heights)]
    found = place(len(texts), ends, room)
    n_columns = max(found.columns) + 1
    widths, gaps = [0.0] * n_columns, [SPACE] * n_columns
    for column, lines in zip(found.columns, texts, strict=True):
        widths[column] = max(widths[column], _width(lines) + 2 * MARGIN)
    for edge in graph.edges:
        first = min(found.columns[edge.pre], found.columns[edge.post])
        if edge.pre != edge.post:
            gaps[first] = max(gaps[first], _width(edge.lines) + SPACE)
    centres, x = [], 0.0
    for width, gap in zip(widths, gaps, strict=True):
        centres.append(x + width / 2)
        x += width + gap
    boxes = [
        Box(centres[column], -y, widths[column], height)
        for column, y, height in zip(found.columns, found.y, heights, strict=True)
    ]
    starts, stops = _ports(ends, found, boxes)
    routes: list[list[tuple[float, float]]] = []
    for i, (pre, post) in enumerate(ends):
        a, b = boxes[pre], boxes[post]
        if pre == post:
            routes.append([])
            top = a.y + a.height / 2
            routes[-1] = [(a.x + a.width / 4, top), (a.x, top + LOOP), (a.x - a.width / 4, top)]
            continue
        to_the_right = found.columns[pre] < found.columns[post]
        first = min(found.columns[pre], found.columns[post])
        points = []
        for k, y in enumerate(found.bends[i], first + 1):
            half = widths[k] / 2
            points += [(centres[k] - half, -y), (centres[k] + half, -y)]
        if not to_the_right:
            points.reverse()
        start = (a.right if to_the_right else a.left, starts[i])
        stop = (b.left if to_the_right else b.right, stops[i])
        routes.append([start, *points, stop])
    return boxes, routes


def _ports(ends, found, boxes) -> tuple[list[float], list[float]]:
    """At what heights edges leave and enter the boxes: spread over the side, in the order of where
    they come from or go to.
    """
    starts, stops = [0.0] * len(ends), [0.0] * len(ends)
    sides: dict[tuple[int, bool], list] = {}
    for i, (pre, post) in enumerate(ends):
        if pre == post:
            continue
        to_the_right = found.columns[pre] < found.columns[post]
        bends = [-y for y in found.bends[i]]
        bends = bends if to_the_right else bends[::-1]
        next_y = bends[0] if bends else boxes[post].y
        last_y = bends[-1] if bends else boxes[pre].y
        sides.setdefault((pre, to_the_right), []).append((next_y, i, starts))
        sides.setdefault((post, not to_the_right), []).append((last_y, i, stops))
    for (vertex, _), edges in sides.items():
        box = boxes[vertex]
        edges.sort(key=lambda edge: edge[:2])
        for k, (_, i, heights) in enumerate(edges, 1):
            heights[i] = box.y + box.height * (k / (len(edges) + 1) - 0.5)
    return starts, stops


# -- drawing ---------------------------------------------------------------------------------------


def _draw_vertex(ax: Axes, vertex: Vertex, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    rounding = 0.1 if vertex.kind == "ensemble" else 0.015
    ax.add_patch(
        FancyBboxPatch(
            (box.left, box.y - box.height / 2),
            box.width,
            box.height,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=FILLS[vertex.kind],
            edgecolor=style.INK,
            linestyle=":" if vertex.kind == "probe" else "-",
            linewidth=1.6 if vertex.kind == "network" else 0.8,
            zorder=2,
        )
    )
    for k, line in enumerate(_text_of(vertex)):
        y = box.y + box.height / 2 - MARGIN - (k + 0.5) * LINE
        weight = "bold" if k == bool(vertex.place) else "normal"
        ax.text(
            box.x, y, line, ha="center", va="center", fontsize=FONT, weight=weight, color=style.INK
        )


def _curve(route):
    """A smooth path through points, horizontal at each of them."""
    from matplotlib.path import Path

    vertices, codes = [route[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in zip(route[:-1], route[1:], strict=True):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _draw_edge(ax: Axes, edge, route) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    if edge.pre == edge.post:
        (x0, y0), (_, y1), (x2, _) = route
        high = y0 + (y1 - y0) * 4 / 3  # a curve stays within three quarters of its handles
        points = [(x0, y0), (x0, high), (x2, high), (x2, y0)]
        path = Path(points, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    else:
        path = _curve(route)
    ax.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>",
            mutation_scale=9,
            color=style.COLORS[1] if edge.kind == "learning" else "#70737f",
            linestyle="-" if edge.kind == "connection" else ":",
            linewidth=0.9,
            zorder=1,
            shrinkA=0,
            shrinkB=0,
        )
    )


def _draw_label(ax: Axes, lines, route, taken) -> None:
    """Write at an edge, at a place on its first curve where nothing is written yet."""
    if not lines:
        return
    width, height = _width(lines), LINE * len(lines)
    loop = len(route) == 3 and route[0][1] == route[2][1]
    (x0, y0), (x1, y1) = route[:2]
    places = []
    for t in (0.5, 0.6, 0.4, 0.7, 0.3):
        rise = t * t * (3 - 2 * t)  # of the curve
        places.append((x0 + (x1 - x0) * t, y0 + (y1 - y0) * rise))
    if loop:
        places = [(route[1][0], route[1][1] + height / 2 + 0.02)]

    def rectangle(x, y):
        return x - width / 2, x + width / 2, y - height / 2, y + height / 2

    def overlap(x, y):
        a = rectangle(x, y)
        return sum(
            max(0, min(a[1], b[1]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[2], b[2]))
            for b in taken
        )

    x, y = min(places, key=lambda xy: overlap(*xy))
    taken.append(rectangle(x, y))
    ax.text(
        x,
        y,
        "\n".join(lines),
        ha="center",
        va="center",
        fontsize=FONT - 1,
        color=style.INK,
        linespacing=1.1,
        zorder=3,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
    )
