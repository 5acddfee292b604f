"""What is set for the whole process: options of XLA, Keras's floatx."""

import subprocess
import sys

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
