"""A large cognitive model: thousands of small ensembles of many kinds."""

from __future__ import annotations

import warnings

import nengo
import numpy as np
from nengo import spa
from nengo.neurons import NeuronType

from .parts import LIF

ACTIONS = (
    "dot(task, SEE) --> task=STORE, item=vision",
    "dot(task, STORE) --> task=RECALL, bind_A=item, bind_B=position",
    "dot(task, RECALL) --> task=DECIDE, unbind_A=trace, unbind_B=~position",
    "dot(task, DECIDE) --> task=WRITE, compare_A=item, compare_B=unbind",
    "dot(task, WRITE) --> task=SEE, motor=recalled",
    "0.5 --> position=ONE",
)
ITEMS = "ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"
TASKS = "SEE", "STORE", "RECALL", "DECIDE", "WRITE"


def spaun(
    dimensions: int = 256,
    neurons_per_d: int = 50,
    neuron_type: NeuronType = LIF,
    n_memories: int = 5,
) -> nengo.Network:
    """See, store, recall and write items of a list, with the parts that Spaun consists of.

    Spaun (Eliasmith et al., 2012, "A large-scale model of the functioning brain", Science 338)
    has a visual hierarchy, working memories of bound pairs, an action selection of basal ganglia
    and thalamus, and a motor hierarchy. Here these are Nengo's own networks: a circular
    convolution each to bind and to unbind, gated memories, clean-up memories, a comparison,
    states, basal ganglia, a thalamus and routes between all of them.

    Parameters
    ----------
    dimensions
        Length of the semantic pointers; 256 make 5,000 ensembles.
    neurons_per_d
        Neurons for each dimension.
    neuron_type
        Neuron type of all ensembles, where Nengo's networks do not set another.
    n_memories
        Number of gated memories, one after the other, that keep the trace.
    """
    vocabulary = spa.Vocabulary(dimensions, rng=np.random.RandomState(0), max_similarity=1.0)
    vocabulary.parse("+".join(ITEMS + TASKS))
    with warnings.catch_warnings():
        # NengoSPA is the newer one, but not everybody has it
        warnings.filterwarnings("ignore", "The nengo.spa module is deprecated")
        net = spa.SPA(seed=0, vocabs=[vocabulary])
    with net:
        net.config[nengo.Ensemble].neuron_type = neuron_type
        _modules(net, vocabulary, neurons_per_d)
        _memories(net, neurons_per_d, n_memories)
        # without the argument, these two classes of Nengo add themselves twice
        net.selection = spa.BasalGanglia(spa.Actions(*ACTIONS), add_to_container=False)
        net.thalamus = spa.Thalamus(
            net.selection, neurons_channel_dim=neurons_per_d, add_to_container=False
        )
        net.p = nengo.Probe(net.motor.output, synapse=0.03)
    return net


def _modules(net: spa.SPA, vocabulary: spa.Vocabulary, neurons_per_d: int) -> None:
    """What the actions name: states, bindings, a comparison; and what is seen."""
    d = vocabulary.dimensions
    settings = {"subdimensions": min(16, d), "neurons_per_dimension": neurons_per_d}
    net.vision = spa.State(d, **settings)
    for name in ("task", "item", "position", "trace", "motor"):
        setattr(net, name, spa.State(d, feedback=1, **settings))
    net.recalled = spa.AssociativeMemory(vocabulary, wta_output=True)
    net.bind = spa.Bind(d, n_neurons=neurons_per_d)
    net.unbind = spa.Bind(d, n_neurons=neurons_per_d)
    net.compare = spa.Compare(d, neurons_per_multiply=neurons_per_d)
    pointers = [vocabulary[item].v for item in ITEMS]
    # another digit every tenth of a second
    seen = nengo.Node(nengo.processes.PresentInput(pointers, presentation_time=0.1))
    nengo.Connection(seen, net.vision.input)
    nengo.Connection(net.unbind.output, net.recalled.input)


def _memories(net: spa.SPA, neurons_per_d: int, n_memories: int) -> None:
    """Bound pairs pass from memory to memory; the gate of each opens in turn."""
    source = net.bind.output
    for i in range(n_memories):
        memory = nengo.networks.InputGatedMemory(neurons_per_d, net.vision.input.size_in)
        gate = nengo.Node(lambda t, i=i: float(int(t / 0.1) % n_memories != i))
        nengo.Connection(source, memory.input)
        nengo.Connection(gate, memory.gate)
        source = memory.output
    nengo.Connection(source, net.trace.input)
