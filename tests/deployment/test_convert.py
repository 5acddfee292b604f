"""``nengo-dl convert``."""

import ast
import importlib
import runpy
import shutil

import keras
import nengo
import numpy as np
import pytest
from click.testing import CliRunner

import nengo_dl
from nengo_dl.cli import main
from nengo_dl.convert_command import NEURONS

layers = keras.layers


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small classifier, and the file that holds it."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="dense"),
        ],
        name="classifier",
    )
    path = tmp_path_factory.mktemp("model") / "classifier.keras"
    model.save(path)
    return model, path


def run(*arguments):
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


@pytest.mark.core
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_script_makes_the_network(saved, tmp_path, capsys):
    model, path = saved
    script, params = tmp_path / "network.py", tmp_path / "network.npz"
    result = run(
        path, "--swap", "relu=spiking_relu", "--scale-firing-rates", 1000, "--synapse", 0.01,
        "--inference-only", "--verify", "-o", script, "-o", params,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1][:2] == ["conv", "Conv2D"] and "SpikingRectifiedLinear" in lines[1][-1]
    assert "3 of 3 layers are Nengo objects" in result.output
    assert "verified" in result.output
    made = runpy.run_path(str(script), run_name="__main__")
    assert "dense" in capsys.readouterr().out
    converted = made["converted"]
    assert isinstance(made["make_network"](), nengo.Network)
    x = np.random.RandomState(0).uniform(size=(2, 4, 4, 1)).astype("float32")
    (node,), (probe,) = converted.inputs.values(), converted.outputs.values()
    with nengo_dl.Simulator(converted.net, minibatch_size=2, progress_bar=False) as sim:
        sim.load_params(params)
        output = sim.predict({node: x.reshape(2, 1, -1).repeat(200, axis=1)})[probe]
    spiking = [e for e in converted.net.all_ensembles if e.neuron_type.spiking]
    assert [e.n_neurons for e in spiking] == [8]
    mean = output[:, 100:].mean(axis=1)  # of spikes
    np.testing.assert_allclose(mean, model.predict(x, verbose=0), atol=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_spikes_in_few_steps(saved, tmp_path, capsys):
    model, path = saved
    script, samples = tmp_path / "network.py", tmp_path / "samples's.npy"
    x = np.random.RandomState(0).uniform(size=(20, 4, 4, 1)).astype("float32")
    np.save(samples, x)
    result = run(path, "--samples", samples, "--steps", 30, "-o", script)
    assert result.exit_code == 0, result.output
    assert "IntegratedSpiking" in result.output
    made = runpy.run_path(str(script), run_name="__main__")
    assert "dense" in capsys.readouterr().out
    (node,), (probe,) = made["converted"].inputs.values(), made["converted"].outputs.values()
    with nengo_dl.Simulator(made["converted"].net, progress_bar=False) as sim:
        output = sim.predict({node: x.reshape(20, 1, -1).repeat(30, axis=1)})[probe]
    np.testing.assert_allclose(output[:, -1], model.predict(x, verbose=0), atol=0.05)


@pytest.mark.parametrize(
    "name",
    [
        'x"""+str(open("ran", "w"))+"""y',
        "back\\slash\\N",
        "quote's",
        "two\nlines\nimport os",
        "{braces}",
        "\x1b[31mred",
        "caf\xe9 \udcff",
    ],
)
def test_names_of_files_are_data(name, saved, tmp_path):
    path, script = tmp_path / f"{name}.keras", tmp_path / f"{name}.py"
    shutil.copy(saved[1], path)
    result = run(path, "--swap", "relu=lif", "-o", script)
    assert result.exit_code == 0, result.output
    text = result.output.replace("\n", "")
    assert text.isprintable() and "3 of 3 layers are Nengo objects" in text
    tree = ast.parse(script.read_bytes())
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert str(path.resolve()) in found
    plain = tmp_path / "plain.py"
    run(saved[1], "--swap", "relu=lif", "-o", plain)
    expected = ast.dump(ast.parse(plain.read_bytes()))
    assert ast.dump(tree) == expected.replace(repr(str(saved[1].resolve())), repr(str(path)))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_names_of_layers_do_not_control_the_terminal(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a\x1b[2Jb\nc")]).save(path)
    result = run(path)
    assert result.exit_code == 0 and "a\\x1b[2Jb\\nc  Dense" in result.output


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_layers_that_nengo_has_not(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="a"), layers.UnitNormalization(name="b")]
    )
    path = tmp_path / "normalized.keras"
    model.save(path)
    result = run(path)
    assert result.exit_code == 0
    assert "TensorNode: there is no equivalent of UnitNormalization" in result.output
    assert "1 of 2 layers are Nengo objects; the network runs in nengo_dl.Simulator only" in (
        result.output
    )
    result = run(path, "--no-fallback")
    assert result.exit_code == 1
    assert "layer 'b' (UnitNormalization) cannot be converted" in result.output


def test_code_in_a_file_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    path = tmp_path / "code.keras"
    code = layers.Lambda(lambda x, path=str(ran): x + (open(path, "w").close() or 0))
    keras.Sequential([keras.Input((3,)), code]).save(path)
    ran.unlink()
    result = run(path)
    assert result.exit_code == 2 and not ran.exists()
    assert "cannot load" in result.output and "Lambda" in result.output


def test_wrong_use_is_one_sentence(saved, tmp_path):
    _, path = saved
    other = tmp_path / "model.h5"
    other.write_bytes(b"")
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"no model")
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([{}]), allow_pickle=True)
    cases = [
        ([tmp_path / "none.keras"], "does not exist"),
        ([other], "does not end in .keras; save the model with model.save"),
        ([damaged], "Keras cannot load"),
        ([path, "--swap", "relu"], "write ACTIVATION=NEURONS with one of relu, spiking_relu"),
        ([path, "--swap", "relu=fast"], "'relu=fast' names no neuron type"),
        ([path, "--swap", "tanh=lif"], "no layer has the activation tanh; the model's are relu"),
        ([path, "--swap", "nothing=lif"], "the key 'nothing' is not an activation"),
        ([path, "-o", tmp_path / "a.txt"], "ends in '.txt'; expected .py, .npz, .nir"),
        ([path, "--synapse", "-1"], "--synapse"),
        ([path, "--steps", 5], "--samples and --steps go together"),
        ([path, "--steps", 5, "--samples", pickled], "not an array of numbers that numpy.save"),
        ([path, "--steps", 5, "--samples", damaged], "not an array of numbers that numpy.save"),
    ]
    for arguments, message in cases:
        result = run(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert message in " ".join(result.output.split()), result.output
        assert "Traceback" not in result.output


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nir(tmp_path):
    nir = pytest.importorskip("nir")
    path, output = tmp_path / "dense.keras", tmp_path / "dense.nir"
    keras.Sequential([keras.Input((3,)), layers.Dense(4, use_bias=False)]).save(path)
    result = run(path, "-o", output)
    assert result.exit_code == 0, result.output
    assert any(isinstance(node, nir.Linear) for node in nir.read(output).nodes.values())
    keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="softplus")]).save(path)
    result = run(path, "-o", output)
    assert result.exit_code == 1 and f"{output} cannot be written" in result.output


def test_help_shows_an_example_of_each_command():
    for name in ("", *main.commands):
        result = CliRunner().invoke(main, [*([name] if name else []), "--help"])
        text = " ".join(result.output.split())
        assert result.exit_code == 0
        assert "For example:" in text and "nengo-dl " + name in text.partition("For example:")[2]


@pytest.mark.parametrize("name", NEURONS)
def test_neuron_types_can_be_made(name):
    module, cls = NEURONS[name]
    assert isinstance(getattr(importlib.import_module(module), cls)(), nengo.neurons.NeuronType)
