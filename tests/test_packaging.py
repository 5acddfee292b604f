"""The installed distribution."""

import ast
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nengo_dl
from nengo_dl import distribution

DISTRIBUTION = "nengo-dl4"


def test_version_is_the_distributions():
    assert nengo_dl.__version__ == importlib.metadata.version(DISTRIBUTION)


def test_version_to_cite_is_the_distributions():
    citation = Path(__file__).parents[1] / "CITATION.cff"
    assert f"\nversion: {nengo_dl.__version__}\n" in citation.read_text()


def test_nengo_finds_the_backend():
    (backend,) = importlib.metadata.entry_points(group="nengo.backends", name="dl")
    assert backend.load() is nengo_dl.Simulator


def test_console_script():
    from nengo_dl.__main__ import main

    (script,) = importlib.metadata.entry_points(group="console_scripts", name="nengo-dl")
    assert script.load() is main


def test_everything_public_exists():
    for name in nengo_dl.__all__:
        assert hasattr(nengo_dl, name)


def test_type_checkers_see_what_is_loaded_later():
    """What ``__getattr__`` gives is imported where type checkers look."""
    package = Path(nengo_dl.__file__).parent
    assert (package / "py.typed").exists()
    tree = ast.parse((package / "__init__.py").read_text())
    names = {
        alias.asname or alias.name
        for top in tree.body
        if not isinstance(top, ast.If) or ast.unparse(top.test) == "TYPE_CHECKING"
        for node in ast.walk(top)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(nengo_dl.__all__) <= names
    assert set(nengo_dl._PUBLIC) <= set(nengo_dl.__all__)


def test_editors_complete_public_names():
    jedi = pytest.importorskip("jedi")
    project = jedi.Project(".", added_sys_path=[str(Path(nengo_dl.__file__).parents[1])])

    def offered(code, line):
        script = jedi.Script(code, path="user.py", project=project)
        return {completion.name for completion in script.complete(line)}

    names = offered("import nengo_dl\nnengo_dl.", 2)
    assert set(nengo_dl.__all__) <= names
    methods = {name for name in dir(nengo_dl.Simulator) if not name.startswith("_")}
    assert methods <= offered("import nengo_dl\nwith nengo_dl.Simulator(None) as sim:\n    sim.", 3)


@pytest.mark.slow
def test_type_checkers_find_wrong_calls(tmp_path):
    pytest.importorskip("mypy")
    lines = {
        "import nengo_dl": "",
        "sim = nengo_dl.Simulator(None, minibatch_size='eight')": "arg-type",
        "sim.no_such_method()": "attr-defined",
        "nengo_dl.Converter(None, allow_fallbacks=True)": "call-arg",
        "nengo_dl.TensorNode(abs, shape_inn=(2,))": "call-arg",
        "nengo_dl.losses.no_such_loss": "attr-defined",
    }
    program = tmp_path / "user.py"
    program.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports"]
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    environment = {**os.environ, "MYPYPATH": str(Path(nengo_dl.__file__).parents[1])}
    found = subprocess.run([*command, str(program)], env=environment, **options).stdout
    for number, (line, code) in enumerate(lines.items(), 1):
        said = [text for text in found.splitlines() if f"user.py:{number}:" in text]
        assert bool(said) == bool(code), (line, found)
        assert not code or f"[{code}]" in said[0]


def test_python_m_is_the_command_line():
    done = python("-m", "nengo_dl", "convert", "--help")
    assert done.returncode == 0 and "Usage: nengo-dl convert" in done.stdout


WITHOUT_PICTURES = """
import sys
for name in ("click", "matplotlib", "sklearn"):
    sys.modules[name] = None  # as if not installed
import nengo, nengo_dl, numpy as np
for name in nengo_dl.__all__:
    getattr(nengo_dl, name)
with nengo.Network(seed=0) as net:
    a, e = nengo.Node([0.0]), nengo.Ensemble(5, 1)
    nengo.Connection(a, e, synapse=None)
    p = nengo.Probe(e)
with nengo_dl.Simulator(net) as sim:
    sim.run_steps(3)
    sim.compile("sgd", "mse")
    sim.fit(np.ones((1, 2, 1)), np.ones((1, 2, 1)), verbose=0)
repr(sim), sim._repr_html_()
try:
    nengo_dl.viz.decoded(sim, p)
except ImportError as error:
    print(error)
from nengo_dl.__main__ import main
main()
"""


def test_pictures_and_commands_are_optional():
    """Neither to simulate and train, nor to install, is more needed than Keras and a backend."""
    required = [
        line for line in importlib.metadata.requires(DISTRIBUTION) if "extra ==" not in line
    ]
    assert {line.split(">")[0] for line in required} == {"keras", "nengo", "numpy", "scipy"}
    done = python("-c", WITHOUT_PICTURES)
    assert 'matplotlib is not installed; run `pip install "matplotlib>=3.7"`' in done.stdout
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith('Error: click is not installed; run `pip install "click>=8.1"`')


def test_how_to_install_an_extra_that_pip_does_not_know(monkeypatch):
    monkeypatch.setattr(distribution, "NAME", "no-such-distribution")
    assert distribution.how_to_install("nir").startswith('run `pip install ".[nir]"` in a clone')


def install_nengo_dl_3(folder):
    """What pip leaves of another distribution that has a package of the same name."""
    there = folder / "nengo_dl-3.6.0.dist-info"
    there.mkdir()
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: nengo-dl\nVersion: 3.6.0\n")


def test_nengo_dl_3_in_another_folder_is_told(tmp_path, monkeypatch):
    install_nengo_dl_3(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match="NengoDL 3.6.0.*pip uninstall nengo-dl` leaves one"):
        distribution.check_for_the_other()


def test_nengo_dl_3_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / "nengo_dl").symlink_to(Path(nengo_dl.__file__).parent)
    install_nengo_dl_3(tmp_path)
    done = python("-c", "import nengo_dl", PYTHONPATH=str(tmp_path))
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ImportError: NengoDL 3.6.0")
    assert "are mixed in" in last and "`pip uninstall nengo-dl`" in last


SMALLEST = """
import nengo_dl.layers
import nengo, nengo_dl
with nengo.Network(seed=0) as net:
    nengo.Probe(nengo.Ensemble(10, 1))
with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run(0.01)
"""


@pytest.mark.core
def test_the_smallest_script_writes_nothing(tmp_path):
    # the cache of decoders may hold another NumPy's, and another process may hold the cache
    (tmp_path / "nengorc").write_text("[decoder_cache]\nenabled = False\n")
    done = python("-c", SMALLEST, TF_CPP_MIN_LOG_LEVEL=None, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_scripts_install_what_they_need():
    scripts = Path(__file__).parents[1] / "scripts"
    extras = {name: (scripts / name).read_text() for name in ("demo", "test")}
    assert "scripts/install demo" in extras["demo"] and "scripts/install test" in extras["test"]
    required = importlib.metadata.requires(DISTRIBUTION)
    needed = {line.split(">")[0] for line in required if "'test'" in line.replace('"', "'")}
    assert {"matplotlib", "scikit-learn", "pytest"} <= needed


HIDDEN = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):  # as if the package were not installed
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.split(".")[0] == "{hidden}"
        return None if hidden else PathFinder.find_spec(name, path, target)
sys.meta_path[:] = [Finder if f is PathFinder else f for f in sys.meta_path]
"""


def skip_without(package):
    """Without importing it."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch", "none_such"])
def test_a_missing_backend_is_told_in_a_sentence(backend):
    other = "jax" if backend == "tensorflow" else "tensorflow"
    skip_without(other)
    hidden = HIDDEN.format(hidden=backend)
    done = python("-c", hidden + "import nengo_dl\nnengo_dl.Simulator", KERAS_BACKEND=backend)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("ImportError: Keras is set to use the backend")
    assert backend in last and f"set the environment variable KERAS_BACKEND={other}" in last
    assert "(installed " in last and other in last.partition("(installed ")[2].partition(")")[0]
    info = "from nengo_dl.cli import main\nmain(['info'])"
    done = python("-c", hidden + info, KERAS_BACKEND=backend)
    assert done.returncode == 0 and f"KERAS_BACKEND={other}" in done.stdout


def test_jax_is_used_where_tensorflow_is_not_installed(tmp_path):
    skip_without("jax")
    code = (
        HIDDEN.format(hidden="tensorflow") + "import nengo_dl.keras_backend as b\nprint(b.name())"
    )
    settings = {"KERAS_BACKEND": None, "KERAS_HOME": str(tmp_path)}
    assert python("-c", code, **settings).stdout == "jax\n"
    assert python("-c", code, NENGO_DL_CHOOSE_BACKEND="0", **settings).stdout == "tensorflow\n"
    assert python("-c", code, **settings | {"KERAS_BACKEND": "torch"}).stdout == "torch\n"


def test_the_backend_is_known_before_keras_is_loaded(tmp_path):
    code = "from nengo_dl import keras_backend; print(keras_backend.name())"
    home = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": None}
    assert python("-c", code, **home).stdout == "tensorflow\n"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert python("-c", code, **home).stdout == "jax\n"
    (tmp_path / "keras.json").write_text("[")
    assert python("-c", code, **home).stdout == "tensorflow\n"


def python(*arguments, cwd=None, **environment):
    changed = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={name: value for name, value in changed.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
