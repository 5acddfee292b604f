"""The network as places that hold a vector, and links between them.

Places are inputs, neurons, passthrough Nodes and outputs. Passthrough Nodes of which NIR needs none
are taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nengo import Ensemble, LinearFilter, Node, Probe
from nengo.ensemble import Neurons

from nengo_dl.input_node import ConstantNode, InputNode
from nengo_dl.nir.findings import Findings
from nengo_dl.nir.writing.built import Built, is_direct
from nengo_dl.nir.writing.links import ConnectionReader
from nengo_dl.nir.writing.operations import (
    FILTERS,
    Elementwise,
    Operations,
    Shift,
    Wait,
    apply,
    simplify,
)
from nengo_dl.nir.writing.operations import Dense as DenseOperation
from nengo_dl.runtime.parameters.object_names import object_names


@dataclass(eq=False)
class Place:
    """Something that holds a vector.

    Attributes
    ----------
    kind
        "input", "neurons", "passthrough" or "output".
    obj
        The Nengo object: a Node, an Ensemble or a Probe.
    name
        Its name.
    size
        Number of elements.
    constant
        What is added to what the links bring.
    """

    kind: str
    obj: Any
    name: str
    size: int
    constant: np.ndarray = field(init=False)

    def __post_init__(self):
        self.constant = np.zeros(self.size)


@dataclass(eq=False)
class Link:
    """A path from one place to another."""

    pre: Place
    post: Place
    operations: Operations
    name: str


class Places:
    """All places and links of a network.

    Parameters
    ----------
    built
        The network and its parameters.
    findings
        Takes what cannot be expressed.
    inputs
        The Nodes whose values are the graph's inputs; None: all that have no input themselves, but
        `ConstantNode`.
    outputs
        The Probes that are the graph's outputs; None: all.
    """

    def __init__(
        self,
        built: Built,
        findings: Findings,
        inputs: Sequence[Node] | None = None,
        outputs: Sequence[Probe] | None = None,
    ):
        self.built, self.findings = built, findings
        self.reader = ConnectionReader(built, findings)
        self.names = object_names(built.network)
        self.places: dict[Any, Place] = {}
        self.links: list[Link] = []
        self._constants: dict[Any, np.ndarray] = {}
        network = built.network
        self._targets = {conn.post_obj for conn in network.all_connections}
        for node in network.all_nodes:
            self._add_node(node, inputs)
        for ens in network.all_ensembles:
            kind = "passthrough" if is_direct(ens) else "neurons"
            size = ens.dimensions if is_direct(ens) else ens.n_neurons
            self.places[ens] = Place(kind, ens, self.names[ens], size)
        for conn in network.all_connections:
            self._add_connection(conn)
        for probe in network.all_probes if outputs is None else outputs:
            self._add_probe(probe)
        self._spread_constants()
        self._take_out_passthrough()
        for link in self.links:
            _leave_out_delay_of_loop(link)

    def of_kind(self, kind: str) -> list[Place]:
        """The places of a kind, in the order of the network's objects."""
        return [place for place in self.places.values() if place.kind == kind]

    def into(self, place: Place) -> list[Link]:
        """The links that end at a place."""
        return [link for link in self.links if link.post is place]

    def out_of(self, place: Place) -> list[Link]:
        """The links that start at a place."""
        return [link for link in self.links if link.pre is place]

    # -- objects ----------------------------------------------------------------------------------

    def _add_node(self, node: Node, inputs: Sequence[Node] | None) -> None:
        name = self.names[node]
        if isinstance(node.output, np.ndarray) and self._is_constant(node, inputs):
            self._constants[node] = np.asarray(node.output, dtype=float)
        elif node.size_in == 0 or self._takes_data(node):
            if inputs is not None and node not in inputs:
                raise self.findings.refuse(
                    node,
                    "it is not among the inputs that were given, and its values are not constant",
                    "inputs",
                )
            self.places[node] = Place("input", node, name, node.size_out)
        elif node.output is None:
            self.places[node] = Place("passthrough", node, name, node.size_out)
        elif isinstance(node.output, LinearFilter):
            into = Place("passthrough", ("into", node), f"into {name}", node.size_in)
            self.places["into", node] = into
            self.places[node] = Place("passthrough", node, name, node.size_out)
            filters = simplify(self.reader.filters(node, node.output))
            self.links.append(Link(into, self.places[node], filters, name))
        else:
            kind = "TensorNode" if hasattr(node.output, "layer") else "Node"
            self.findings.approximate(
                node,
                f"it is a {kind} that computes a function, and NIR has none",
                "Use Ensembles, or leave it out of the network",
                "an Output in place of its input and an Input in place of its output",
            )
            if node.size_out:
                self.places[node] = Place("input", node, name, node.size_out)
            into = Place("output", ("into", node), f"into {name}", node.size_in)
            self.places["into", node] = into

    def _takes_data(self, node: Node) -> bool:
        return isinstance(node, InputNode) and node not in self._targets

    @staticmethod
    def _is_constant(node: Node, inputs: Sequence[Node] | None) -> bool:
        if node.size_in:
            return False
        return isinstance(node, ConstantNode) if inputs is None else node not in inputs

    def _add_connection(self, conn: Any) -> None:
        operations = self.reader.operations(conn)
        pre, post = _owner(conn.pre_obj), _owner(conn.post_obj)
        target = self.places.get(("into", post)) or self.places[post]
        if pre in self._constants:
            value = apply(operations, self._constants[pre])
            if value is None:
                raise self.findings.refuse(
                    conn, f"it filters or convolves {pre}, whose value is constant; use no synapse"
                )
            target.constant = target.constant + value
            return
        if pre not in self.places:
            raise self.findings.refuse(conn, f"{pre} has no value")
        self.links.append(Link(self.places[pre], target, operations, self.names[conn]))

    def _add_probe(self, probe: Probe) -> None:
        target, name = probe.obj, self.names.get(probe)
        if name is None:
            raise self.findings.refuse(probe, "it is not in the network", "outputs")
        name = probe.label or name
        conn = self.built.probe_connection(probe)
        filters = self.reader.synapse(probe)
        if isinstance(target, Ensemble) and conn is not None and not is_direct(target):
            height = self.built.spike_height(target)
            decoders = DenseOperation(height * np.asarray(self.built.weights(conn)))
            operations = [decoders, *filters]
        elif isinstance(target, Neurons) and probe.attr in (None, "output", "spikes"):
            operations = self._of_spikes(probe, filters)
        elif isinstance(target, Node) or is_direct(target):
            chosen = np.arange(target.size_out)[probe.slice or slice(None)]
            operations = [DenseOperation(np.eye(target.size_out)[chosen]), *filters]
        else:
            raise self.findings.refuse(
                probe,
                f"it records {probe.attr!r} of {target}, which is not an output in NIR; leave it "
                "out with outputs=[...]",
                "outputs",
            )
        chain = simplify(operations)
        pre = _owner(target)
        if pre in self._constants:
            raise self.findings.refuse(probe, f"{pre} is constant", "outputs")
        size = probe.size_in
        self.places[probe] = Place("output", probe, name, size)
        self.links.append(Link(self.places[pre], self.places[probe], chain, name))

    def _of_spikes(self, probe: Probe, filters: list) -> list:
        """Spikes that are recorded as they are stay unit events; filtered ones have Nengo's
        height.
        """
        ens = probe.obj.ensemble
        chosen = np.arange(ens.n_neurons)[probe.slice or slice(None)]
        height = self.built.spike_height(ens) if filters else 1.0
        factor = Elementwise(np.full(ens.n_neurons, height))
        return [factor, DenseOperation(np.eye(ens.n_neurons)[chosen]), *filters]

    # -- constants --------------------------------------------------------------------------------

    def _spread_constants(self) -> None:
        """Let what is added at a passthrough Node be added where its links end, or inside them."""
        pending = [place for place in self.of_kind("passthrough") if np.any(place.constant)]
        while pending:
            place = pending.pop(0)
            constant, place.constant = place.constant, np.zeros(place.size)
            for link in self.out_of(place):
                shifted = simplify([Shift(constant), *link.operations])
                if shifted and isinstance(shifted[-1], Shift) and _stateless(shifted):
                    link.operations = shifted[:-1]
                    link.post.constant = link.post.constant + shifted[-1].values
                    if link.post.kind == "passthrough" and link.post not in pending:
                        pending.append(link.post)
                else:
                    link.operations = shifted

    # -- passthrough Nodes ------------------------------------------------------------------------

    def _take_out_passthrough(self) -> None:
        changed = True
        while changed:
            changed = any(self._take_out(place) for place in self.of_kind("passthrough"))

    def _take_out(self, place: Place) -> bool:
        """Join the links into a place with those out of it, where that copies no weights."""
        into, out = self.into(place), self.out_of(place)
        if any(link.pre is place for link in into):
            return False
        cheap_in = all(not link.operations for link in into)
        cheap_out = all(_is_cheap(link.operations) for link in out)
        joins = cheap_in or cheap_out if len(out) == 1 else cheap_in
        if not joins and len(into) != 1:
            return False
        if not joins and len(out) != 1:
            return False
        for before in into:
            for after in out:
                operations = simplify([*before.operations, *after.operations])
                name = after.name if _is_cheap(before.operations) else before.name
                self.links.append(Link(before.pre, after.post, operations, name))
        gone = {*into, *out}
        self.links = [link for link in self.links if link not in gone]
        del self.places[place.obj]
        return True


def _owner(obj: Any) -> Any:
    return obj.ensemble if isinstance(obj, Neurons) else obj


def _leave_out_delay_of_loop(link: Link) -> None:
    """From neurons to themselves, a delay of one step is what NIR's readers have anyway."""
    filters = [op for op in link.operations if isinstance(op, FILTERS)]
    if link.pre is link.post and filters == [Wait(1)]:
        link.operations = simplify([op for op in link.operations if op != Wait(1)])


def _is_cheap(operations: Iterable) -> bool:
    return all(isinstance(op, (Elementwise, Shift)) for op in operations)


def _stateless(operations: Iterable) -> bool:
    return not any(isinstance(op, FILTERS) for op in operations)
