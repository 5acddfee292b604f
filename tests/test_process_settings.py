"""What is set for the whole process: options of XLA, Keras's floatx."""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import keras
import pytest

from nengo_dl import compilation_cache, process_settings

RUN = """
import nengo, nengo_dl
with nengo.Network() as net:
    ensemble = nengo.Ensemble(200, 2)
    nengo.Connection(ensemble, ensemble)
    nengo.Probe(ensemble)
with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(3)
"""
#: what XLA does by default
DEFAULT = f"{process_settings.FLAG}=xla_cpu_small_while_loop_byte_threshold=1024"


def test_added_to_other_flags():
    environment = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=false"}
    process_settings.set_xla_flags(environment)
    first, second = environment["XLA_FLAGS"].split()
    assert first == "--xla_cpu_enable_fast_math=false"
    assert second.startswith("--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=")
    process_settings.set_xla_flags(environment)
    assert environment["XLA_FLAGS"].split() == [first, second]


def test_own_options_are_left_alone():
    environment = {"XLA_FLAGS": "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion=false"}
    before = dict(environment)
    process_settings.set_xla_flags(environment)
    assert environment == before


@pytest.mark.core
def test_small_loops_become_one_function(tmp_path, monkeypatch):
    """The compiler's own account of what it made: one function for the loop, not one for each
    operation in it.
    """
    counts = {}
    for name, flags in {"ours": "", "default": DEFAULT}.items():
        folder = tmp_path / name
        monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={folder} {flags}".strip())
        subprocess.run([sys.executable, "-c", RUN], check=True)
        counts[name] = len(list(folder.glob("*.o")))
    assert counts["ours"] < counts["default"]


#: calls that set something for the whole process
SETTERS = re.compile(
    r"""(\w+\.)*config\.(set_\w+|enable_\w+|disable_\w+|update|experimental\.\w+)
    | jax\.(experimental\.)?enable_x64 | (\w+\.)*set_(floatx|global_policy|printoptions)
    | gc\.(disable|enable|freeze|set_\w+) | (\w+\.)*mallopt
    | os\.(putenv|unsetenv|environ\.(update|setdefault|pop|clear))
    | (\w+\.)*(setLevel|basicConfig|disable_existing_loggers) | np\.(seterr|set_printoptions)
    | warnings\.(simplefilter|filterwarnings|resetwarnings) | sys\.set\w+""",
    re.VERBOSE,
)


def setters(path):
    """What a module sets for the whole process and, of warnings, does not put back itself."""
    tree = ast.parse(path.read_text())
    put_back = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any("catch_warnings" in ast.unparse(i) for i in node.items)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and id(node) not in put_back:
            if SETTERS.fullmatch(ast.unparse(node.func)):
                yield ast.unparse(node.func)
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if ast.unparse(node.value) in ("os.environ", "environment"):
                yield ast.unparse(node.value)


def test_nothing_is_set_elsewhere():
    """But in the benchmarks, whose processes are their own."""
    package = Path(process_settings.__file__).parent
    paths = [p for p in package.rglob("*.py") if "benchmarks" not in p.parts]
    found = {str(p.relative_to(package)): sorted(set(setters(p))) for p in paths}
    assert {path: names for path, names in found.items() if names} == {
        "process_settings.py": [
            "config.set_floatx",
            "environment",
            "gc.disable",
            "gc.enable",
            "gc.freeze",
            "jax.config.update",
            "jax.enable_x64",
            "jax.experimental.enable_x64",
            "mallopt",
        ]
    }


COUNTED = """
import collections
import jax.monitoring
counts = collections.Counter()
jax.monitoring.register_event_listener(lambda event, **_: counts.update([event.split("/")[-1]]))
"""
SHOWN = """
print(counts["cache_misses"], counts["cache_hits"])
"""


#: what a program may have computed with JAX before it simulates
EARLIER = """
import keras, nengo_dl
keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
"""


@pytest.mark.core
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a folder of JAX")
@pytest.mark.parametrize("earlier", ["", EARLIER])
def test_the_second_process_compiles_nothing(earlier, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NENGO_DL_COMPILATION_CACHE")
    counts = []
    for _ in range(2):
        program = [sys.executable, "-c", earlier + COUNTED + RUN + SHOWN]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        assert done.stderr == ""
        counts.append([int(n) for n in done.stdout.split()])
    (missed, found), second = counts
    assert missed > 0
    assert found == 0
    assert second == [0, missed]


def test_random_numbers_go_on():
    """... where Keras and JAX are loaded after a program has seeded them: with a second simulator,
    for which nothing is loaded, all is the same.
    """
    program = """
import random
import nengo, nengo_dl, numpy as np
def simulated():
    random.seed(0)
    np.random.seed(0)
    with nengo.Network() as net:
        ensemble = nengo.Ensemble(5, 1)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
        return random.random(), np.random.random(), sim.data[ensemble].gain.tolist()
assert simulated() == simulated()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


DISPATCH = "jax_cpu_enable_async_dispatch"


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a setting of JAX")
@pytest.mark.parametrize("first", ["import nengo_dl, keras", "import keras, jax, nengo_dl"])
def test_jax_computes_in_the_calling_thread(first):
    """... from the first computation on, and whoever loads it."""
    program = f"{first}, jax; print(jax.config.read({DISPATCH!r}))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.strip() == b"False"


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras uses JAX")
def test_jax_is_left_alone_where_keras_uses_another():
    pytest.importorskip("jax")
    program = f"import nengo_dl, jax; print(jax.config.read({DISPATCH!r}))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.strip() == b"True"


class Config:
    """That of JAX."""

    def __init__(self, folder=None):
        self.jax_compilation_cache_dir = folder
        self.jax_persistent_cache_min_compile_time_secs = 1.0

    def update(self, name, value):
        setattr(self, name, value)


class Jax:
    def __init__(self, folder=None):
        self.config, self.lib = Config(folder), types.SimpleNamespace(__version__="1.2")


def test_folder_of_compiled_code(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation_cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("NENGO_DL_COMPILATION_CACHE", "0")
    assert process_settings.keep_compiled(Jax()) is None
    monkeypatch.delenv("NENGO_DL_COMPILATION_CACHE")
    own = Jax("/mine")
    assert process_settings.keep_compiled(own) is None
    assert own.config.jax_compilation_cache_dir == "/mine"
    jax = Jax()
    folder = process_settings.keep_compiled(jax)
    assert folder.parent == tmp_path
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0
    # another processor
    monkeypatch.setattr(compilation_cache.platform, "machine", lambda: "another")
    assert process_settings.keep_compiled(Jax()) != folder
    # where it cannot be
    (tmp_path / "file").touch()
    monkeypatch.setattr(compilation_cache, "cache_folder", lambda: tmp_path / "file")
    assert process_settings.keep_compiled(Jax()) is None


def test_what_was_not_used_goes_first(tmp_path):
    for k in range(10):
        path = tmp_path / str(k)
        path.write_bytes(bytes(100))
        os.utime(path, (k, k))
    compilation_cache.shrink(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    compilation_cache.shrink(tmp_path, 999)
    assert sorted(path.name for path in tmp_path.iterdir()) == list("6789")
