"""`from_nir`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import nengo
import nir
import numpy as np
from nengo import Network, Node, Probe
from nengo.exceptions import ValidationError

from nengo_dl.input_node import ConstantNode
from nengo_dl.nir.reading.flatten import FlatGraph, flatten
from nengo_dl.nir.reading.gains import raise_gain
from nengo_dl.nir.reading.neurons import Port, PortMaker
from nengo_dl.nir.reading.shapes import Shape, find_shapes
from nengo_dl.nir.reading.weights import TYPES, Weights, read_weights
from nengo_dl.nir.times import Times
from nengo_dl.runtime.checks import checked_path
from nengo_dl.synapses import Delay


class GraphNetwork(Network):
    """A network that was read from a NIR graph.

    Attributes
    ----------
    inputs : dict of str to nengo.Node
        The Nodes that represent the graph's Inputs.
    outputs : dict of str to nengo.Node
        The Nodes that represent its Outputs, to connect to other objects.
    output_probes : dict of str to nengo.Probe
        Probes of the outputs.
    ensembles_of : dict of str to list of nengo.Ensemble
        The ensembles for each of the graph's nodes, one for each membrane time constant. The output
        of their neurons is 1 in a step with a spike.
    shapes : dict of str to tuple of int
        The shapes of inputs and outputs, channels first; in Nengo, they are vectors.
    """

    def __init__(self, label: str | None = None, seed: int | None = None):
        super().__init__(label=label, seed=seed)
        self.inputs: dict[str, Node] = {}
        self.outputs: dict[str, Node] = {}
        self.output_probes: dict[str, Probe] = {}
        self.ensembles_of: dict[str, list[nengo.Ensemble]] = {}
        self.shapes: dict[str, Shape] = {}


def from_nir(
    graph: nir.NIRGraph | str | os.PathLike,
    dt: float | None = None,
    method: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    start: str = "zero",
    label: str | None = None,
    seed: int | None = None,
) -> GraphNetwork:
    """Read a graph of the Neuromorphic Intermediate Representation as a Nengo network.

    Neurons become ensembles of LIF neurons without a refractory period, whose output is 1 in a step
    with a spike; LI, CubaLI, I and Delay become synapses; weights become connections. Values are
    vectors: arrays in C order, channels first.

    Parameters
    ----------
    graph : nir.NIRGraph or path
        The graph, or a file of one. Files are only read as data.
    dt : float, optional
        Time step in seconds with which the network will be simulated. By default the value that
        `to_nir` wrote, otherwise 0.001. snnTorch and SpikingJelly write graphs for steps of 0.0001.
    method : {"exact", "euler"}, optional
        "euler" adjusts time constants so that Nengo's exact step computes the same as a step of
        Euler's method, which snnTorch, Norse and SpikingJelly use for the networks that they write;
        "exact" does not change them. By default the value that `to_nir` wrote, otherwise "exact".
    inputs : dict of str to Node output, optional
        Outputs (arrays, functions, processes) for the Nodes that represent Inputs, by name. Other
        inputs are 0, unless the simulator gets data for them.
    start : {"zero", "v_reset", "v_leak"}
        Initial voltage, which NIR does not define. It is 0 in snnTorch, v_leak in Norse, and
        v_reset in SpikingJelly.
    label, seed
        Label and seed of the network.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the graph is inconsistent, or if Nengo has no equivalent of a node; the message names the
        node.

    Notes
    -----
    Every loop needs a delay. If no node in a loop delays (LI, CubaLIF, Delay), the edge that closes
    it passes on the value of the previous step, as in nirtorch.
    """
    if not isinstance(graph, nir.NIRNode):
        # shapes are found here; those that nir 1.0.8 checks are wrong for some convolutions
        path = checked_path("graph", graph)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            graph = nir.read(path, type_check=False)
        except OSError as error:
            raise ValidationError(f"{path} is not a file of NIR: {error}", attr="graph") from error
    if not isinstance(graph, nir.NIRGraph):
        graph = nir.NIRGraph.from_list(graph)
    written = dict((graph.metadata or {}).get("nengo_dl", {}))
    dt = float(written.get("dt", 0.001)) if dt is None else dt
    method = str(written.get("method", "exact")) if method is None else method
    flat = flatten(graph)
    _check_types(flat)
    shapes = find_shapes(flat)
    network = GraphNetwork(label=label, seed=seed)
    with network:
        maker = PortMaker(Times(dt, method), start)
        _Reading(network, flat, shapes, maker, inputs or {}).run()
    return network


#: what a graph is made of, besides what becomes weights or has a state
_STRUCTURE = (nir.Input, nir.Output)


def _check_types(graph: FlatGraph) -> None:
    known = (*_STRUCTURE, *TYPES, *PortMaker(Times(0.001)).types)
    for name, node in graph.nodes.items():
        if type(node) not in known:
            raise ValidationError(
                f"{name!r} is a {type(node).__name__}, which from_nir does not know; it knows "
                f"{', '.join(sorted(t.__name__ for t in known))}",
                attr="graph",
            )


class _Reading:
    """Makes ports for what has a state, then connections for weights and edges."""

    def __init__(
        self,
        network: GraphNetwork,
        graph: FlatGraph,
        shapes: Mapping[str, tuple[Shape, Shape]],
        maker: PortMaker,
        inputs: Mapping[str, Any],
    ):
        self.network, self.graph, self.shapes = network, graph, shapes
        self.maker, self.inputs = maker, inputs
        self.ports: dict[str, Port] = {}
        unknown = [name for name in inputs if name not in graph.inputs]
        if unknown:
            raise ValidationError(
                f"the graph has no Input {unknown[0]!r}; it has {', '.join(graph.inputs)}",
                attr="inputs",
            )

    def run(self) -> None:
        nodes = self.graph.nodes
        for name, node in nodes.items():
            if not isinstance(node, TYPES):
                self.ports[name] = self._port(name, node)
        weighted = {
            name: read_weights(name, node, self.shapes[name][0])
            for name, node in nodes.items()
            if isinstance(node, TYPES)
        }
        for name in weighted:
            self._make_ends(name, weighted)
        for name, weights in weighted.items():
            self._connect_weights(name, weights)
        for a, b in self.graph.edges:
            if a not in weighted and b not in weighted:
                self._connect(self.ports[a].output, self.ports[b].input, [(a, b)])
        for name in self.graph.outputs:
            node = self.ports[name].output
            self.network.outputs[name] = node
            self.network.output_probes[name] = Probe(node, label=name)
            self.network.shapes[name] = self.shapes[name][0]
        for ensembles in self.network.ensembles_of.values():
            for ens in ensembles:
                raise_gain(self.network, ens)

    def _port(self, name: str, node: nir.NIRNode) -> Port:
        shape = self.shapes[name][0]
        size = int(np.prod(shape))
        if name in self.graph.inputs:
            obj = Node(self.inputs.get(name, np.zeros(size)), label=name)
            if obj.size_out != size:
                raise ValidationError(
                    f"the output given for the Input {name!r} has {obj.size_out} elements; its "
                    f"shape is {shape}",
                    attr="inputs",
                )
            self.network.inputs[name], self.network.shapes[name] = obj, shape
            return Port(None, obj)
        if isinstance(node, _STRUCTURE):
            obj = Node(size_in=size, label=name)
            return Port(obj, obj)
        port = self.maker.make(name, node, shape, self.graph.joined.get(name, []))
        if port.ensembles:
            self.network.ensembles_of[name] = port.ensembles
        return port

    # -- weights ----------------------------------------------------------------------------------

    def _make_ends(self, name: str, weighted: Mapping[str, Weights]) -> None:
        """A port for weights whose input is a sum, or whose output goes to several nodes."""
        before, after = self.graph.before(name), self.graph.after(name)
        shape_in, shape_out = self.shapes[name]
        into = out = None
        if len(before) != 1 or weighted[name].padded is not None:
            into = Node(size_in=int(np.prod(shape_in)), label=f"{name} in")
        if len(after) != 1 or after[0] in weighted or self._is_delayed_twice(name):
            out = Node(size_in=int(np.prod(shape_out)), label=f"{name} out")
        self.ports[name] = Port(into, out)

    def _is_delayed_twice(self, name: str) -> bool:
        edges = {(a, name) for a in self.graph.before(name)}
        edges |= {(name, b) for b in self.graph.after(name)}
        return len(edges & self.graph.delayed) > 1

    def _connect_weights(self, name: str, weights: Weights) -> None:
        port, before, after = self.ports[name], self.graph.before(name), self.graph.after(name)
        path = []
        pre, post = port.input, port.output
        if pre is None:
            pre, path = self.ports[before[0]].output, [(before[0], name)]
        else:
            for a in before:
                self._connect(self.ports[a].output, pre, [(a, name)])
        if post is None:
            post, path = self.ports[after[0]].input, [*path, (name, after[0])]
        else:
            for b in after:
                if not isinstance(self.graph.nodes[b], TYPES):  # weights see to their own inputs
                    self._connect(post, self.ports[b].input, [(name, b)])
        if weights.padded is not None:
            shape, places = weights.padded
            larger = Node(size_in=int(np.prod(shape)), label=f"{name} padded")
            nengo.Connection(pre, larger[places], synapse=None)
            pre = larger
        self._connect(pre, post, path, transform=weights.transform, label=name)
        if weights.bias is not None:
            self._add(name, weights.bias, post)

    def _add(self, name: str, bias: np.ndarray, post: Any) -> None:
        """Add a bias to what weights give: to an ensemble's biases, if it goes nowhere else.

        It is there from the first step, also where the weights close a loop.
        """
        after = self.graph.after(name)
        ens = self.ports[after[0]].ensemble if len(after) == 1 else None
        if ens is not None:
            ens.bias = ens.bias + ens.gain * bias
        else:
            nengo.Connection(ConstantNode(bias, label=f"{name} bias"), post, synapse=None)

    def _connect(self, pre: Any, post: Any, path: list, **arguments: Any) -> None:
        """Connect two objects, with a delay where an edge of the path closes a loop."""
        delayed = any(edge in self.graph.delayed for edge in path)
        nengo.Connection(pre, post, synapse=Delay(0) if delayed else None, **arguments)
