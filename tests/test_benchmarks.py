"""The networks of the benchmarks."""

from functools import partial

import nengo
import numpy as np
import pytest
import scipy.linalg

from nengo_dl import benchmarks
from nengo_dl.benchmarks import simulation
from oracle import assert_matches_nengo

SMALL = {
    "connected": partial(benchmarks.connected, n_ensembles=3, dimensions=2, n_neurons=10),
    "products": partial(benchmarks.products, dimensions=2, n_neurons=10),
    "ring": partial(benchmarks.ring, n_ensembles=3, n_neurons=10),
    "two_ensembles": partial(benchmarks.two_ensembles, n_neurons=20),
    "tutorial": partial(benchmarks.tutorial, n_neurons=10),
    "cconv": partial(benchmarks.cconv, dimensions=4, neurons_per_d=10),
    "integrator": partial(benchmarks.integrator, dimensions=3, neurons_per_d=10),
    "pes": partial(benchmarks.pes, dimensions=2, neurons_per_d=10),
    "basal_ganglia": partial(benchmarks.basal_ganglia, dimensions=3, neurons_per_d=10),
    "random_network": partial(
        benchmarks.random_network, 2, 10, n_ensembles=4, connections_per_ensemble=2
    ),
    "closed_loop": partial(benchmarks.closed_loop, n_neurons=10),
    "lif": partial(benchmarks.lif, n_neurons=20),
    "lmu": partial(benchmarks.lmu, theta=20, order=4, n_hidden=5),
    "mnist": partial(benchmarks.mnist, use_tensor_layer=False, image_size=8, filters=(2, 3)),
    "spaun": partial(benchmarks.spaun, dimensions=4, neurons_per_d=10, n_memories=2),
}
OWN_TYPES = "basal_ganglia", "spaun"  # Nengo's own networks set types where none are configured


def test_every_network_is_tested():
    assert set(SMALL) == set(benchmarks.__all__)


def test_every_network_is_timed():
    cases = [*simulation.simulation(), *simulation.building()]
    timed = {case.ours.arguments["network"] for case in cases}
    assert timed == set(benchmarks.__all__)


@pytest.mark.core
@pytest.mark.parametrize("name", SMALL)
def test_network_matches_nengo(name):
    assert_matches_nengo(SMALL[name], n_steps=30)


@pytest.mark.parametrize("name", SMALL)
def test_neuron_type_is_that_of_every_ensemble(name):
    network = SMALL[name](neuron_type=nengo.RectifiedLinear())
    assert network.n_neurons > 0
    if name not in OWN_TYPES:
        assert {ens.neuron_type for ens in network.all_ensembles} == {nengo.RectifiedLinear()}
    assert network.p in network.all_probes


def test_spaun_has_thousands_of_ensembles_and_all_its_parts():
    small, larger = (benchmarks.spaun(d, neurons_per_d=2, n_memories=5) for d in (4, 8))
    counts = [len(net.all_ensembles) for net in (small, larger)]
    # in proportion to dimensions, besides what is there once
    assert counts[0] + (256 - 4) // 4 * (counts[1] - counts[0]) >= 5000


def test_mnist_of_layers_and_of_convolutions_have_the_same_shapes():
    of_layers, of_nengo = (
        benchmarks.mnist(use_tensor_layer, image_size=12, filters=(2, 3))
        for use_tensor_layer in (True, False)
    )
    assert of_layers.n_neurons == of_nengo.n_neurons == 10 * 10 * 2 + 4 * 4 * 3


@pytest.mark.parametrize("order, theta", [(1, 3), (256, 784)])
def test_memory_of_lmu_is_the_exact_solution_of_its_equations(order, theta):
    net = benchmarks.lmu(theta=theta, order=order, n_hidden=1)
    b, a = (conn.transform.sample() for conn in net.all_connections[1:3])
    # equation 2 of Voelker et al. (2019)
    continuous = np.zeros((order + 1, order + 1))
    for i in range(order):
        for j in range(order):
            continuous[i, j] = (2 * i + 1) / theta * (-1 if i < j else (-1.0) ** (i - j + 1))
        continuous[i, order] = (2 * i + 1) / theta * (-1.0) ** i
    held = scipy.linalg.expm(continuous)
    assert np.allclose(a, held[:order, :order], rtol=0, atol=1e-11)
    assert np.allclose(b, held[:order, order:], rtol=0, atol=1e-11)


def test_lmu_remembers_its_window():
    net = benchmarks.lmu(theta=50, order=12, n_hidden=1)
    memory = net.all_nodes[2]
    assert memory.size_in == 12
    with net:
        signal, remembered = nengo.Probe(net.all_nodes[0]), nengo.Probe(memory)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(400)
    # at the end of the window all Legendre polynomials are 1
    delayed = sim.data[remembered].sum(axis=1)
    error = np.sqrt(np.mean((delayed[150:] - sim.data[signal][100:-50, 0]) ** 2))
    assert error < 0.1 * np.std(sim.data[signal])
