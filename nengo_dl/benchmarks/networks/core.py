"""Networks of Nengo's own parts, from small to large."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.neurons import NeuronType

from .parts import LIF, seeded_network, unit_vector


def tutorial(n_neurons: int = 20, neuron_type: NeuronType = LIF) -> nengo.Network:
    """Compute sin(x²) of a random signal with two small ensembles.

    Parameters
    ----------
    n_neurons
        Neurons in each of the two ensembles.
    neuron_type
        Neuron type of both.
    """
    with seeded_network(neuron_type) as net:
        signal = nengo.Node(nengo.processes.WhiteSignal(period=1.0, high=5, rms=0.3))
        square = nengo.Ensemble(n_neurons, dimensions=1)
        sine = nengo.Ensemble(n_neurons, dimensions=1)
        output = nengo.Node(size_in=1)
        nengo.Connection(signal, square)
        nengo.Connection(square, sine, function=np.square)
        nengo.Connection(sine, output, function=np.sin)
        net.p = nengo.Probe(output, synapse=0.01)
    return net


def cconv(
    dimensions: int = 128, neurons_per_d: int = 50, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Bind two vectors by circular convolution.

    Parameters
    ----------
    dimensions
        Length of the vectors.
    neurons_per_d
        Neurons for each of the products that the convolution consists of.
    neuron_type
        Neuron type of all ensembles.
    """
    with seeded_network(neuron_type) as net:
        vectors = [nengo.Node(unit_vector(dimensions)) for _ in range(2)]
        binding = nengo.networks.CircularConvolution(neurons_per_d, dimensions)
        nengo.Connection(vectors[0], binding.input_a)
        nengo.Connection(vectors[1], binding.input_b)
        net.p = nengo.Probe(binding.output, synapse=0.01)
    return net


def integrator(
    dimensions: int = 128, neurons_per_d: int = 50, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Integrate a constant vector with recurrent ensembles, one a dimension.

    Parameters
    ----------
    dimensions
        Length of the vector.
    neurons_per_d
        Neurons in each ensemble.
    neuron_type
        Neuron type of all ensembles.
    """
    tau = 0.1  # of the recurrent synapse, in seconds
    with seeded_network(neuron_type) as net:
        signal = nengo.Node(np.full(dimensions, 0.1))
        memory = nengo.networks.EnsembleArray(neurons_per_d, dimensions)
        nengo.Connection(memory.output, memory.input, synapse=tau)
        nengo.Connection(signal, memory.input, transform=tau, synapse=tau)
        net.p = nengo.Probe(memory.output)
    return net


def pes(
    dimensions: int = 64, neurons_per_d: int = 50, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Learn to represent a constant vector, online, with the PES rule.

    Parameters
    ----------
    dimensions
        Length of the vector.
    neurons_per_d
        Neurons for each dimension; all are in one ensemble.
    neuron_type
        Neuron type of the ensemble.
    """
    with seeded_network(neuron_type) as net:
        target = nengo.Node(unit_vector(dimensions))
        pre = nengo.Ensemble(neurons_per_d * dimensions, dimensions)
        post = nengo.Node(size_in=dimensions)
        error = nengo.Node(size_in=dimensions)
        nengo.Connection(target, pre)
        learned = nengo.Connection(
            pre, post, function=lambda x: np.zeros(dimensions), learning_rule_type=nengo.PES()
        )
        nengo.Connection(post, error)
        nengo.Connection(target, error, transform=-1)
        nengo.Connection(error, learned.learning_rule)
        net.p = nengo.Probe(post)
    return net


def basal_ganglia(
    dimensions: int = 64, neurons_per_d: int = 50, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Select among actions with Nengo's model of the basal ganglia.

    Parameters
    ----------
    dimensions
        Number of actions.
    neurons_per_d
        Neurons for each action in each nucleus.
    neuron_type
        Neuron type of all ensembles; Nengo's model is tuned for the default.
    """
    with seeded_network(neuron_type) as net:
        utilities = nengo.Node(np.linspace(0, 1, dimensions))
        selection = nengo.networks.BasalGanglia(dimensions, neurons_per_d)
        nengo.Connection(utilities, selection.input)
        net.p = nengo.Probe(selection.output)
    return net


def random_network(
    dimensions: int = 8,
    neurons_per_d: float = 12.5,
    neuron_type: NeuronType = LIF,
    n_ensembles: int = 50,
    connections_per_ensemble: int = 5,
) -> nengo.Network:
    """Connect ensembles at random.

    Parameters
    ----------
    dimensions
        Dimensions of each ensemble.
    neurons_per_d
        Neurons for each dimension of each ensemble; the product is rounded.
    neuron_type
        Neuron type of all ensembles.
    n_ensembles
        Number of ensembles.
    connections_per_ensemble
        Number of ensembles to which each one connects.
    """
    rng = np.random.RandomState(0)
    with seeded_network(neuron_type) as net:
        ensembles = [
            nengo.Ensemble(round(neurons_per_d * dimensions), dimensions)
            for _ in range(n_ensembles)
        ]
        nengo.Connection(nengo.Node(np.zeros(dimensions)), ensembles[0])
        for pre in ensembles:
            for post in rng.choice(n_ensembles, connections_per_ensemble, replace=False):
                nengo.Connection(pre, ensembles[post], transform=0.2)
        net.p = nengo.Probe(ensembles[-1])
    return net


def closed_loop(n_neurons: int = 100, neuron_type: NeuronType = LIF) -> nengo.Network:
    """Close a loop of an ensemble and a Python function that keeps a state of its own.

    Parameters
    ----------
    n_neurons
        Neurons in the ensemble.
    neuron_type
        Neuron type of the ensemble.
    """
    position = 0.0

    def environment(t, velocity):
        nonlocal position
        position += 0.001 * float(velocity[0])
        return position

    with seeded_network(neuron_type) as net:
        node = nengo.Node(environment, size_in=1)
        ensemble = nengo.Ensemble(n_neurons, dimensions=1)
        nengo.Connection(node, ensemble)
        nengo.Connection(ensemble, node)
        net.p = nengo.Probe(ensemble)
    return net


def controlled(
    n_ensembles: int = 1, n_neurons: int = 200, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Drive ensembles of two dimensions from outside: by ``net.value``, or by data for
    ``net.input``.

    Parameters
    ----------
    n_ensembles
        Number of ensembles.
    n_neurons
        Neurons in each of them.
    neuron_type
        Neuron type of the ensembles.
    """
    value = np.zeros(2)
    with seeded_network(neuron_type) as net:
        net.value, net.input = value, nengo.Node(lambda t: value, size_out=2)
        control = nengo.Node(size_in=1)
        for _ in range(n_ensembles):
            ensemble = nengo.Ensemble(n_neurons, dimensions=2)
            nengo.Connection(net.input, ensemble, synapse=None)
            nengo.Connection(
                ensemble,
                control,
                function=lambda x: (-2 * x[0] - x[1]) / n_ensembles,
                synapse=0.005,
            )
        net.p = nengo.Probe(control)
    return net


def lif(n_neurons: int = 500_000, neuron_type: NeuronType = LIF) -> nengo.Network:
    """Drive one ensemble with a sine: the neurons themselves, without decoders.

    Parameters
    ----------
    n_neurons
        Neurons in the ensemble.
    neuron_type
        Neuron type of the ensemble.
    """
    with seeded_network(neuron_type) as net:
        signal = nengo.Node(np.sin)
        # evaluation points are for decoders, and by default as many as neurons, twice
        ensemble = nengo.Ensemble(n_neurons, dimensions=1, n_eval_points=10)
        nengo.Connection(signal, ensemble)
        net.p = nengo.Probe(ensemble.neurons[:10])
    return net


# -- networks that take long to build --------------------------------------------------------------


def products(
    dimensions: int = 32, n_neurons: int = 100, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Two products, element by element, of vectors.

    Parameters
    ----------
    dimensions
        Length of the vectors.
    n_neurons
        Neurons for each element of a product.
    neuron_type
        Neuron type of all ensembles.
    """
    with seeded_network(neuron_type) as net:
        for _ in range(2):
            product = nengo.networks.Product(n_neurons, dimensions)
            vector = nengo.Node(unit_vector(dimensions))
            nengo.Connection(vector, product.input_a)
            nengo.Connection(vector, product.input_b)
        net.p = nengo.Probe(product.output, synapse=0.01)
    return net


def two_ensembles(n_neurons: int = 2000, neuron_type: NeuronType = LIF) -> nengo.Network:
    """Two large ensembles, with two functions one way and one the other.

    Parameters
    ----------
    n_neurons
        Neurons in each of them.
    neuron_type
        Neuron type of all ensembles.
    """
    with seeded_network(neuron_type) as net:
        a = nengo.Ensemble(n_neurons, dimensions=2)
        b = nengo.Ensemble(n_neurons, dimensions=2)
        nengo.Connection(a, b)
        nengo.Connection(a, b, function=lambda x: x**2)
        nengo.Connection(b, a, function=lambda x: [x[0] * x[1], x[0]])
        net.p = nengo.Probe(a.neurons[:2])
    return net


def connected(
    n_ensembles: int = 50,
    dimensions: int = 8,
    n_neurons: int = 100,
    neuron_type: NeuronType = LIF,
) -> nengo.Network:
    """Ensembles of several dimensions with five connections each, to others at random.

    Parameters
    ----------
    n_ensembles
        Number of ensembles.
    dimensions
        Dimensions of each.
    n_neurons
        Neurons in each.
    neuron_type
        Neuron type of all ensembles.
    """
    rng = np.random.RandomState(0)
    with seeded_network(neuron_type) as net:
        ensembles = [nengo.Ensemble(n_neurons, dimensions) for _ in range(n_ensembles)]
        for pre in ensembles:
            for post in rng.choice(n_ensembles, min(5, n_ensembles), replace=False):
                weights = rng.uniform(-0.1, 0.1, size=(dimensions, dimensions))
                nengo.Connection(pre, ensembles[post], transform=weights)
        net.p = nengo.Probe(ensembles[0], synapse=0.01)
    return net


def ring(
    n_ensembles: int = 10_000, n_neurons: int = 100, neuron_type: NeuronType = LIF
) -> nengo.Network:
    """Ensembles of one dimension, each connected to the one before it.

    Parameters
    ----------
    n_ensembles
        Number of ensembles.
    n_neurons
        Neurons in each.
    neuron_type
        Neuron type of all ensembles.
    """
    with seeded_network(neuron_type) as net:
        ensembles = [nengo.Ensemble(n_neurons, dimensions=1) for _ in range(n_ensembles)]
        for i, pre in enumerate(ensembles):
            nengo.Connection(pre, ensembles[i - 1])
        net.p = nengo.Probe(ensembles[0], synapse=0.01)
    return net
