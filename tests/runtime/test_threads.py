"""Processes that draw in threads draw what they draw one after the other."""

import threading

import nengo
import numpy as np
import pytest
from nengo.processes import BrownNoise, FilteredNoise, WhiteNoise

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime.threads import in_threads
from oracle import assert_matches_nengo


@pytest.fixture
def threaded(monkeypatch):
    """However few numbers there are; the names of the threads that draw some."""
    monkeypatch.setattr(tuning, "THREADED_NUMBERS", 0)
    names, sample = set(), nengo.dists.Gaussian.sample

    def noted(*args, **kwargs):
        names.add(threading.current_thread().name)
        return sample(*args, **kwargs)

    monkeypatch.setattr(nengo.dists.Gaussian, "sample", noted)
    return names


def noisy(several=True, **settings):
    """Noise with and without filters and seeds, random numbers of neurons, and a user's process."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        a = nengo.Ensemble(15, 1, noise=WhiteNoise(nengo.dists.Gaussian(0, 0.1)))
        nengo.Probe(a.neurons, synapse=0.01)
        if several:
            kinds = [FilteredNoise(), FilteredNoise(nengo.Alpha(0.02)), BrownNoise(seed=3)]
            for process in [*kinds, nengo.processes.WhiteSignal(0.2, high=10), OwnProcess()]:
                nengo.Probe(nengo.Node(process, size_out=2))
            neurons = nengo.StochasticSpiking(nengo.LIFRate())
            nengo.Probe(nengo.Ensemble(20, 1, neuron_type=neurons).neurons)
    return net


class OwnProcess(nengo.Process):
    """Has to be run where the program runs."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        thread = threading.current_thread()

        def step(t):
            assert threading.current_thread() is thread
            return rng.normal(size=shape_out)

        return step


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [1, 3])
def test_as_nengo(threaded, minibatch_size):
    assert_matches_nengo(noisy(threads=3), n_steps=60, minibatch_size=minibatch_size)
    assert any(name.startswith("nengo_dl") for name in threaded)


@pytest.mark.core
@pytest.mark.parametrize("several", [True, False])
def test_as_one_after_the_other(threaded, several):
    """Also in several runs, and after a reset."""
    data = []
    for threads in (1, 3):
        threaded.clear()
        net = noisy(several, threads=threads)
        with nengo_dl.Simulator(net, minibatch_size=4, seed=1) as sim:
            for n_steps in (7, 60, 33):
                sim.run_steps(n_steps)
            sim.reset()
            sim.run_steps(50)
            data.append([sim.data[probe] for probe in net.probes])
        assert any(name.startswith("nengo_dl") for name in threaded) == (threads > 1)
    for one, three in zip(*data, strict=True):
        np.testing.assert_array_equal(one, three)


def test_all_threads_are_done_when_one_fails():
    done, gate = [], threading.Event()

    def work(k):
        if k == 0:
            raise ValueError("no")
        gate.wait(0.05)
        done.append(k)

    with pytest.raises(ValueError, match="no"):
        in_threads(2, work, range(3))
    assert sorted(done) == [1, 2]
