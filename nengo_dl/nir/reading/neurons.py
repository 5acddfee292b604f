"""Nodes with a state as ensembles, synapses and passthrough Nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import nengo
import nir
import numpy as np
from nengo import Alpha, LinearFilter, Lowpass, Node
from nengo.exceptions import ValidationError
from nengo.synapses import Synapse

from nengo_dl.input_node import ConstantNode
from nengo_dl.nir.reading.shapes import Shape, parameter
from nengo_dl.nir.times import NO_LEAK, NO_MEMORY, Times
from nengo_dl.synapses import Delay

#: where voltages may start, of which NIR says nothing
STARTS = ("zero", "v_reset", "v_leak")


@dataclass(eq=False)
class Port:
    """Where a node's input goes and where its output comes from.

    Attributes
    ----------
    input, output
        Nengo objects of the node's size.
    ensemble
        The ensemble whose biases can hold what is added to the input, if there is one.
    ensembles
        The ensembles that the node became.
    """

    input: Any
    output: Any
    ensemble: nengo.Ensemble | None = None
    ensembles: list[nengo.Ensemble] = field(default_factory=list)


class PortMaker:
    """Makes ensembles and Nodes for the nodes of a graph, in the present network.

    Parameters
    ----------
    times
        How time constants are read.
    start
        Where voltages start: "zero", "v_reset" or "v_leak".
    """

    def __init__(self, times: Times, start: str = "zero"):
        if start not in STARTS:
            raise ValidationError(
                f"expected one of {', '.join(STARTS)}, got {start!r}", attr="start"
            )
        self.times, self.start = times, start
        self._makers: dict[type, Callable[..., Any]] = {
            nir.LIF: self._lif,
            nir.IF: self._if,
            nir.CubaLIF: self._cuba_lif,
            nir.LI: self._li,
            nir.CubaLI: self._cuba_li,
            nir.I: self._integrator,
            nir.Threshold: self._threshold,
            nir.Delay: self._delay,
        }

    @property
    def types(self) -> tuple[type, ...]:
        """The types of nodes that are known here."""
        return tuple(self._makers)

    def make(
        self, name: str, node: nir.NIRNode, shape: Shape, joined: Sequence[nir.LI] = ()
    ) -> Port:
        """Make what stands for a node; ``joined`` are nodes after it that are solved with it."""
        if joined:
            return self._filter(name, [node, *joined], shape)
        values = {
            key: parameter(node, key, shape, name)
            for key in vars(node)
            if key not in ("input_type", "output_type", "metadata")
        }
        return self._makers[type(node)](name, **values)

    # -- neurons ----------------------------------------------------------------------------------

    def _lif(self, name, tau, r, v_leak, v_threshold, v_reset) -> Port:
        taus = self._taus(tau, name)
        scale = _height(v_threshold, v_reset, name)
        start = self._start(v_leak, v_reset) / scale
        return self._ensembles(name, taus, r / scale, (v_leak - v_reset) / scale, start)

    def _if(self, name, r, v_threshold, v_reset) -> Port:
        scale = _height(v_threshold, v_reset, name)
        gain = r * self.times.scale * NO_LEAK / scale
        zeros = np.zeros(len(r))
        start = self._start(zeros, v_reset) / scale
        return self._ensembles(name, np.full(len(r), NO_LEAK), gain, zeros, start)

    def _start(self, v_leak: np.ndarray, v_reset: np.ndarray) -> np.ndarray:
        """The voltages at the start, above v_reset."""
        level = {"zero": np.zeros_like(v_reset), "v_reset": v_reset, "v_leak": v_leak}
        return level[self.start] - v_reset

    def _threshold(self, name, threshold) -> Port:
        n = len(threshold)
        taus = np.full(n, self.times.dt * NO_MEMORY)
        return self._ensembles(name, taus, np.ones(n), 1 - threshold, np.zeros(n))

    def _cuba_lif(self, name, tau_syn, tau_mem, r, v_leak, v_threshold, v_reset, w_in) -> Port:
        lif = self._lif(name, tau_mem, r, v_leak, v_threshold, v_reset)
        filtered = self._filtered(f"{name} currents", self._taus(tau_syn, name), w_in, lif.input)
        return Port(filtered, lif.output, None, lif.ensembles)

    def _ensembles(self, name: str, taus, gain, bias, start) -> Port:
        """Neurons as leaky integrate-and-fire neurons whose threshold is 1 and which are reset to
        0; an ensemble for each time constant, because Nengo's have one each.
        """
        groups = _groups(taus)
        ensembles = [
            nengo.Ensemble(
                len(chosen),
                1,
                neuron_type=nengo.LIF(
                    tau_rc=tau,
                    tau_ref=0,
                    min_voltage=-np.inf,
                    amplitude=self.times.dt,
                    initial_state={"voltage": _initial(start[chosen])},
                ),
                gain=gain[chosen],
                bias=bias[chosen],
                max_rates=nengo.Ensemble.max_rates.default,
                intercepts=nengo.Ensemble.intercepts.default,
                encoders=np.ones((len(chosen), 1)),
                label=name if len(groups) == 1 else f"{name} {i}",
            )
            for i, (tau, chosen) in enumerate(groups)
        ]
        if len(ensembles) == 1:
            neurons = ensembles[0].neurons
            return Port(neurons, neurons, ensembles[0], ensembles)
        n = len(taus)
        into, out = _node(n, f"{name} in"), _node(n, f"{name} out")
        for (_, chosen), ens in zip(groups, ensembles, strict=True):
            nengo.Connection(into[chosen], ens.neurons, synapse=None)
            nengo.Connection(ens.neurons, out[chosen], synapse=None)
        return Port(into, out, None, ensembles)

    # -- filters ----------------------------------------------------------------------------------

    def _li(self, name, tau, r, v_leak) -> Port:
        out = _node(len(tau), f"{name} out")
        return Port(self._filtered(name, self._taus(tau, name), r, out, v_leak), out)

    def _filter(self, name: str, nodes: Sequence[nir.LI], shape: Shape) -> Port:
        """One filter of the order of the number of nodes."""
        rows = [self._taus(parameter(node, "tau", shape, name), name) for node in nodes]
        if any(np.ptp(row) for row in rows) or any(np.any(node.v_leak) for node in nodes[1:]):
            raise ValidationError(
                f"the nodes after {name!r} were changed; take their metadata 'nengo_dl' out",
                attr="graph",
            )
        taus = [row[0] for row in rows]
        gain = np.prod([parameter(node, "r", shape, name) for node in nodes], axis=0)
        if len(taus) == 2 and np.isclose(taus[0], taus[1], rtol=1e-9, atol=0):
            synapse = Alpha(taus[0])
        else:
            den = np.array([1.0])
            for tau in taus:
                den = np.polymul(den, [tau, 1.0])
            synapse = LinearFilter([1], den)
        out = _node(len(gain), f"{name} out")
        leak = parameter(nodes[0], "v_leak", shape, name)
        return Port(self._filtered(name, synapse, gain, out, leak), out)

    def _cuba_li(self, name, tau_syn, tau_mem, r, v_leak, w_in) -> Port:
        out = _node(len(r), f"{name} out")
        mem = self._filtered(name, self._taus(tau_mem, name), r, out, v_leak)
        currents = self._filtered(f"{name} currents", self._taus(tau_syn, name), w_in, mem)
        return Port(currents, out)

    def _integrator(self, name, r) -> Port:
        into, out = _node(len(r), f"{name} in"), _node(len(r), f"{name} out")
        for rate, chosen in _groups(r * self.times.scale):
            synapse = LinearFilter([rate], [1, 0])
            nengo.Connection(_part(into, chosen), _part(out, chosen), synapse=synapse)
        return Port(into, out)

    def _delay(self, name, delay) -> Port:
        into, out = _node(len(delay), f"{name} in"), _node(len(delay), f"{name} out")
        steps = np.rint(delay / self.times.scale / self.times.dt)
        if np.any(steps < 0):
            raise ValidationError(f"{name!r} has a delay below 0", attr="graph")
        at_once, later = np.flatnonzero(steps == 0), np.flatnonzero(steps > 0)
        if len(at_once):
            nengo.Connection(_part(into, at_once), _part(out, at_once), synapse=None)
        if len(later):
            tau = (steps[later] - 1) * self.times.dt  # a connection takes one step itself
            synapse = Delay(tau if np.ptp(tau) else tau[0])
            nengo.Connection(_part(into, later), _part(out, later), synapse=synapse)
        return Port(into, out)

    def _filtered(self, name: str, taus, factors, out: Any, added=None) -> Node:
        """A Node whose values, (factors * x + added), reach ``out`` through a lowpass, or through
        the synapse that is given in place of time constants.
        """
        into = _node(len(factors), name)
        before = into
        if np.any(factors != 1) or (added is not None and np.any(added)):
            before = _node(len(factors), f"{name} scaled")
            plain = np.all(factors == 1)
            transform = {} if plain else {"transform": factors}
            nengo.Connection(into, before, synapse=None, **transform)
        if added is not None and np.any(added):
            nengo.Connection(ConstantNode(added, label=f"{name} leak"), before, synapse=None)
        if isinstance(taus, Synapse):
            nengo.Connection(before, out, synapse=taus)
            return into
        for tau, chosen in _groups(taus):
            nengo.Connection(_part(before, chosen), _part(out, chosen), synapse=Lowpass(tau))
        return into

    def _taus(self, tau: np.ndarray, name: str) -> np.ndarray:
        known = {value: self.times.from_nir(value, name) for value in np.unique(tau)}
        return np.array([known[value] for value in tau])


def _height(v_threshold: np.ndarray, v_reset: np.ndarray, name: str) -> np.ndarray:
    """From reset to threshold."""
    height = v_threshold - v_reset
    if np.any(height <= 0):
        raise ValidationError(
            f"{name!r} has neurons whose v_threshold is not above their v_reset", attr="graph"
        )
    return height


def _initial(start: np.ndarray) -> Any:
    return nengo.dists.Choice([start[0]]) if np.ptp(start) == 0 else start


def _node(size: int, label: str) -> Node:
    return Node(size_in=size, label=label)


def _part(obj: Any, chosen: np.ndarray) -> Any:
    """Elements of an object; all of them as the object itself."""
    return obj if np.array_equal(chosen, np.arange(obj.size_in)) else obj[chosen]


def _groups(values: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Each different value, and which elements have it."""
    return [(float(value), np.flatnonzero(values == value)) for value in np.unique(values)]
