"""The networks of the benchmarks."""

from functools import partial

import nengo
import pytest

from nengo_dl import benchmarks
from nengo_dl.benchmarks import simulation
from oracle import assert_matches_nengo

SMALL = {
    "tutorial": partial(benchmarks.tutorial, n_neurons=10),
    "cconv": partial(benchmarks.cconv, dimensions=4, neurons_per_d=10),
    "integrator": partial(benchmarks.integrator, dimensions=3, neurons_per_d=10),
    "pes": partial(benchmarks.pes, dimensions=2, neurons_per_d=10),
    "basal_ganglia": partial(benchmarks.basal_ganglia, dimensions=3, neurons_per_d=10),
    "random_network": partial(
        benchmarks.random_network, 2, 10, n_ensembles=4, connections_per_ensemble=2
    ),
    "closed_loop": partial(benchmarks.closed_loop, n_neurons=10),
}


def test_every_network_is_tested():
    assert set(SMALL) == set(benchmarks.__all__)


def test_every_network_is_timed():
    timed = {benchmark.network.__name__ for benchmark in simulation.BENCHMARKS.values()}
    assert timed == set(benchmarks.__all__)


@pytest.mark.core
@pytest.mark.parametrize("name", SMALL)
def test_network_matches_nengo(name):
    assert_matches_nengo(SMALL[name], n_steps=30)


@pytest.mark.parametrize("name", SMALL)
def test_neuron_type_is_that_of_every_ensemble(name):
    network = SMALL[name](neuron_type=nengo.RectifiedLinear())
    assert network.n_neurons > 0
    if name != "basal_ganglia":  # Nengo's own network sets a type where none is configured
        assert {ens.neuron_type for ens in network.all_ensembles} == {nengo.RectifiedLinear()}
    assert network.p in network.all_probes
