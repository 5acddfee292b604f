"""Built networks whose operators the tests of the compiler plan."""

from functools import lru_cache

import nengo
import numpy as np
from nengo.builder import Model

import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl.compiler.frontend import build_model, lift_inputs


def circular_convolution(n_neurons=5, dimensions=8):
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node(np.ones(dimensions)), nengo.Node(np.ones(dimensions))
        cconv = nengo.networks.CircularConvolution(n_neurons, dimensions)
        nengo.Connection(a, cconv.input_a)
        nengo.Connection(b, cconv.input_b)
        nengo.Probe(cconv.output, synapse=0.01)
    return net


def basal_ganglia():
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(t + np.arange(3)))
        bg = nengo.networks.BasalGanglia(3, n_neurons_per_ensemble=10)
        thalamus = nengo.networks.Thalamus(3, n_neurons_per_ensemble=10)
        nengo.Connection(stimulus, bg.input, synapse=None)
        nengo.Connection(bg.output, thalamus.input)
        nengo.Probe(thalamus.output, synapse=0.01)
    return net


def sliced_feedback():
    """An EnsembleArray whose output goes back in part, shifted, reversed and strided."""
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(10, 6)
        nengo.Connection(array.output[:3], array.input[3:], synapse=0.05)
        nengo.Connection(array.output[::-1], array.input, transform=0.1)
        nengo.Connection(
            array.output[::2], array.input[1::2], transform=[[0, 1, 0], [0, 0, 2], [1, 0, 0]]
        )
        nengo.Connection(array.output[[1, 1, 4]], array.input[[5, 0, 2]], synapse=0.1)
        nengo.Probe(array.output, synapse=0.01)
        nengo.Probe(array.output[[0, 5]])
    return net


def learning():
    with nengo.Network(seed=0) as net:
        pre, post, error = (nengo.Ensemble(10, 2) for _ in range(3))
        conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, error)
        nengo.Connection(pre, error, transform=-1)
        nengo.Connection(error, conn.learning_rule)
        nengo.Connection(pre.neurons, post.neurons, transform=np.zeros((10, 10)))
        nengo.Probe(conn, "weights")
    return net


NETWORKS = {
    "circular convolution": circular_convolution,
    "basal ganglia": basal_ganglia,
    "sliced feedback": sliced_feedback,
    "learning": learning,
}


@lru_cache
def built(name: str) -> Model:
    """The built network of this name; not to be changed."""
    return build_model(NETWORKS[name](), 0.001, None)


def operators_of(name: str) -> list:
    """Its operators, without those that are computed ahead."""
    return list(lift_inputs(built(name)).operators)


def chain_of_ensembles(n_ensembles: int) -> list:
    """Operators as Nengo would build them for a chain of ensembles, made without solving for
    decoders.
    """
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].solver = nengo.solvers.NoSolver(np.zeros((2, 1)))
        net.config[nengo.Ensemble].update(
            {"gain": np.ones(2), "bias": np.full(2, 2.0), "encoders": np.ones((2, 1))}
        )
        net.config[nengo.Connection].eval_points = np.ones((1, 1))
        net.config[nengo.Ensemble].eval_points = np.ones((1, 1))
        ensembles = [nengo.Ensemble(2, 1) for _ in range(n_ensembles)]
        for pre, post in zip(ensembles, ensembles[1:], strict=False):
            nengo.Connection(pre, post)
    return list(lift_inputs(build_model(net, 0.001, None)).operators)
