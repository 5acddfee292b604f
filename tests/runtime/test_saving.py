"""Parameters and state in a file, by what they are."""

import os
import subprocess
import sys

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengo_dl
from nengo_dl import graph_optimizer
from nengo_dl.runtime.parameters import param_file
from nengo_dl.runtime.parameters.deployment import expected_shapes, load_params_into
from nengo_dl.runtime.parameters.object_names import object_names
from runtime.parameter_networks import N_STEPS, assert_equal, change_parameters, mixed, recorded


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A changed network's file and output."""
    path = tmp_path_factory.mktemp("saved") / "params"
    net = mixed()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change_parameters(sim)
        sim.save_params(path)
        sim.run_steps(N_STEPS)
        return path, [sim.data[probe] for probe in net.all_probes]


@pytest.fixture(scope="module")
def fresh():
    with nengo_dl.Simulator(mixed(), progress_bar=False) as sim:
        yield sim


def test_file_is_readable_without_pickle(saved):
    with np.load(f"{saved[0]}.npz", allow_pickle=False) as file:
        names = set(file.files)
        assert file["parameters/inner/a/scaled_encoders"].shape == (20, 2)
        assert file["parameters/stimulus to inner.b/weights"].shape == (1, 1)
        assert file["nengo_dl/format"] == 1
        assert file["nengo_dl/dtype"] == "float64"
    assert "parameters/picked/weights" not in names  # it has none
    network = mixed()
    named = object_names(network)
    expected = {f"parameters/{named[obj]}/{name}" for obj in named for name in expected_shapes(obj)}
    assert names == expected | {"nengo_dl/format", "nengo_dl/dtype"}


@pytest.mark.core
@pytest.mark.parametrize(
    "settings",
    [
        {"planner": graph_optimizer.noop_planner},
        {"planner": graph_optimizer.tree_planner},
        {"trainable": False, "simplifications": []},
    ],
    ids=["noop planner", "tree planner", "nothing trainable"],
)
def test_loads_under_other_settings(saved, settings):
    path, expected = saved
    net = mixed(**settings)
    untrained = recorded(nengo.Simulator, net)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.load_params(path)
        encoders = sim.data[net.ensembles[0]].scaled_encoders
        sim.run_steps(N_STEPS)
        assert_equal([sim.data[probe] for probe in net.all_probes], expected)
        with np.load(f"{path}.npz") as file:
            np.testing.assert_array_equal(encoders, file["parameters/ensemble/scaled_encoders"])
        sim.reset()
        sim.run_steps(N_STEPS)
        assert_equal([sim.data[probe] for probe in net.all_probes], untrained)


def test_what_the_compiler_used_up_cannot_be_loaded(tmp_path):
    def make(trainable):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(trainable=trainable)
            node, out = nengo.Node([1.0]), nengo.Node(size_in=1)
            nengo.Connection(node, out, transform=1, label="one")
            nengo.Probe(out)
        return net

    with nengo_dl.Simulator(make(True), progress_bar=False) as sim:
        sim.save_params(tmp_path / "same")
        change_parameters(sim)
        sim.save_params(tmp_path / "other")
    with nengo_dl.Simulator(make(False), progress_bar=False) as sim:
        sim.load_params(tmp_path / "same")
        with pytest.raises(ValidationError, match="weights of 'one'.*load_params_into"):
            sim.load_params(tmp_path / "other")


def test_loads_into_a_network(saved):
    path, expected = saved
    for seed in (0, None):
        net = mixed(seed)
        load_params_into(net, path)
        assert_equal(recorded(nengo.Simulator, net), expected)


# -- files that do not fit -------------------------------------------------------------------------


def small(n_neurons=5, label="a", extra=False, seed=0):
    with nengo.Network(seed=seed) as net:
        node = nengo.Node([0.5], label="input")
        ens = nengo.Ensemble(n_neurons, 1, label=label, seed=seed)
        nengo.Connection(node, ens.neurons, transform=np.ones((n_neurons, 1)))
        if extra:
            nengo.Connection(node, ens, transform=1, label="extra")
        nengo.Probe(ens)
    return net


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.npz"
    with nengo_dl.Simulator(small(), progress_bar=False) as sim:
        sim.save_params(path)
    return path


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_neurons": 6}, r"scaled_encoders of 'a' has shape \(5, 1\) in the file, expected \(6"),
        ({"label": "b"}, "the file has no scaled_encoders of 'b'.*the file has .* of 'a', which"),
        ({"extra": True}, "the file has no weights of 'extra'"),
        ({"seed": 1}, "gain of 'a' differs; give the network a seed"),
    ],
)
def test_other_network(small_file, changes, message):
    with nengo_dl.Simulator(small(**changes), progress_bar=False) as sim:
        with pytest.raises(ValidationError, match=message):
            sim.load_params(small_file)


def test_encoders_without_effect_need_not_agree(tmp_path):
    """Without a seed they never do, and an ensemble whose neurons alone are driven has no use for
    them.
    """

    def make():
        with nengo.Network() as net:
            node, rate = nengo.Node([0.5, 1.0]), nengo.RectifiedLinear()
            fixed = {"gain": np.ones(4), "bias": np.arange(4.0)}
            ens = nengo.Ensemble(4, 1, neuron_type=rate, **fixed)
            nengo.Connection(node, ens.neurons, transform=nengo_dl.dists.Glorot(), synapse=None)
            nengo.Probe(ens.neurons)
            nengo.Ensemble(3, 1)  # of which nobody hears
        return net

    results = []
    for first in (True, False):
        net = make()
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            (sim.save_params if first else sim.load_params)(tmp_path / "params")
            sim.run_steps(3)
            results.append(sim.data[net.probes[0]])
    np.testing.assert_array_equal(*results)


def test_numbers_that_keras_counts_on(tmp_path):
    """A program that makes its Keras model once more has layers of other names."""

    def make():
        x = y = keras.Input((3,))
        for units in (4, 4, 2):
            y = keras.layers.Dense(units, activation="relu")(y)
        return nengo_dl.Converter(keras.Model(x, y))

    results = []
    for first in (True, False):
        with nengo_dl.Simulator(make().net, progress_bar=False) as sim:
            (sim.save_params if first else sim.load_params)(tmp_path / "params")
            results.append(*sim.predict(np.ones((1, 1, 3))).values())
    np.testing.assert_array_equal(*results)


def test_other_network_without_a_simulator(small_file):
    net = small(n_neurons=6)
    with pytest.raises(ValidationError, match=r"scaled_encoders of 'a' has shape \(5, 1\)"):
        load_params_into(net, small_file)
    assert not isinstance(net.ensembles[0].encoders, np.ndarray)


def test_damaged_and_foreign_files_change_nothing(fresh, saved, tmp_path):
    before = fresh.data[fresh.model.toplevel.ensembles[0]]
    whole = (saved[0].with_name("params.npz")).read_bytes()
    middle = len(whole) // 2
    bad = {
        "truncated": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "empty": b"",
        "text": b"these are no parameters",
    }
    for name, content in bad.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(ValidationError, match=f"{name}.npz is damaged.*Nothing was changed"):
            fresh.load_params(tmp_path / name)
    np.savez(tmp_path / "foreign.npz", a=np.ones(3))
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.ones(3))
    with open(tmp_path / "objects.npz", "wb") as file:
        np.savez(file, a=np.array([{}], dtype=object))
    for name in ("foreign", "array"):
        with pytest.raises(ValidationError, match=f"{name}.npz was not written by"):
            fresh.load_params(tmp_path / name)
    with pytest.raises(ValidationError, match="objects.npz is damaged"):
        fresh.load_params(tmp_path / "objects")
    np.savez(tmp_path / "later.npz", **{"nengo_dl/format": 99, "nengo_dl/dtype": "float64"})
    with pytest.raises(ValidationError, match="format 99.*Upgrade"):
        fresh.load_params(tmp_path / "later")
    with pytest.raises(FileNotFoundError):
        fresh.load_params(tmp_path / "absent")
    after = fresh.data[fresh.model.toplevel.ensembles[0]]
    assert all(np.array_equal(x, y) for x, y in zip(before, after, strict=True))


def test_interrupted_save_loses_nothing(fresh, tmp_path, monkeypatch):
    path = tmp_path / "params.npz"
    fresh.save_params(path)
    before = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(param_file.np, "savez", fail)
    with pytest.raises(KeyboardInterrupt):
        fresh.save_params(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["params.npz"]


def test_closed_simulator(tmp_path):
    sim = nengo_dl.Simulator(small(), progress_bar=False)
    sim.close()
    with pytest.raises(SimulatorClosed):
        sim.save_params(tmp_path / "a")
    with pytest.raises(SimulatorClosed):
        sim.load_params(tmp_path / "a")


# -- Keras layers ----------------------------------------------------------------------------------


def with_layers():
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.5, 1], label="input")
        layer = nengo_dl.Layer(keras.layers.Dense(3, name="dense"))(node)
        model = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])
        layer = nengo_dl.Layer(model)(layer)
        nengo.Probe(layer)
    return net


def test_weights_of_keras_layers(tmp_path):
    path = tmp_path / "layers"
    net = with_layers()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for variable in (*sim._engine.lowered.weights, *sim._engine.lowered.carried):
            variable.assign(np.asarray(variable) + 0.25)
        sim.save_params(path)
        sim.run_steps(3)
        expected = [sim.data[probe] for probe in net.probes]
    other = with_layers()
    with nengo_dl.Simulator(other, progress_bar=False) as sim:
        sim.load_params(path)
        sim.run_steps(3)
        assert_equal([sim.data[probe] for probe in other.probes], expected, atol=1e-7)
    third = with_layers()
    load_params_into(third, path)
    assert_equal(recorded(nengo_dl.Simulator, third, 3), expected, atol=1e-7)


# -- state -----------------------------------------------------------------------------------------


def stateful_network(seed=0, **settings):
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        noise = nengo.Node(nengo.processes.WhiteNoise(), size_out=1)
        signal = nengo.Node(nengo.processes.WhiteSignal(0.05, 30), size_out=1)
        a = nengo.Ensemble(10, 1, noise=nengo.processes.FilteredNoise())
        b = nengo.Ensemble(10, 1, neuron_type=nengo.AdaptiveLIF())
        poisson = nengo.Ensemble(6, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        chance = nengo.Ensemble(6, 1, neuron_type=nengo.StochasticSpiking(nengo.LIFRate()))
        nengo.Connection(noise, a)
        nengo.Connection(signal, a, synapse=nengo.Alpha(0.01))
        conn = nengo.Connection(a, b, learning_rule_type=nengo.PES())
        nengo.Connection(signal, conn.learning_rule)
        for ens in (poisson, chance):
            nengo.Connection(a, ens)
            nengo.Probe(ens.neurons)
        nengo.Probe(b, synapse=0.01)
        nengo.Probe(conn, "weights")
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_state_goes_on_bit_by_bit(tmp_path, minibatch_size):
    path, n = tmp_path / "state", 25
    options = {"minibatch_size": minibatch_size, "progress_bar": False}
    net = stateful_network()
    with nengo_dl.Simulator(net, seed=7, **options) as sim:
        sim.run_steps(n)
        sim.save_params(path, include_state=True)
        sim.clear_probes()
        sim.run_steps(n)
        expected = [sim.data[probe] for probe in net.probes]
    other = stateful_network(planner=graph_optimizer.noop_planner)
    for simulated in (stateful_network(), other):
        with nengo_dl.Simulator(simulated, seed=1, **options) as sim:
            sim.run_steps(4)
            sim.clear_probes()
            sim.load_params(path, include_state=True)
            assert sim.n_steps == n and sim.seed == 7
            sim.run_steps(n)
            atol = 0 if simulated is not other else 1e-12
            assert_equal([sim.data[probe] for probe in simulated.probes], expected, atol)
            sim.load_params(path)  # parameters only
            assert sim.n_steps == 2 * n


def test_state_that_does_not_fit(tmp_path):
    net = stateful_network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(2)
        sim.save_params(tmp_path / "state", include_state=True)
        sim.save_params(tmp_path / "none")
        with pytest.raises(ValidationError, match="saved without the state"):
            sim.load_params(tmp_path / "none", include_state=True)
        assert sim.n_steps == 2
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match=r"state .* has shape \(1, .*expected \(2, "):
            sim.load_params(tmp_path / "state", include_state=True)
        sim.load_params(tmp_path / "state")  # learned weights go to all items
        assert sim.data[net.connections[2]].weights.shape == (2, 1, 10)


# -- without a backend -----------------------------------------------------------------------------


def test_loading_into_a_network_needs_no_backend(small_file):
    code = f"""
import sys, importlib.util, types
for name in ("keras", "tensorflow", "jax", "torch"):
    sys.modules[name] = None
package = importlib.util.find_spec("nengo_dl").submodule_search_locations
module = types.ModuleType("nengo_dl")
module.__path__ = list(package)
sys.modules["nengo_dl"] = module
import nengo
from nengo_dl.runtime.parameters.deployment import load_params_into
with nengo.Network() as net:
    node = nengo.Node([0.5], label="input")
    ens = nengo.Ensemble(5, 1, label="a")
    nengo.Connection(node, ens.neurons, transform=[[1]] * 5)
    nengo.Probe(ens)
load_params_into(net, {str(small_file)!r})
print(ens.encoders.shape)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=os.getcwd()
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "(5, 1)"
