"""Shares of a minibatch in threads give what the minibatch gives as a whole."""

import threading

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime import build
from nengo_dl.runtime.simulation import item_threads
from nengo_dl.runtime.simulation.item_threads import ItemThreads, share_size
from oracle import assert_matches_nengo
from runtime.networks import tutorial

pytestmark = pytest.mark.usefixtures("nothing_compiled")


@pytest.fixture
def shares(monkeypatch):
    """Minibatches of any size are split, for two threads."""
    monkeypatch.setattr(item_threads, "LEAST_BYTES", 0)
    monkeypatch.setattr(build, "n_cores", lambda: 2)


def is_split(sim) -> bool:
    return any(isinstance(run, ItemThreads) for run in sim._engine.chunks.functions.values())


def noisy():
    """Random processes, which differ from item to item, and weights that each item learns."""
    with nengo.Network(seed=0) as net:
        x = nengo.Node(nengo.processes.WhiteSignal(0.5, high=10, seed=1))
        a = nengo.Ensemble(20, 1, noise=nengo.processes.WhiteNoise(seed=2))
        b = nengo.Ensemble(10, 1, neuron_type=nengo.StochasticSpiking(nengo.LIFRate()))
        nengo.Connection(x, a)
        c = nengo.Connection(a, b, learning_rule_type=nengo.PES(), synapse=0.01)
        nengo.Connection(b, c.learning_rule)
        nengo.Probe(b, synapse=0.01)
        nengo.Probe(a.neurons, sample_every=0.003)
        nengo.Probe(c, "weights")
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [2, 5])
def test_as_nengo(shares, minibatch_size):
    assert_matches_nengo(noisy(), n_steps=70, minibatch_size=minibatch_size)


@pytest.mark.core
def test_data_for_each_item(shares):
    """Also with several runs, of which each goes on where the one before ended."""
    data = np.random.RandomState(0).uniform(-1, 1, size=(5, 120, 1))
    model = tutorial(dtype="float64")
    with nengo_dl.Simulator(model.net, minibatch_size=5, unroll_simulation=3) as sim:
        for start, stop in ((0, 7), (7, 67), (67, 120)):
            sim.run_steps(stop - start, data={model.stimulus: data[:, start:stop]})
        assert is_split(sim)
    for item in range(5):
        with nengo_dl.Simulator(model.net) as one:
            one.run_steps(120, data={model.stimulus: data[item : item + 1]})
            for probe in (model.out_probe, model.slow_probe, model.spikes):
                np.testing.assert_allclose(sim.data[probe][item], one.data[probe], atol=1e-9)


@pytest.mark.core
def test_the_state_is_that_of_all_items(shares, tmp_path):
    """What is read, saved and loaded, and what predictions and training start from."""
    data = np.random.RandomState(0).uniform(-1, 1, size=(3, 40, 1))
    model = tutorial()
    with nengo_dl.Simulator(model.net, minibatch_size=3) as sim:
        sim.run_steps(20, data={model.stimulus: data[:, :20]})
        voltage = sim.model.sig[model.square.neurons]["voltage"]
        assert np.shape(sim.signals[voltage]) == (3, 20)
        sim.save_params(tmp_path / "state", include_state=True)
        rest = {model.stimulus: data[:, 20:]}
        predicted = sim.predict(rest, stateful=False)[model.out_probe]
        sim.run_steps(20, data=rest)
        np.testing.assert_array_equal(sim.data[model.out_probe][:, 20:], predicted)
        sim.load_params(tmp_path / "state", include_state=True)
        again = sim.predict(rest, stateful=False)[model.out_probe]
        np.testing.assert_array_equal(again, predicted)


@pytest.mark.core
def test_last_step_only(shares):
    model = tutorial(keep_history=False)
    whole = tutorial()
    with nengo_dl.Simulator(model.net, minibatch_size=4) as sim:
        sim.run_steps(60)
        assert is_split(sim)
    with nengo_dl.Simulator(whole.net, minibatch_size=4) as expected:
        expected.run_steps(60)
    np.testing.assert_array_equal(
        sim.data[model.out_probe][:, -1], expected.data[whole.out_probe][:, -1]
    )


@pytest.mark.core
def test_as_many_threads_as_wanted(shares, monkeypatch):
    """With the same results."""
    used, in_threads = [], item_threads.in_threads
    monkeypatch.setattr(
        item_threads, "in_threads", lambda n, *a: used.append(n) or in_threads(n, *a)
    )
    data = {}
    for threads in (1, 2, 3):
        model = tutorial(threads=threads)
        with nengo_dl.Simulator(model.net, minibatch_size=6) as sim:
            sim.run_steps(60)
            sim.run_steps(60)
            assert is_split(sim) == (threads > 1)
        data[threads] = sim.data[model.out_probe]
    assert [*dict.fromkeys(used)] == [2, 3]
    for threads in (2, 3):
        np.testing.assert_allclose(data[threads], data[1], atol=1e-6)


@pytest.mark.core
def test_what_may_couple_items_is_not_split(shares):
    class Mean(keras.layers.Layer):
        def call(self, x):
            return x - keras.ops.mean(x, axis=0, keepdims=True)

    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        p = nengo.Probe(nengo_dl.Layer(Mean())(node))
    data = np.arange(8.0).reshape(4, 2, 1)
    with nengo_dl.Simulator(net, minibatch_size=4) as sim:
        sim.run_steps(2, data={node: data})
        assert not is_split(sim)
    np.testing.assert_allclose(sim.data[p], data - data.mean(axis=0))


def test_an_error_in_a_thread_is_raised(shares, monkeypatch):
    """And what was recorded before it is kept."""
    model = tutorial()
    with nengo_dl.Simulator(model.net, minibatch_size=4) as sim:
        sim.run_steps(10)
        before = sim.data[model.out_probe].copy()
        call = sim._engine.chunks._call

        def failing(*args, **kwargs):
            if threading.current_thread() is not threading.main_thread():
                raise MemoryError("no more")
            return call(*args, **kwargs)

        (run,) = sim._engine.chunks.functions.values()
        monkeypatch.setattr(run, "_call", failing)
        with pytest.raises(MemoryError, match="no more"):
            sim.run_steps(10)
        assert sim.n_steps == 10
        np.testing.assert_array_equal(sim.data[model.out_probe], before)


# -- sizes -----------------------------------------------------------------------------------------


def sizes(net, threads=2):
    """Items of a share by items of the minibatch."""
    with net:
        nengo_dl.configure_settings(threads=threads)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        lowered = sim._engine.lowered
        return {n: share_size(lowered.resized(n)) for n in (1, 2, 3, 16, 1000)}


def array(n_ensembles, n_neurons=50):
    with nengo.Network(seed=0) as net:
        a = nengo.networks.EnsembleArray(n_neurons, n_ensembles)
        nengo.Connection(a.output, a.input)
        nengo.Probe(a.output)
    return net


def test_small_networks_stay_whole():
    found = sizes(array(2))
    assert {n: found[n] for n in (1, 2, 3)} == {1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_there_are_shares_for_all_threads_and_none_too_large(threads):
    net = array(64)
    found = sizes(net, threads)
    for n, size in found.items():
        assert 1 <= size <= n
        assert size == -(-n // min(n, threads)) or n > 16
    assert found[1000] <= 200


def test_large_matrices_stay_whole():
    """XLA multiplies them on all cores."""
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(600, 1), nengo.Ensemble(600, 1)
        nengo.Connection(a.neurons, b.neurons, transform=nengo.dists.Gaussian(0, 0.001))
        nengo.Probe(b.neurons)
    assert all(n == size for n, size in sizes(net).items())
