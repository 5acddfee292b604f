"""A simulator that is closed or dropped frees what it holds, without Python's collector."""

import gc
import pickle
import subprocess
import sys
import warnings
import weakref

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed

import nengo_dl
from nengo_dl.runtime.backends.shared_functions import chunk_functions

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("without_collector")]
DATA = np.ones((4, 3, 1))


@pytest.fixture
def without_collector():
    gc.disable()
    yield
    gc.enable()


def network(in_loop=False):
    with nengo.Network(seed=0) as net:
        net.a, net.b = nengo.Node([0.5]), nengo.Ensemble(10, 1)
        net.connection = nengo.Connection(net.a, net.b)
        if in_loop:
            python = nengo.Node(lambda t, x: x, size_in=1)
            nengo.Connection(net.b, python)
            nengo.Connection(python, net.b)
        net.p = nengo.Probe(net.b)
    return net


def train(sim):
    sim.compile("sgd", "mse")
    sim.fit(DATA, DATA, verbose=0)
    sim.evaluate(DATA, DATA, verbose=0)
    sim.predict(DATA)


def parts(sim):
    """What has to be gone; TensorFlow's graphs hold on to variables that are trained."""
    model = sim.keras_model
    variables = (*model.fixed.variables, *model.state.variables)
    return [weakref.ref(p) for p in (sim, sim._engine, sim._training, model, *variables)]


def are_gone(seen):
    return all(ref() is None for ref in seen)


@pytest.mark.parametrize(
    "in_loop, minibatch_size", [(False, None), (False, 2), (True, None)], ids=str
)
def test_dropped(in_loop, minibatch_size):
    sim = nengo_dl.Simulator(network(in_loop), minibatch_size=minibatch_size, progress_bar=False)
    sim.run_steps(3)
    data, seen = sim.data, parts(sim)
    del sim
    assert seen[0]() is not None  # sim.data looks at it
    with pytest.warns(ResourceWarning, match="deallocated while open"):
        del data
    assert are_gone(seen)


def test_dropped_after_training():
    sim = nengo_dl.Simulator(network(), minibatch_size=2, progress_bar=False)
    sim.run_steps(3)
    train(sim)
    seen = parts(sim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del sim
    assert are_gone(seen)


def test_closed():
    """What it ran with is freed, although the simulator is kept; what it tells is the same."""
    net = network()
    sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    train(sim)
    sim.run_steps(3)
    seen = parts(sim)[1:]
    voltage = sim.model.sig[net.b.neurons]["voltage"]
    before = [sim.data[net.p], sim.data[net.b].bias, sim.signals[voltage]]
    weights = sim.data[net.connection].weights
    sim.close()
    assert are_gone(seen)
    for after in (sim, pickle.loads(pickle.dumps(sim))):
        (probe,), (ensemble,) = after.model.probes, after.model.toplevel.ensembles
        voltage = after.model.sig[ensemble.neurons]["voltage"]
        found = [after.data[probe], after.data[ensemble].bias, after.signals[voltage]]
        for value, expected in zip(found, before, strict=True):
            np.testing.assert_array_equal(value, expected)
        with pytest.raises(SimulatorClosed, match="keras_model"):
            after.keras_model  # noqa: B018
    np.testing.assert_array_equal(sim.data[net.connection].weights, weights)


def test_what_nobody_shares_is_freed():
    sim = nengo_dl.Simulator(network(), progress_bar=False)
    sim.run_steps(3)
    (run,) = (weakref.ref(run) for run in sim._engine.chunks.functions.values())
    chunk_functions.clear()
    sim.close()
    assert run() is None


@pytest.mark.parametrize("closes", [False, True])
def test_python_ends_quietly_with_an_open_simulator(closes):
    """Also where an object of the program's closes it at last."""
    program = (
        "import nengo, nengo_dl\n"
        "class Owner:\n"
        "    def __del__(self):\n"
        f"        {'self.sim.close()' if closes else 'pass'}\n"
        "with nengo.Network() as net:\n"
        "    nengo.Probe(nengo.Ensemble(5, 1))\n"
        "owner = Owner()\n"
        "owner.sim = nengo_dl.Simulator(net, progress_bar=False)\n"
        "owner.sim.run_steps(2)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
