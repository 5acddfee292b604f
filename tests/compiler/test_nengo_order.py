"""Our way to Nengo's order of operators gives that order."""

import nengo
import numpy as np
import pytest
from nengo.builder import Model
from nengo.exceptions import BuildError
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from nengo_dl.compiler.nengo_order import _bytes_of, nengo_order
from random_networks import random_network


def operators(net):
    model = Model(dt=0.001)
    model.build(net)
    return model.operators


def nested():
    """Views of views, and many of one signal."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].neuron_type = nengo.Direct()
        product = nengo.networks.CircularConvolution(10, 4)
        node = nengo.Node(lambda t, x: x, size_in=6)
        nengo.Connection(product.output[1:], node[::2], synapse=None)
        nengo.Connection(node[[5, 1, 3]], product.input_a[:3])
        nengo.Connection(node[-1], product.input_b[0])
    return net


@pytest.mark.core
def test_same_as_nengo():
    for net in (nested(), *(random_network(seed) for seed in range(10))):
        ops = operators(net)
        assert nengo_order(ops) == toposort(operator_dependency_graph(ops))


@pytest.mark.core
def test_cycles_are_errors():
    with nengo.Network() as net:
        a, b = nengo.Node(size_in=1), nengo.Node(size_in=1)
        nengo.Connection(a, b, synapse=None)
        nengo.Connection(b, a, synapse=None)
    with pytest.raises(BuildError, match="cycles"):
        nengo_order(operators(net))


def test_bytes_of_views():
    values = np.arange(24.0).reshape(4, 6)
    start = values.ctypes.data
    assert _bytes_of(values) == (start, start + 192)
    assert _bytes_of(values[1:3, ::2]) == (start + 48, start + 48 + 48 + 40)
    assert _bytes_of(values[::-1, 1]) == (start + 8, start + 8 + 3 * 48 + 8)
    first, last = _bytes_of(values[2, 3:3])
    assert first == last
