"""Delays that training finds."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ConfigError, ValidationError

import nengo_dl
from nengo_dl.compiler import distribute
from nengo_dl.runtime.sequences.stages import StagedNetwork
from nengo_dl.synapses import Delay

N_CHANNELS, LONGEST = 20, 0.03


def summation(tau, trained=True, **settings):
    """Spikes of many channels, each delayed, and added up."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=False, trainable_attributes=None, **settings)
        net.channels = nengo.Node(np.zeros(N_CHANNELS))
        delayed, total = nengo.Node(size_in=N_CHANNELS), nengo.Node(size_in=1)
        synapse = Delay(tau, longest=LONGEST)
        net.delays = nengo.Connection(net.channels, delayed, synapse=synapse, label="delays")
        nengo.Connection(delayed, total, transform=np.ones((1, N_CHANNELS)), synapse=None)
        net.total = nengo.Probe(total)
    if trained:
        net.config[net.delays].trainable_attributes = "tau"
    return net


def spikes_and_sums(true, n_items=96, n_steps=80):
    rng = np.random.RandomState(1)
    spikes = (rng.uniform(size=(n_items, n_steps, N_CHANNELS)) < 0.05).astype(np.float32)
    net = summation(true, trained=False)
    with nengo_dl.Simulator(net, minibatch_size=16, progress_bar=False) as sim:
        return spikes, sim.predict({net.channels: spikes})[net.total]


@pytest.mark.core
def test_recovered():
    """From the same delay of all channels to that of each, to 1 ms; without delays the sums are as
    far from those wanted as if they had nothing to do with them.
    """
    true = np.random.RandomState(0).randint(0, 31, size=N_CHANNELS) * 0.001
    x, y = spikes_and_sums(true)
    net = summation(np.full(N_CHANNELS, 0.015))
    with nengo_dl.Simulator(net, minibatch_size=16, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.01), loss="mse")
        sim.fit({net.channels: x}, {net.total: y}, epochs=30, verbose=0)
        assert sim.evaluate({net.channels: x}, {net.total: y}, verbose=0)["loss"] < 0.01 * y.var()
        found = sim.get_nengo_params(net.delays)["synapse"].tau
    assert np.max(np.abs(found - true)) < 0.001
    net = summation(np.zeros(N_CHANNELS), trained=False)
    with nengo_dl.Simulator(net, minibatch_size=16, progress_bar=False) as sim:
        sim.compile(loss="mse")
        assert sim.evaluate({net.channels: x}, {net.total: y}, verbose=0)["loss"] > y.var()


def recurrent():
    """Delays of all kinds: of each element and of all, behind neurons and in a loop."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", trainable_attributes=["tau"])
        net.node = nengo.Node(np.zeros(2), label="node")
        ens = nengo.Ensemble(6, 2, label="ens", neuron_type=nengo.Tanh())
        fixed, each = Delay(0.002), Delay([0.001, 0.0026], 0.003, longest=0.004)
        nengo.Connection(net.node, ens, synapse=each, label="in")
        nengo.Connection(ens, ens, transform=0.5, synapse=Delay(0.0015, longest=0.003))
        nengo.Connection(nengo.Node([0.3, -0.2]), ens, synapse=fixed, label="fixed")
        net.probe = nengo.Probe(
            ens, synapse=Delay([0.003, 0.0004], longest=0.004, spread=0.0007), label="probe"
        )
    return net


def move(sim):
    for variable in sim.keras_model.trainable_weights:
        value = keras.ops.convert_to_numpy(variable)
        with sim._engine.scope():
            variable.assign(value + np.linspace(-0.2, 0.3, value.size).reshape(value.shape))


@pytest.mark.parametrize("at_once", [False, True])
def test_gradients(monkeypatch, at_once):
    """Numerically the same, whether step by step or for all steps at once."""
    monkeypatch.setattr(distribute, "HEAVY", 1 if at_once else 10**9)
    net = recurrent()
    x = np.random.RandomState(0).uniform(-1, 1, size=(1, 9, 2))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        paths = [w.path for w in sim.keras_model.trainable_weights]
        for name in ("tau", "spread"):
            assert any(path.startswith(f"{name}_of_3_probes_and_connections") for path in paths)
        move(sim)
        sim.check_gradients({net.node: x})


@pytest.mark.core
@pytest.mark.parametrize("training", [False, True])
def test_stages_equal_one_loop(monkeypatch, training):
    monkeypatch.setattr(distribute, "HEAVY", 1)
    net, results = recurrent(), []
    x = np.random.RandomState(0).uniform(-1, 1, size=(2, 2, 9, 2))
    for in_stages in (True, False):
        if not in_stages:
            monkeypatch.setattr(StagedNetwork, "is_split", False)
        with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
            move(sim)
            model = sim.keras_model
            model.keep_state = True
            with sim._engine.scope():
                outputs = [model({"node": part}, training=training) for part in x]
            results.append([keras.ops.convert_to_numpy(out["probe"]) for out in outputs])
    for ours, whole in zip(*results, strict=True):
        assert np.ptp(ours) > 0.1
        np.testing.assert_allclose(ours, whole, rtol=1e-9, atol=1e-11)


@pytest.mark.core
def test_frozen_and_in_files(tmp_path):
    net, other = recurrent(), recurrent()
    with net:
        net.node.output = lambda t: np.sin([70 * t, 90 * t])
    other.node.output = net.node.output
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        move(sim)
        sim.run_steps(60)
        expected = sim.data[net.probe]
        sim.save_params(tmp_path / "delays")
        sim.freeze_params(net)
        sim.reset()
        sim.load_params(tmp_path / "delays")
        sim.run_steps(60)
        np.testing.assert_array_equal(sim.data[net.probe], expected)
    nengo_dl.load_params_into(other, tmp_path / "delays")
    for network in (net, other):
        synapse = network.connections[0].synapse
        assert synapse.then == nengo.Lowpass(0.003) and synapse.tau.shape == synapse.spread.shape
        assert np.all(synapse.tau != [0.001, 0.0026]) and synapse.longest == 0.004
        assert isinstance(network.connections[1].synapse.tau, float)
        assert network.connections[2].synapse == Delay(0.002)
        with nengo.Simulator(network, progress_bar=False) as reference:
            reference.run_steps(60)
        np.testing.assert_allclose(reference.data[network.probe], expected, atol=1e-9)


def test_beyond_the_limits(tmp_path):
    """What training takes below 0 or above the longest counts as those, and is not in files."""
    net = summation(np.linspace(0, LONGEST, N_CHANNELS))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        tau = sim.keras_model.trainable_weights[0]
        assert tau.path.startswith("tau")
        tau.assign(np.where(np.arange(N_CHANNELS) < 10, -2.0, 2.0)[None])
        sim.run_steps(40, data={net.channels: np.ones((1, 40, N_CHANNELS))})
        assert np.array_equal(sim.data[net.total][:, 0], [0] + [10] * 30 + [20] * 9)
        sim.save_params(tmp_path / "file")
        found = sim.get_nengo_params(net.delays)["synapse"].tau
        assert np.array_equal(found, [0.0] * 10 + [LONGEST] * 10)
    shorter = summation(np.zeros(N_CHANNELS))
    shorter.delays.synapse = Delay(np.zeros(N_CHANNELS), longest=0.02)
    with nengo_dl.Simulator(shorter, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="not between 0 and 0.02"):
            sim.load_params(tmp_path / "file")
    with pytest.raises(ValidationError, match="above longest=0.02, got 0.03"):
        nengo_dl.load_params_into(shorter, tmp_path / "file")


def test_refused():
    net = summation(np.zeros(N_CHANNELS))
    net.delays.synapse = Delay(0.01)
    with pytest.raises(ConfigError, match=r"'tau' .* cannot be trained.*give it the longest"):
        nengo_dl.Simulator(net, progress_bar=False)
    net.delays.synapse = Delay(0.01, longest=0.02, spread=0)
    with pytest.raises(ConfigError, match="spread of .* is 0; training keeps it positive"):
        nengo_dl.Simulator(net, progress_bar=False)
