"""Simulators in threads and in forked processes."""

import os
import subprocess
import sys
import threading
from importlib.metadata import version

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl import process_settings, tuning
from nengo_dl.runtime.simulation import processes
from nengo_dl.runtime.simulation.processes import Watch

OLD_JAX = keras.backend.backend() == "jax" and version("jax").startswith("0.6.")

FORK = """
import multiprocessing, os
import nengo, nengo_dl
import numpy as np

nengo.rc.set("decoder_cache", "enabled", "False")

def work(seed, train=False):
    with nengo.Network(seed=seed) as net:
        a, e = nengo.Node([0.5]), nengo.Ensemble(400, 1)
        nengo.Connection(a, e)
        p = nengo.Probe(e)
    with nengo_dl.Simulator(net, minibatch_size=16, progress_bar=False) as sim:
        sim.run_steps(100)
        return np.array(sim.data[p])

expected = [work(0), work(1)]
pool = multiprocessing.get_context("fork").Pool(2)
found = pool.map_async(work, [0, 1]).get(timeout=60)
assert all(np.array_equal(a, b) for a, b in zip(expected, found)), "other values"
print("equal", flush=True)
os._exit(0)
"""


@pytest.mark.core
@pytest.mark.skipif(not hasattr(os, "fork"), reason="about forked processes")
@pytest.mark.skipif(OLD_JAX, reason="before 0.7, JAX needs threads that a forked process lacks")
def test_minibatches_in_forked_processes():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.stdout.strip() == "equal", result.stderr


def test_what_hangs_in_a_forked_process_is_an_error(monkeypatch):
    monkeypatch.setattr(processes, "forked", True)
    monkeypatch.setattr(tuning, "PATIENCE_SECONDS", 0.3)
    never = threading.Event()
    with pytest.raises(SimulationError, match="was forked"):
        Watch().call(never.wait, 30)
    never.set()
    watch = Watch()
    assert watch.call(max, 1, 2) == 2
    assert not watch.is_needed()
    with pytest.raises(ZeroDivisionError):
        Watch().call(divmod, 1, 0)


def network(dtype="float32"):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype)
        a, e = nengo.Node([0.0]), nengo.Ensemble(10, 1)
        nengo.Connection(a, e)
        net.p = nengo.Probe(e)
    return net


def in_threads(*functions):
    """Runs functions at the same time; returns their errors."""
    errors = []

    def call(function):
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.core
def test_threads_give_what_one_gives():
    net = network()

    def run(results):
        with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
            sim.run_steps(20)
            results.append(np.array(sim.data[net.p]))

    expected, found = [], []
    run(expected)
    assert in_threads(*[lambda: run(found)] * 4) == []
    assert len(found) == 4
    for values in found:
        np.testing.assert_array_equal(values, expected[0])


@pytest.mark.core
def test_training_in_threads_keeps_floatx():
    before, seen = keras.config.floatx(), {}

    def fit(dtype):
        def look(*_):
            seen[dtype] = keras.config.floatx()

        callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
        with nengo_dl.Simulator(network(dtype), progress_bar=False) as sim:
            sim.compile("sgd", "mse")
            sim.fit(np.ones((2, 3, 1)), np.ones((2, 3, 1)), verbose=0, callbacks=[callback])

    assert in_threads(lambda: fit("float64"), lambda: fit("float32")) == []
    assert seen == {"float64": "float64", "float32": "float32"}
    assert keras.config.floatx() == before


def test_floatx_of_one_thread_inside_another():
    """A callback may train something else."""
    before = keras.config.floatx()
    with process_settings.floatx("float64", keras.config):
        with process_settings.floatx("float16", keras.config):
            assert keras.config.floatx() == "float16"
        assert keras.config.floatx() == "float64"
    assert keras.config.floatx() == before


@pytest.mark.parametrize("value, expected", [("0", "float32"), ("1", "float64")])
def test_floatx_can_be_left_alone(monkeypatch, value, expected):
    monkeypatch.setenv("NENGO_DL_FLOATX", value)
    with process_settings.floatx("float64", keras.config):
        assert keras.config.floatx() == expected


def test_one_simulator_in_two_threads():
    inside, done = threading.Event(), threading.Event()

    def wait(t):
        if t > 0.004:
            inside.set()
            assert done.wait(60)
        return 0.0

    with nengo.Network() as net:
        nengo.Probe(nengo.Node(wait))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        thread = threading.Thread(target=sim.run_steps, args=(5,))
        thread.start()
        assert inside.wait(60)
        for call in (sim.step, lambda: sim.predict(n_steps=1), sim.reset, sim.close):
            with pytest.raises(SimulationError, match="another thread"):
                call()
        done.set()
        thread.join()
        sim.step()
        assert sim.n_steps == 6
