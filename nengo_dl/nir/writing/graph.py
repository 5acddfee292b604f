"""`to_nir`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nir
import numpy as np
from nengo import Node, Probe
from nengo.exceptions import ValidationError

from nengo_dl.nir.findings import Findings
from nengo_dl.nir.times import Times
from nengo_dl.nir.writing.built import Built
from nengo_dl.nir.writing.emit import ChainWriter, GraphWriter
from nengo_dl.nir.writing.layouts import Layout, find_layouts
from nengo_dl.nir.writing.neurons import (
    can_filter,
    check_neurons,
    current_factor,
    has_leak,
    neuron_node,
)
from nengo_dl.nir.writing.operations import (
    Convolve,
    Dense,
    Elementwise,
    LeakyFilter,
    Shift,
    simplify,
)
from nengo_dl.nir.writing.places import Link, Place, Places


def to_nir(
    network: Any,
    dt: float | None = None,
    inputs: Sequence[Node] | None = None,
    outputs: Sequence[Probe] | None = None,
    strict: bool = True,
    method: str = "exact",
    nir_dt: float | None = None,
    keep_voltages: bool = False,
    dtype: Any = "float64",
) -> nir.NIRGraph:
    """Turn a network into a graph of the Neuromorphic Intermediate Representation.

    Neurons of ensembles become LIF, or CubaLIF if all their currents have the same lowpass filter.
    Encoders, decoders, gains, biases and transforms become Affine, Linear, Scale, Conv1d, Conv2d
    and pooling nodes; synapses become LI, I and Delay. Passthrough Nodes become sums of edges. The
    spikes of the graph are events of size 1; the height of Nengo's spikes, amplitude / dt, is
    included in the weights. The channels of images come first.

    Parameters
    ----------
    network : nengo.Network or a simulator of one
        For a simulator (of nengo_dl or Nengo), its current parameters are used.
    dt : float, optional
        Time step in seconds of the Nengo simulation; by default that of the simulator, or 0.001.
    inputs : list of nengo.Node, optional
        The Nodes that become Inputs; by default all Nodes without input. Other Nodes must be
        constant, and become biases.
    outputs : list of nengo.Probe, optional
        The Probes that become Outputs; by default all. Probes of neurons return events.
    strict : bool
        Whether to raise an error if NIR cannot express the network. If not, there is a warning, and
        the graph is an approximation.
    method : {"exact", "euler"}
        "exact" writes time constants without changes. "euler" adjusts them so that a reader that
        uses Euler's method, such as snnTorch, Norse and SpikingJelly, computes the same as Nengo.
    nir_dt : float, optional
        Time step of the reader in seconds, if it differs; all times are scaled so that a step of
        the reader corresponds to a step in Nengo.
    keep_voltages : bool
        If neurons start with voltages other than 0, express this by different values of
        v_threshold, v_reset and v_leak, which not all readers support.
    dtype
        Type of the arrays.

    Raises
    ------
    nengo.exceptions.ValidationError
        If NIR cannot express the network; the message names the object.

    Notes
    -----
    A filter in Nengo adds a delay of one step. NIR's readers differ in this: their spikes may come
    a step earlier for each LI.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     stimulus = nengo.Node([0.5], label="stimulus")
    ...     neurons = nengo.LIF(
    ...         tau_ref=0,
    ...         min_voltage=-np.inf,
    ...         initial_state={"voltage": nengo.dists.Choice([0])},
    ...     )
    ...     ens = nengo.Ensemble(20, dimensions=1, neuron_type=neurons, label="ens")
    ...     connection = nengo.Connection(stimulus, ens, synapse=None)
    ...     probe = nengo.Probe(ens, label="probe")
    >>> graph = nengo_dl.nir.to_nir(net)
    >>> sorted({type(node).__name__ for node in graph.nodes.values()})
    ['Affine', 'Input', 'LIF', 'Linear', 'Output']
    """
    findings = Findings(strict)
    built = Built(network, dt)
    times = Times(built.dt, method, nir_dt)
    places = Places(built, findings, inputs, outputs)
    if not places.of_kind("output"):
        raise ValidationError(
            f"{built.network} has no Probe, from which NIR's outputs are made; add one", "outputs"
        )
    for place in places.of_kind("neurons"):
        check_neurons(place.obj, built, findings, keep_voltages)
    graph = GraphWriter(times, dtype)
    _Writing(places, graph, findings, keep_voltages).run()
    return nir.NIRGraph(
        nodes=graph.nodes,
        edges=graph.edges,
        metadata={"nengo_dl": {"dt": times.written_dt, "method": method}},
    )


class _Writing:
    """Writes places and links, in this order: what links need of places, links, places' inputs."""

    def __init__(self, places: Places, graph: GraphWriter, findings: Findings, keep: bool):
        self.places, self.graph, self.findings, self.keep = places, graph, findings, keep
        self.chains = ChainWriter(graph, findings)
        self.names: dict[Place, str] = {}
        self.tails: dict[Link, list[str]] = {}
        self.layouts: dict[Place, Layout] = {}

    def run(self) -> None:
        for place in self.places.of_kind("neurons"):
            self._give_input(place)
        biases = {p: self._place_bias(p) for p in self.places.of_kind("neurons")}
        filters = {p: self._take_filter(p) for p in self.places.of_kind("neurons")}
        for place in self.places.of_kind("output"):
            if np.any(place.constant):
                self._add_to_link(place)
        self.layouts = find_layouts(self.places, self.findings)
        for kind in ("input", "neurons", "output"):
            for place in self.places.of_kind(kind):
                self.names[place] = self.graph.name(place.name)
        for place in self.places.of_kind("input"):
            shape = np.array(self.layouts[place].shape)
            self.graph.add(self.names[place], nir.Input(input_type={"input": shape}))
        for place in self.places.of_kind("neurons"):
            node = neuron_node(
                place.obj,
                self.places.built,
                self.graph.times,
                self.layouts[place],
                biases[place],
                filters[place],
                self.keep,
            )
            self.graph.add(self.names[place], _cast(node, self.graph))
        for place in self.places.of_kind("output"):
            shape = np.array(self.layouts[place].shape)
            self.graph.add(self.names[place], nir.Output(output_type={"output": shape}))
        self._write_links()

    def _write_links(self) -> None:
        links = self.places.links
        for link in links:
            self.tails[link] = self.chains.write(
                link.name, link.operations, self.layouts[link.pre], self.layouts[link.post]
            )
        for link in links:
            if self.tails[link]:
                self.graph.connect(self._sources(link.pre), self.tails[link][0])
        for kind in ("neurons", "output"):
            for place in self.places.of_kind(kind):
                self.graph.connect(self._sum(place), self.names[place])

    def _sources(self, place: Place) -> list[str]:
        """The nodes whose sum is the value of a place."""
        return [self.names[place]] if place in self.names else self._sum(place)

    def _sum(self, place: Place) -> list[str]:
        """The nodes whose sum is what comes into a place."""
        found = []
        for link in self.places.into(place):
            found += self.tails[link][-1:] or self._sources(link.pre)
        return found

    # -- biases -----------------------------------------------------------------------------------

    def _give_input(self, place: Place) -> None:
        """Link neurons without input, which NIR would take for an input, to one, with weights of
        0.
        """
        inputs = self.places.of_kind("input")
        if not self.places.into(place) and inputs:
            zeros = Dense(np.zeros((place.size, inputs[0].size)))
            name = f"nothing to {place.name}"
            self.places.links.append(Link(inputs[0], place, (zeros,), name))

    def _place_bias(self, place: Place) -> np.ndarray | None:
        """Add the biases of neurons to weights into them; where none can take them return them."""
        built = self.places.built.ensemble(place.obj)
        bias = np.asarray(built.bias, dtype=float) + place.constant
        if not np.any(bias):
            return None
        for link in self.places.into(place):
            if link.operations and isinstance(link.operations[-1], (Dense, Shift, Convolve)):
                added = simplify([*link.operations, Shift(bias)])
                if isinstance(added[-1], Shift) and isinstance(link.operations[-1], Convolve):
                    continue
                link.operations = added
                return None
        if has_leak(self.places.built.neuron_type(place.obj)):
            return bias
        raise self.findings.refuse(
            place.obj,
            "its neurons have biases, and no weights into them could add these: connect to it "
            "without a synapse",
        )

    def _add_to_link(self, place: Place) -> None:
        into = self.places.into(place)
        if not into:
            raise self.findings.refuse(place.obj, "its value is constant", "outputs")
        into[0].operations = simplify([*into[0].operations, Shift(place.constant)])

    # -- filters ----------------------------------------------------------------------------------

    def _take_filter(self, place: Place) -> float | None:
        """The lowpass that all currents of neurons go through, which CubaLIF has built in."""
        into = self.places.into(place)
        last = [link.operations[-1] if link.operations else None for link in into]
        neurons = self.places.built.neuron_type(place.obj)
        if not last or not can_filter(neurons, self.graph.times):
            return None
        if last[0] != LeakyFilter(getattr(last[0], "tau", 0)) or any(x != last[0] for x in last):
            return None
        tau = last[0].tau
        factor = current_factor(neurons, self.graph.times, tau)
        for link in into:
            factors = Elementwise(np.full(place.size, factor))
            link.operations = simplify([*link.operations[:-1], factors])
        return tau


def _cast(node: nir.NIRNode, graph: GraphWriter) -> nir.NIRNode:
    """With arrays of the graph's type."""
    for name, value in vars(node).items():
        if isinstance(value, np.ndarray):
            setattr(node, name, graph.array(value))
    return node
