"""Networks that several tests of the runtime simulate."""

from dataclasses import dataclass

import nengo
import numpy as np

import nengo_dl


@dataclass(frozen=True)
class Tutorial:
    """Two ensembles of 20 LIF neurons between a Node without input and a passthrough Node."""

    net: nengo.Network
    stimulus: nengo.Node
    bias: nengo.Node
    square: nengo.Ensemble
    connection: nengo.Connection
    in_probe: nengo.Probe
    out_probe: nengo.Probe
    slow_probe: nengo.Probe
    spikes: nengo.Probe


def tutorial(seed=0, stimulus=lambda t: np.sin(20 * t), **settings):
    with nengo.Network(seed=seed) as net:
        if settings:
            nengo_dl.configure_settings(**settings)
        inpt = nengo.Node(stimulus, label="stimulus")
        bias = nengo.Node([0.2, -0.1])
        square, sine = nengo.Ensemble(20, 1), nengo.Ensemble(20, 2)
        out = nengo.Node(size_in=2)
        nengo.Connection(inpt, square, synapse=None)
        nengo.Connection(bias, sine)
        connection = nengo.Connection(square, sine[0], function=np.square)
        nengo.Connection(sine, out)
        return Tutorial(
            net,
            inpt,
            bias,
            square,
            connection,
            in_probe=nengo.Probe(inpt),
            out_probe=nengo.Probe(out, synapse=0.01, label="out"),
            slow_probe=nengo.Probe(sine, synapse=0.01, sample_every=0.005),
            spikes=nengo.Probe(square.neurons),
        )


def small(stimulus=lambda t: t, **settings):
    """An ensemble and two probes, quick to compile. Returns (network, Node, [probes])."""
    with nengo.Network(seed=0) as net:
        if settings:
            nengo_dl.configure_settings(**settings)
        node = nengo.Node(stimulus)
        ensemble = nengo.Ensemble(5, node.size_out)
        nengo.Connection(node, ensemble)
        probes = [nengo.Probe(node), nengo.Probe(ensemble, synapse=0.02)]
    return net, node, probes


def reference(net, n_steps, probes=None, seed=None, dt=0.001):
    """What nengo.Simulator records, in the order of the probes."""
    with nengo.Simulator(net, dt=dt, seed=seed, progress_bar=False, optimize=False) as sim:
        sim.run_steps(n_steps)
    return [sim.data[p] for p in (net.probes if probes is None else probes)]
