"""The command line and the jobs behind it."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import nengo_dl
from nengo_dl import demo
from nengo_dl.benchmarks import measure
from nengo_dl.cli import described, main
from nengo_dl.demo.simulate import Recording, agreement

PNG = b"\x89PNG\r\n\x1a\n"


def run(*arguments):
    return CliRunner().invoke(main, arguments)


def test_help_names_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    assert all(name in result.output for name in ("benchmark", "demo", "info"))


def test_version():
    assert nengo_dl.__version__ in run("--version").output


def test_info_shows_versions_and_devices():
    result = run("info")
    assert result.exit_code == 0
    rows = dict(line.split(None, 1) for line in result.output.splitlines())
    assert rows["nengo_dl"].startswith(f"{nengo_dl.__version__} in ")
    assert rows["keras"] == keras.__version__
    assert rows["backend"] == keras.backend.backend()
    assert rows["devices"]
    assert rows[keras.backend.backend()] and rows["[cli]"] == "installed"


@pytest.mark.parametrize(
    "statistics, text",
    [
        ({"bytes_limit": 105 * 2**30}, "gpu:1 (NVIDIA H200, 105.0 GB)"),
        (None, "gpu:1 (NVIDIA H200)"),
    ],
)
def test_info_shows_the_model_and_the_memory_of_a_gpu(statistics, text):
    device = SimpleNamespace(
        platform="gpu", id=1, device_kind="NVIDIA H200", memory_stats=lambda: statistics
    )
    assert described(device) == text
    assert described(SimpleNamespace(platform="cpu", id=0)) == "cpu:0"


@pytest.mark.core
def test_demo_agrees_with_nengo_and_saves_a_picture(tmp_path):
    path = tmp_path / "picture.png"
    result = run("demo", "--seconds", "0.1", "--minibatch", "2", "--output", str(path))
    assert result.exit_code == 0, result.output
    assert "2 oscillators" in result.output
    assert "times nengo.Simulator" in result.output
    assert path.read_bytes().startswith(PNG)


def test_demo_fails_where_the_simulations_differ(tmp_path, monkeypatch):
    different = demo.run(seconds=0.01, repeats=1)
    different.reference.position[...] += 1e-3
    report = replace(different, float64=agreement(different.ours, different.reference))
    monkeypatch.setattr(demo, "run", lambda seconds, minibatch: report)
    result = run("demo", "--output", str(tmp_path / "picture.png"))
    assert result.exit_code == 1
    assert "differs from nengo.Simulator" in result.output


@pytest.mark.parametrize("option", ["--seconds", "--minibatch"])
def test_demo_needs_something_to_simulate(option):
    result = run("demo", option, "0")
    assert result.exit_code == 2
    assert option in result.output


def test_agreement_counts_spikes_in_one_recording_only():
    spikes = np.array([[[True, False], [False, True]]])
    moved = np.array([[[False, True], [False, True]]])
    position = np.zeros((1, 2, 2))
    found = agreement(Recording(position + 0.5, moved), Recording(position, spikes))
    assert (found.largest, found.rms) == (0.5, 0.5)
    assert (found.n_spikes, found.n_different) == (2, 2)


def test_compare_takes_turns():
    calls = []
    found = measure.compare(lambda: calls.append("a"), lambda: calls.append("b"), repeats=2)
    assert calls == list("ababab")  # the first of each is not timed
    assert len(found.ratios) == 2
    assert min(found.ratios) <= found.ratio <= max(found.ratios)
