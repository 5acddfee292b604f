"""What is set for the whole process: options of XLA, Keras's floatx."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nengo_dl import process_settings

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
            "jax.config.update",
            "jax.enable_x64",
            "jax.experimental.enable_x64",
            "mallopt",
        ]
    }
