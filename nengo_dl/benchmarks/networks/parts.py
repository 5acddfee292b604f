"""What the networks have in common."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.neurons import NeuronType

LIF = nengo.LIF()


def seeded_network(neuron_type: NeuronType) -> nengo.Network:
    """An empty network with a seed, whose ensembles have the neuron type."""
    net = nengo.Network(seed=0)
    net.config[nengo.Ensemble].neuron_type = neuron_type
    return net


def unit_vector(dimensions: int) -> np.ndarray:
    """A vector of length one with equal elements."""
    return np.full(dimensions, 1 / np.sqrt(dimensions))
