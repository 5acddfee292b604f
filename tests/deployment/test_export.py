"""Networks as files of other programs."""

import sys

import keras
import nengo
import numpy as np
import pytest
from click.testing import CliRunner
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.cli import main
from runtime.parameter_networks import change_parameters

N_STEPS = 20
X = np.random.RandomState(0).uniform(-1, 1, (2, N_STEPS, 2))


def make_network(**settings):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        net.stimulus = nengo.Node(lambda t: [np.sin(t), 1], label="stimulus")
        offset = nengo.Node([0.5], label="offset")
        ens = nengo.Ensemble(30, 2, label="ens", neuron_type=nengo.LIF(tau_rc=0.01))
        nengo.Connection(net.stimulus, ens, synapse=None)
        nengo.Connection(offset, ens[0], synapse=None)
        nengo.Connection(ens, ens[1], function=lambda x: x[0], synapse=0.02)
        net.probe = nengo.Probe(ens, synapse=0.01, label="decoded")
        net.spikes = nengo.Probe(ens.neurons, label="spikes")
    return net


def served(path, inputs):
    """What TensorFlow gives, which knows nothing of Nengo."""
    tf = pytest.importorskip("tensorflow")
    model = tf.saved_model.load(path)  # owns the variables
    result = model.serve(
        {name: tf.constant(value, dtype="float32") for name, value in inputs.items()}
    )
    return {name: np.asarray(value) for name, value in result.items()}


@pytest.mark.core
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_saved_model(tmp_path):
    """Its trained parameters, from its initial state each time."""
    pytest.importorskip("tensorflow")
    net, path = make_network(), str(tmp_path / "model")
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        change_parameters(sim)
        expected = sim.predict({net.stimulus: X})
        sim.run_steps(7)
        sim.export(path, N_STEPS, inputs=[net.stimulus])
    for _ in range(2):
        result = served(path, {"stimulus": X})
        assert sorted(result) == ["decoded", "spikes"]
        np.testing.assert_array_equal(result["spikes"] > 0, expected[net.spikes] > 0)
        np.testing.assert_allclose(result["decoded"], expected[net.probe], atol=1e-5)
    assert np.sum(result["spikes"]) > 0


#: backend -> what writes ONNX
WRITERS = {"tensorflow": "tf2onnx", "jax": "jax2onnx"}


@pytest.mark.core
def test_a_missing_package_is_named(tmp_path, monkeypatch):
    backend = keras.backend.backend()
    missing = {"onnx": WRITERS[backend]}
    if backend == "jax":
        missing["saved_model"] = "tensorflow"
    monkeypatch.delitem(sys.modules, "nengo_dl.runtime.backends.jax_onnx", raising=False)
    with nengo_dl.Simulator(make_network(), minibatch_size=2, progress_bar=False) as sim:
        for format, package in missing.items():
            monkeypatch.setitem(sys.modules, package, None)
            with pytest.raises(ImportError, match=f"{package} is not installed; run `pip install"):
                sim.export(tmp_path / "model", N_STEPS, format=format)


@pytest.mark.filterwarnings("ignore")
def test_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip(WRITERS[keras.backend.backend()])
    net, path = make_network(), str(tmp_path / "model.onnx")
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        expected = sim.predict({net.stimulus: X})
        sim.export(path, N_STEPS, format="onnx")
    session = runtime.InferenceSession(path)
    inputs = {"stimulus": X, "offset": np.full((2, N_STEPS, 1), 0.5)}
    values = session.run(None, {name: x.astype(np.float32) for name, x in inputs.items()})
    result = dict(zip([output.name for output in session.get_outputs()], values, strict=True))
    np.testing.assert_array_equal(result["spikes"] > 0, expected[net.spikes] > 0)
    np.testing.assert_allclose(result["decoded"], expected[net.probe], atol=1e-5)


def test_what_a_file_cannot_hold(tmp_path):
    def export(net, **kwargs):
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            sim.export(tmp_path / "model", **{"n_steps": 3, **kwargs})

    net = make_network()
    with pytest.raises(ValidationError, match="'stimulus' is a process or function"):
        export(net, inputs=["offset"])
    with pytest.raises(ValidationError, match="nothing is not a Node without input.*stimulus"):
        export(net, inputs=["nothing"])
    with pytest.raises(ValidationError, match="saved_model, onnx, got 'pickle'"):
        export(net, format="pickle")
    with pytest.raises(ValidationError, match="n_steps"):
        export(net, n_steps=0)
    with pytest.raises(ValidationError, match="ONNX files that Keras writes are float32"):
        export(make_network(dtype="float64"), format="onnx")
    with net:
        nengo.Connection(net.stimulus, nengo.Node(lambda t, x: None, size_in=2, label="python"))
    with pytest.raises(ValidationError, match="runs Python code in each step"):
        export(net)
    net = make_network()
    net.ensembles[0].noise = nengo.processes.WhiteNoise()
    with pytest.raises(ValidationError, match="is noise, whose values Python computes"):
        export(net)


CODE = """
import nengo
import numpy as np

def make():
    start = {"voltage": nengo.dists.Choice([0])}
    neurons = nengo.LIF(tau_ref=0, min_voltage=-np.inf, initial_state=start)
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node([0.5], label="stimulus")
        ens = nengo.Ensemble(20, 1, neuron_type=neurons, label="ens")
        nengo.Connection(stimulus, ens, synapse=None)
        nengo.Probe(ens, synapse=0.01, label="decoded")
        nengo.Probe(ens.neurons, label="spikes")
    return net

number = 3
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "network_of_test_export.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return "network_of_test_export"


def command(*arguments):
    return CliRunner().invoke(main, ["export", *(str(a) for a in arguments)])


def test_command_nir(code, tmp_path):
    nir = pytest.importorskip("nir")
    names = {}
    exec(CODE, names)
    net = names["make"]()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change_parameters(sim)
        expected = sim.data[net.ensembles[0]].bias
        sim.save_params(tmp_path / "trained")
    result = command(
        f"{code}:make", "net.nir", "--params", "trained.npz", "--probe", "spikes", "--dt", "0.002"
    )
    assert result.exit_code == 0, result.output
    graph = nir.read(tmp_path / "net.nir")
    assert list(graph.outputs) == ["spikes"]
    assert graph.metadata["nengo_dl"]["dt"] == 0.002
    (affine,) = [node for node in graph.nodes.values() if isinstance(node, nir.Affine)]
    np.testing.assert_allclose(affine.bias, expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_command_saved_model(code, tmp_path):
    result = command(f"{code}:make", "served", "--steps", 5, "--minibatch", 2)
    assert result.exit_code == 0, result.output
    outputs = served(str(tmp_path / "served"), {"stimulus": np.ones((2, 5, 1))})
    assert outputs["spikes"].shape == (2, 5, 20)


def test_command_errors(code):
    assert "--steps is needed" in command(f"{code}:make", "served").output
    assert "expected package.module:name" in command(code, "net.nir").output
    assert "no attribute 'other'" in command(f"{code}:other", "net.nir").output
    pytest.importorskip("nir")
    result = command(f"{code}:make", "net.nir", "--probe", "wrong")
    assert "no Probe has the label 'wrong'; there are decoded, spikes" in result.output
