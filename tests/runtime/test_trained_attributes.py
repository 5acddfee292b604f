"""Time constants, amplitudes and the like of Nengo objects, trained."""

import pickle

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ConfigError, ValidationError

import nengo_dl
from oracle import assert_matches_nengo


def wave(t):
    return np.sin(20 * t)


def many(**settings):
    """Ensembles of several types and synapses of both kinds, on connections and probes."""
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(
            dtype="float64",
            trainable=False,
            trainable_attributes=["tau", "tau_rc", "amplitude"],
            **settings,
        )
        stimulus = nengo.Node(wave, label="stimulus")
        a = nengo.Ensemble(20, 1, label="a", neuron_type=nengo.LIF(tau_rc=0.015))
        b = nengo.Ensemble(
            10, 1, label="b", neuron_type=nengo.RegularSpiking(nengo.LIFRate(tau_rc=0.03))
        )
        c = nengo.Ensemble(10, 1, label="c", neuron_type=nengo.AdaptiveLIF())
        nengo.Connection(stimulus, a, synapse=None)
        nengo.Connection(a, b, synapse=0.01)
        nengo.Connection(b, c, synapse=nengo.Alpha(0.02))
        nengo.Probe(c, synapse=nengo.Alpha(0.03), label="decoded")
        nengo.Probe(a.neurons, synapse=0.01, label="filtered")
        nengo.Probe(b.neurons)
        nengo.Probe(stimulus, synapse=nengo.Alpha(0.004))
    return net


def move(sim):
    """Move each trained attribute by a different amount."""
    for variable in sim.keras_model.trainable_weights:
        value = keras.ops.convert_to_numpy(variable)
        value = value + np.linspace(-0.3, 0.4, value.size).reshape(value.shape)
        with sim._engine.scope():  # on JAX, of float64
            variable.assign(value)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_untrained_is_as_in_nengo(minibatch_size):
    assert_matches_nengo(many(), n_steps=120, minibatch_size=minibatch_size)


@pytest.mark.core
def test_frozen_is_as_simulated():
    net = many()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        names = [layer.name for layer in sim.keras_model.parameter_layers]
        assert len(names) == 3 and all(name.startswith(("tau", "amplitude")) for name in names)
        move(sim)
        sim.run_steps(120)
        expected = [sim.data[probe] for probe in net.probes]
        sim.freeze_params(net)
    a, b, c = net.ensembles
    assert a.neuron_type.tau_rc != 0.015 and a.neuron_type.tau_ref == 0.002
    assert isinstance(b.neuron_type, nengo.RegularSpiking)
    assert b.neuron_type.base_type.tau_rc != 0.03
    assert isinstance(net.connections[2].synapse, nengo.Alpha)
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(120)
    for probe, values in zip(net.probes, expected, strict=True):
        assert np.ptp(values) > 0
        np.testing.assert_allclose(values, reference.data[probe], atol=1e-9, err_msg=str(probe))


@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_gradients(smoothing):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", lif_smoothing=smoothing)
        nengo_dl.configure_settings(trainable_attributes=["tau", "tau_rc", "amplitude", "sigma"])
        node = nengo.Node([0.6])
        ens = nengo.Ensemble(5, 1)
        soft = nengo.Ensemble(7, 1, neuron_type=nengo_dl.SoftLIFRate(sigma=0.5))
        nengo.Connection(node, ens)
        nengo.Connection(ens, soft, synapse=nengo.Alpha(0.003))
        nengo.Probe(soft.neurons, synapse=0.002)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert len(sim.keras_model.trainable_weights) == 3 + 4  # encoders, biases, weights
        sim.check_gradients()


def filters(taus, trained=None):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable_attributes=trained, dtype="float64")
        node = nengo.Node(np.zeros(1))
        out = nengo.Node(size_in=2)
        nengo.Connection(node, out[0], synapse=nengo.Lowpass(taus[0]))
        nengo.Connection(node, out[1], synapse=nengo.Alpha(taus[1]))
        probe = nengo.Probe(out, synapse=nengo.Lowpass(taus[2]))
        net.config[probe].trainable_attributes = None
    return net, node, probe


@pytest.mark.core
def test_synapses_are_recovered():
    """Time constants that start wrong come to those of the network that made the data."""
    true = (0.02, 0.01, 0.003)
    x = np.random.RandomState(0).uniform(-1, 1, (8, 120, 1))
    net, node, probe = filters(true)
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        y = np.tile(sim.predict({node: x})[probe], (10, 1, 1))
    net, node, probe = filters((0.05, 0.002, 0.003), ["tau"])
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
        sim.fit({node: np.tile(x, (10, 1, 1))}, {probe: y}, epochs=8, verbose=0)
        sim.freeze_params(net)
    found = [conn.synapse.tau for conn in net.connections]
    np.testing.assert_allclose(found, true[:2], rtol=0.05)
    assert probe.synapse.tau == 0.003


def neurons(tau_rc, amplitude, sigma, trained=None):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable_attributes=trained, trainable=False)
        node = nengo.Node(np.zeros(1))
        lif = nengo.Ensemble(
            20,
            1,
            neuron_type=nengo.LIF(tau_rc=tau_rc, amplitude=amplitude),
            gain=np.linspace(1.3, 3, 20),
            bias=np.linspace(2, 0.5, 20),
        )
        soft = nengo.Ensemble(
            20,
            1,
            neuron_type=nengo_dl.SoftLIFRate(sigma=sigma),
            gain=np.linspace(1.3, 3, 20),
            bias=np.linspace(0.2, 1, 20),
        )
        for ens in (lif, soft):
            nengo.Connection(node, ens, synapse=None)
        probes = [nengo.Probe(lif.neurons), nengo.Probe(soft.neurons)]
    return net, node, probes


def test_neurons_are_recovered():
    x = np.random.RandomState(0).uniform(-1, 1, (64, 1, 1))
    net, node, probes = neurons(0.03, 0.5, 0.2)
    with nengo_dl.Simulator(net, minibatch_size=64, progress_bar=False) as sim:
        rates = sim.keras_model({sim.get_name(node): x}, training=True)
        y = [keras.ops.convert_to_numpy(rates[sim.get_name(p)]) for p in probes]
        y = [np.tile(rate, (25, 1, 1)) for rate in y]
    net, node, probes = neurons(0.015, 1.0, 0.6, ["tau_rc", "amplitude", "sigma"])
    with nengo_dl.Simulator(net, minibatch_size=64, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
        data = dict(zip(probes, y, strict=True))
        sim.fit({node: np.tile(x, (25, 1, 1))}, data, epochs=8, verbose=0)
        sim.freeze_params(net)
    lif, soft = (ens.neuron_type for ens in net.ensembles)
    np.testing.assert_allclose([lif.tau_rc, lif.amplitude, soft.sigma], [0.03, 0.5, 0.2], rtol=0.05)


def test_files_hold_the_values(tmp_path):
    net = many()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        move(sim)
        sim.save_params(tmp_path / "params")
        sim.run_steps(50)
        expected = [sim.data[probe] for probe in net.probes]
        frozen = sim.get_nengo_params(net.connections[1])["synapse"]
    with np.load(tmp_path / "params.npz") as file:
        assert file["parameters/a to b/tau"] == pytest.approx(frozen.tau, rel=1e-12)
    planner = nengo_dl.graph_optimizer.noop_planner
    with nengo_dl.Simulator(many(planner=planner), progress_bar=False) as sim:
        sim.load_params(tmp_path / "params")
        sim.run_steps(50)
        for probe, values in zip(sim.model.toplevel.probes, expected, strict=True):
            np.testing.assert_allclose(sim.data[probe], values, atol=1e-9)
    other = many()
    nengo_dl.load_params_into(other, tmp_path / "params")
    with nengo.Simulator(other, progress_bar=False) as reference:
        reference.run_steps(50)
        for probe, values in zip(other.probes, expected, strict=True):
            np.testing.assert_allclose(reference.data[probe], values, atol=1e-9)


def test_files_are_checked(tmp_path):
    with nengo_dl.Simulator(many(), progress_bar=False) as sim:
        sim.save_params(tmp_path / "params")
        with np.load(tmp_path / "params.npz") as file:
            arrays = dict(file)
        arrays["parameters/a to b/tau"] = np.array(-0.1)
        np.savez(tmp_path / "wrong.npz", **arrays)
        with pytest.raises(ValidationError, match="tau of 'a to b' is -0.1.*not positive"):
            sim.load_params(tmp_path / "wrong")


def test_pickling_and_reset():
    with nengo_dl.Simulator(many(), progress_bar=False) as sim:
        before = sim.get_nengo_params(sim.model.toplevel.connections[1])["synapse"].tau
        move(sim)
        after = sim.get_nengo_params(sim.model.toplevel.connections[1])["synapse"].tau
        assert before == 0.01 and after != before
        with pickle.loads(pickle.dumps(sim)) as copy:
            conn = copy.model.toplevel.connections[1]
            assert copy.get_nengo_params(conn)["synapse"].tau == after
        sim.reset()
        assert sim.get_nengo_params(sim.model.toplevel.connections[1])["synapse"].tau == before


def small():
    with nengo.Network() as net:
        nengo_dl.configure_settings(trainable_attributes=None)
        node = nengo.Node([1])
        ens = nengo.Ensemble(5, 1, label="ens")
        conn = nengo.Connection(node, ens, synapse=nengo.Triangle(0.01))
        nengo.Probe(ens)
    return net, ens, conn


def test_clear_errors():
    net, ens, conn = small()
    net.config[conn].trainable_attributes = "tau"
    with pytest.raises(ConfigError, match="'tau' of .*Triangle.*no trainable attributes"):
        nengo_dl.Simulator(net, progress_bar=False)
    net, ens, conn = small()
    net.config[ens].trainable_attributes = ["tau_rk"]
    with pytest.raises(ConfigError, match="'tau_rk' of .*ens.*did you mean 'tau_rc'"):
        nengo_dl.Simulator(net, progress_bar=False)
    net, ens, conn = small()
    with net:
        nengo_dl.configure_settings(trainable_attributes=["tau_rc", "sigma"])
    with pytest.raises(ConfigError, match="'sigma', but no neuron type"):
        nengo_dl.Simulator(net, progress_bar=False)
    net, ens, conn = small()
    conn.synapse = 0
    net.config[conn].trainable_attributes = "tau"
    with pytest.raises(ConfigError, match="tau of .* is 0; training keeps it positive"):
        nengo_dl.Simulator(net, progress_bar=False)
    with net, pytest.raises(ConfigError, match="the name of an attribute, a list of names"):
        nengo_dl.configure_settings(trainable_attributes=3)
