"""Several devices, and several processes: the same numbers as on one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from runtime.devices_program import results

PROGRAM = Path(__file__).with_name("devices_program.py")
on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras's distributions")
on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies")


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """What is computed on one device."""
    return results(str(tmp_path_factory.mktemp("one")))


def free_port() -> int:
    """The first of two ports that nobody listens at."""
    for _ in range(20):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", 0))
                port = first.getsockname()[1]
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    pytest.skip("this machine gives no ports")


def run(how: str, n_processes: int, folder: Path) -> list[subprocess.CompletedProcess]:
    """Run the program in processes that know each other."""
    port = str(free_port())
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", PROGRAM, how, str(k), port, folder],
            env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(n_processes)
    ]
    try:
        ends = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *end)
        for process, end in zip(started, ends, strict=True)
    ]


def printed(process: subprocess.CompletedProcess) -> dict:
    lines = [line for line in process.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, process.stderr[-3000:]
    return json.loads(lines[0].removeprefix("RESULT "))


def assert_same(found: dict, expected: dict, first_epoch: int = 0):
    for name, value in expected.items():
        if name == "places":
            continue
        if "loss" in name or name == "evaluate":
            value = value[first_epoch:] if "loss" in name else value
            np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)
        else:  # sums of many neurons in another order
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.core
def test_two_devices(one_device, tmp_path):
    (process,) = run("two devices", 1, tmp_path)
    assert_same(printed(process), one_device)


@on_jax
@pytest.mark.core
def test_weights_on_two_devices(one_device, tmp_path):
    (process,) = run("weights", 1, tmp_path)
    found = printed(process)
    assert_same(found, one_device)
    assert "(None, 'model')" in found["places"]


@pytest.mark.core
@pytest.mark.slow
def test_two_processes_that_were_killed_go_on(one_device, tmp_path):
    first_epoch = 0
    if keras.backend.backend() == "jax":  # on TensorFlow it would be the same, and take long
        run("killed", 2, tmp_path)
        assert (tmp_path / "backup").exists() and not (tmp_path / "params.npz").exists()
        first_epoch = 2
    processes = run("two processes", 2, tmp_path)
    for process in processes:
        assert_same(printed(process), one_device, first_epoch)
    assert (tmp_path / "best.weights.h5").exists() and (tmp_path / "params.npz").exists()


def small_network():
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node([0.5, 0.5], label="stimulus")
        ens = nengo.Ensemble(10, 2, neuron_type=nengo.RectifiedLinear(), label="ens")
        nengo.Connection(stimulus, ens, synapse=None, label="input")
        out = nengo.Node(size_in=300, label="out")
        # large enough for a weight of its own
        nengo.Connection(ens.neurons, out, transform=np.ones((300, 10)), label="wide")
        many = nengo.Ensemble(200, 1, neuron_type=nengo.RectifiedLinear(), label="many")
        dense = np.full((200, 300), 1e-3)
        nengo.Connection(out, many.neurons, transform=dense, synapse=None, label="dense")
        probe = nengo.Probe(many, label="probe")
    return net, stimulus, probe


def distribution():
    """A distribution over the one device of this process."""
    return keras.distribution.DataParallel(devices=keras.distribution.list_devices()[:1])


def test_names_of_parameters():
    net, *_ = small_network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        paths = [weight.path for weight in sim.keras_model.trainable_weights]
    assert "weights_of_1_connection/dense" in paths
    assert "encoders_of_1_ensemble/ens" in paths
    assert "bias_of_2_ensembles/ens_and_1_more" in paths


@on_jax
@pytest.mark.core
def test_a_distribution_left_in_force_changes_nothing():
    net, stimulus, probe = small_network()
    x, y = np.ones((2, 3, 2)), np.zeros((2, 3, 1))
    losses = []
    for left in (None, distribution()):
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            try:
                keras.distribution.set_distribution(left)
                sim.compile("sgd", loss={probe: "mse"})
                losses.append(sim.fit({stimulus: x}, {probe: y}, verbose=0).history["loss"])
                sim.run_steps(3)
                assert keras.distribution.distribution() is left
            finally:
                keras.distribution.set_distribution(None)
    assert losses[0] == losses[1]


class Two:
    """Stands for two devices."""

    n_shares = 2


def test_items_that_cannot_be_shared_out(monkeypatch):
    net, *_ = small_network()
    monkeypatch.setattr(nengo_dl.runtime.backends.active(), "in_force", Two)
    with pytest.raises(ValidationError, match="multiple of 2, such as 6"):
        nengo_dl.Simulator(net, minibatch_size=5, progress_bar=False)
    # one item, or a device that was asked for, is computed on one
    nengo_dl.Simulator(net, progress_bar=False).close()
    nengo_dl.Simulator(net, minibatch_size=4, device="/cpu:0", progress_bar=False).close()


def test_python_in_the_loop_is_refused(monkeypatch):
    with nengo.Network() as net:
        nengo.Connection(nengo.Node([0.5]), nengo.Node(lambda t, x: x + t, size_in=1))
    monkeypatch.setattr(nengo_dl.runtime.backends.active(), "in_force", Two)
    with pytest.raises(SimulationError, match="calls Python in each step"):
        nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False)


@on_jax
@pytest.mark.core
def test_eager_training_is_refused():
    net, stimulus, probe = small_network()
    with distribution().scope():
        sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
    with sim:
        sim.compile("sgd", loss={probe: "mse"}, run_eagerly=True, jit_compile=False)
        with pytest.raises(SimulationError, match="remove run_eagerly"):
            sim.fit({stimulus: np.ones((2, 3, 2))}, {probe: np.zeros((2, 3, 1))}, verbose=0)


@on_tensorflow
def test_what_a_strategy_cannot_do():
    import tensorflow as tf

    net, stimulus, probe = small_network()
    data = {"x": {stimulus: np.ones((2, 3, 2))}, "y": {probe: np.zeros((2, 3, 1))}, "verbose": 0}
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        sim = nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False)
        sim.compile("sgd", loss={probe: "mse"})
        with pytest.raises(SimulationError, match="outside of strategy.scope"):
            sim.fit(**data)
    with sim, pytest.raises(SimulationError, match="stateful=True"):
        sim.fit(**data, stateful=True)
