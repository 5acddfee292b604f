"""A network as a graph: its objects with their sizes, and what connects them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nengo
from nengo import Connection, Ensemble, Network, Probe
from nengo.base import ObjView
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.transforms import Dense, NoTransform

from nengo_dl.runtime.checks import checked_count
from nengo_dl.runtime.parameters.object_names import object_names
from nengo_dl.runtime.parameters.stored import find_parameters
from nengo_dl.tensor_node import TensorNode
from nengo_dl.viz import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Vertex:
    """A Node, Ensemble or Probe, or a network whose objects are not shown.

    Attributes
    ----------
    kind
        "node", "ensemble", "tensor_node", "probe" or "network".
    place
        Names of the networks that it is in, outermost first.
    name, lines
        Its name in there, and what else there is to say.
    """

    kind: str
    place: tuple[str, ...]
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Edge:
    """A connection, or several between the same two vertices (numbers of the graph's vertices).

    ``kind`` is "connection", "learning" (an error signal) or "probe".
    """

    pre: int
    post: int
    kind: str = "connection"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkGraph:
    """A network as a graph; notebooks show it as a picture.

    Attributes
    ----------
    vertices, edges
        See ``Vertex`` and ``Edge``.
    """

    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]
    title: str = field(default="", compare=False)

    def mermaid(self) -> str:
        """As text for Mermaid (https://mermaid.js.org), which Markdown viewers draw."""
        from nengo_dl.viz.graph_text import mermaid

        return mermaid(self)

    def dot(self) -> str:
        """As text for Graphviz (https://graphviz.org)."""
        from nengo_dl.viz.graph_text import dot

        return dot(self)

    def draw(self, ax: Axes | None = None) -> Axes:
        """Draw it with matplotlib.

        Raises
        ------
        nengo.exceptions.ValidationError
            For more than 150 vertices; ``network_graph(net, depth=1)`` has fewer.
        """
        from nengo_dl.viz.graph_drawing import draw

        return draw(self, ax)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from nengo_dl.viz.graph_drawing import MAX_VERTICES, svg

        bundle = {"text/plain": repr(self)}
        if len(self.vertices) <= MAX_VERTICES:
            bundle["image/svg+xml"] = svg(self)
        else:
            bundle["text/vnd.mermaid"] = self.mermaid()
        return bundle

    def __repr__(self) -> str:
        return (
            f"<NetworkGraph of {len(self.vertices)} objects and {len(self.edges)} connections; "
            ".mermaid(), .dot() or .draw() show it>"
        )


def network_graph(
    net_or_sim: Any, format: str | None = None, *, depth: int | None = None, probes: bool = True
) -> NetworkGraph | str:
    """The objects of a network, their sizes, and their connections, as a graph.

    Parameters
    ----------
    net_or_sim
        A nengo.Network, or a `nengo_dl.Simulator`, for which the graph also shows the number of
        trained parameters of each object.
    format : {"mermaid", "dot"}, optional
        Return text for Mermaid or Graphviz instead.
    depth
        Number of levels of nested networks to show; each deeper network is a single vertex. By
        default all levels are shown.
    probes
        Whether Probes are shown.

    Returns
    -------
    NetworkGraph, or str if a format is given

    Raises
    ------
    nengo.exceptions.ValidationError
        For anything but a network or a simulator, and for an unknown format.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     a, b = nengo.Node([0.5], label="a"), nengo.Ensemble(30, dimensions=1, label="b")
    ...     connection = nengo.Connection(a, b)
    >>> nengo_dl.viz.network_graph(net)  # a picture in a notebook
    <NetworkGraph of 2 objects and 1 connections; .mermaid(), .dot() or .draw() show it>
    >>> print(nengo_dl.viz.network_graph(net, format="mermaid").splitlines()[0])
    flowchart LR
    """
    if format not in (None, "mermaid", "dot"):
        raise ValidationError(f"expected 'mermaid', 'dot' or None, got {format!r}", attr="format")
    sim = None
    network = net_or_sim
    if not isinstance(network, Network):
        sim, network = net_or_sim, getattr(getattr(net_or_sim, "model", None), "toplevel", None)
    if not isinstance(network, Network):
        raise ValidationError(
            f"expected a nengo.Network or a Simulator of one, got {net_or_sim!r} of type "
            f"{type(net_or_sim).__name__}",
            attr="net_or_sim",
        )
    graph = _Collector(network, _trained_sizes(sim), depth, probes).graph()
    if format is None:
        return graph
    return graph.mermaid() if format == "mermaid" else graph.dot()


def _trained_sizes(sim: Any) -> dict[Any, int] | None:
    """How many parameters of each object are trained; None without a simulator that trains."""
    program = getattr(sim, "program", None)
    if program is None:
        return None
    trainable = program.program.trainable
    sizes: dict[Any, int] = {}
    for parameter in find_parameters(sim.model, sim.model.toplevel):
        if parameter.signal.base in trainable:
            sizes[parameter.obj] = sizes.get(parameter.obj, 0) + parameter.signal.size
    for node in sim.model.toplevel.all_nodes:
        if isinstance(node, TensorNode) and node.output.layer is not None:
            sizes[node] = sum(math.prod(v.shape) for v in node.output.layer.trainable_variables)
    return sizes


class _Collector:
    """Makes the graph of a network."""

    def __init__(self, network: Network, sizes: dict | None, depth: int | None, probes: bool):
        self.network, self.sizes = network, sizes
        self.depth = float("inf") if depth is None else checked_count("depth", depth, least=0)
        self.probes = probes
        self.names = object_names(network)
        self.vertices: list[Vertex] = []
        self.edges: dict[tuple[int, int, str], list[tuple[str, ...]]] = {}
        self.index: dict[Any, int] = {}

    def graph(self) -> NetworkGraph:
        self._add_objects(self.network, ())
        for conn in self.network.all_connections:
            self._connect(conn)
        if self.probes:
            for probe in self.network.all_probes:
                self._link(self._vertex_of(probe.obj), self._vertex_of(probe), "probe", ())
        edges = (
            Edge(pre, post, kind, _joined(lines)) for (pre, post, kind), lines in self.edges.items()
        )
        return NetworkGraph(tuple(self.vertices), tuple(edges), self.network.label or "")

    # -- vertices ----------------------------------------------------------------------------------

    def _add_objects(self, network: Network, place: tuple[str, ...]) -> None:
        for obj in (*network.nodes, *network.ensembles, *(network.probes if self.probes else ())):
            kind, lines = _describe(obj)
            name = self.names[obj].rsplit("/", 1)[-1]
            self._add([obj], Vertex(kind, place, name, (*lines, *self._trained([obj]))))
        for inner in network.networks:
            name = inner.label or "network"
            if len(place) < self.depth:
                self._add_objects(inner, (*place, name))
                continue
            objs = [*inner.all_nodes, *inner.all_ensembles, *inner.all_probes]
            lines = (
                style.count(inner.n_neurons, "neuron"),
                *self._trained([*objs, *inner.all_connections]),
            )
            self._add(objs, Vertex("network", place, name, lines))

    def _add(self, objs: list, vertex: Vertex) -> None:
        self.index.update(dict.fromkeys(objs, len(self.vertices)))
        self.vertices.append(vertex)

    def _trained(self, objs: list) -> tuple[str, ...]:
        n = sum(self.sizes.get(obj, 0) for obj in objs) if self.sizes else 0
        return (f"{n:,} trained",) if n else ()

    # -- edges -------------------------------------------------------------------------------------

    def _connect(self, conn: Connection) -> None:
        learning = isinstance(conn.post_obj, LearningRule)
        lines = () if learning else (*_transform(conn), *self._trained([conn]))
        kind = "learning" if learning else "connection"
        self._link(self._vertex_of(conn.pre_obj), self._vertex_of(conn.post_obj), kind, lines)

    def _link(self, pre: int | None, post: int | None, kind: str, lines: tuple[str, ...]) -> None:
        if pre is None or post is None:
            return  # one end is not shown
        if pre != post or self.vertices[pre].kind != "network":
            self.edges.setdefault((pre, post, kind), []).append(lines)

    def _vertex_of(self, obj: Any) -> int | None:
        """The number of the vertex that stands for an object, None where none does."""
        if isinstance(obj, ObjView):
            return self._vertex_of(obj.obj)
        if isinstance(obj, Neurons):
            return self._vertex_of(obj.ensemble)
        if isinstance(obj, LearningRule):
            return self._vertex_of(obj.connection.post_obj)
        if isinstance(obj, Connection):
            return self._vertex_of(obj.post_obj)
        return self.index.get(obj)


def _joined(connections: list[tuple[str, ...]]) -> tuple[str, ...]:
    if len(connections) == 1:
        return connections[0]
    return (f"{len(connections)} connections",)


def _describe(obj: Any) -> tuple[str, tuple[str, ...]]:
    """Kind of an object, and its size in words."""
    if isinstance(obj, Ensemble):
        kind = type(obj.neuron_type).__name__
        neurons = f"{obj.n_neurons:,} {kind}" if kind != "Direct" else "Direct"
        return "ensemble", (neurons, style.count(obj.dimensions, "dimension"))
    if isinstance(obj, TensorNode):
        shape_in = "" if obj.shape_in is None else f"{obj.shape_in} → "
        return "tensor_node", (f"{shape_in}{obj.shape_out}",)
    if isinstance(obj, Probe):
        attribute = "" if obj.attr in ("output", "decoded_output") else f"{obj.attr}, "
        return "probe", (attribute + style.count(obj.size_in, "value"),)
    size = f"{obj.size_in:,} → {obj.size_out:,}"
    if obj.output is None:
        size = f"passes on {obj.size_out:,}"
    elif not obj.size_in:
        size = style.count(obj.size_out, "value")
    return "node", (size,)


def _transform(conn: Connection) -> tuple[str, ...]:
    """Function, sizes and synapse of a connection."""
    transform = conn.transform
    if isinstance(transform, NoTransform) or (
        isinstance(transform, Dense) and transform.init_shape == ()
    ):
        size = f"{conn.size_out:,}"
    else:
        size = f"{conn.size_mid:,} → {conn.size_out:,}"
        if not isinstance(transform, Dense):
            size = f"{type(transform).__name__}, {size}"
    function = getattr(conn.function, "__name__", None)
    first = size if function is None else f"{function.strip('<>')}, {size}"
    synapse = conn.synapse
    if isinstance(synapse, nengo.Lowpass):
        first += f", {1000 * synapse.tau:g} ms"
    elif synapse is not None:
        first += f", {type(synapse).__name__}"
    names = [type(rule).__name__ for rule in _rules(conn)]
    return (first, ", ".join(names)) if names else (first,)


def _rules(conn: Connection) -> list:
    rules = conn.learning_rule_type
    if isinstance(rules, dict):
        return list(rules.values())
    return list(rules) if isinstance(rules, (list, tuple)) else [rules] if rules else []
