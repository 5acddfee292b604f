"""Comparisons with other libraries, and what is told of them."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from nengo_dl.benchmarks import command, machine, plots, report, runs, simulation, targets
from nengo_dl.benchmarks.cases import SETS, TITLES, Case, Result, Times
from nengo_dl.benchmarks.command import benchmark
from nengo_dl.benchmarks.peers.process import Job, NotMeasured, Worker

BACKEND = keras.backend.backend()
OURS = f"nengo_dl/{BACKEND}"


def run(*arguments):
    return CliRunner().invoke(benchmark, arguments)


def result(name="tutorial", kind="simulation", series=None, factor=1.0, **parameters):
    """What a measurement might give: we are 4 times as fast per item, in a minibatch of 2."""
    facts = {"neurons": int(40 * factor), "operators": int(15 * factor), "versions": {"nengo": "4"}}
    times = {
        "nengo_dl/tensorflow": Times(100, 2, (0.5, 0.5, 1.0), (400.0, 500.0, 530.0), facts),
        "nengo": Times(50, 1, (0.5, 1.0, 2.0), (50.0, 60.0, 70.0), facts),
    }
    missing = {"norse": "not installed"}
    return Result(name, kind, "steps", parameters, series, times, missing)


# -- measuring -------------------------------------------------------------------------------------


@pytest.mark.core
def test_command_measures_prints_and_keeps(tmp_path, monkeypatch):
    case = simulation._steps("short", simulation.Simulated("tutorial", n_steps=20), batch=2)
    monkeypatch.setattr(command, "all_cases", lambda *_: [case])
    path = tmp_path / "times.json"
    found = run("short", "--repeats", "2", "--seconds", "0", "--json", str(path))
    assert found.exit_code == 0, found.output
    lines = [line for line in found.output.splitlines() if line.startswith("short")]
    assert ["one step of an item, batch 2" in line for line in lines] == [True] * 3
    assert any("NengoDL: not installed" in line for line in lines)
    content = json.loads(path.read_text())
    assert content["machine"]["cores"] >= 1
    (record,) = content["results"]
    ours, nengo = (record["times"][peer] for peer in (OURS, "nengo"))
    assert (ours["work"], nengo["work"]) == (2, 1)
    assert ours["facts"]["neurons"] == nengo["facts"]["neurons"] == 40
    expected = np.divide(nengo["seconds"], nengo["n"]) / np.divide(ours["seconds"], 2 * ours["n"])
    np.testing.assert_allclose(record["ratios"][OURS]["nengo"], expected)
    # and the same from the file, without measuring
    again = run("--from", str(path))
    assert [line for line in again.output.splitlines() if line.startswith("short")] == lines


def test_building_and_memory_are_measured_in_processes():
    small = simulation.Simulated("tutorial", arguments={"n_neurons": 5})
    _, peers = simulation._jobs("build", small)
    with Worker(peers["nengo"]) as worker:
        assert worker.run(10) > 0
        assert worker.facts["operators"] > 0 and worker.user_seconds > 0
    _, peers = simulation._jobs("simulate", small, keep=True)
    with Worker(peers["nengo"]) as worker:
        before = worker.peak_mb
        worker.run(10_000)
        assert worker.peak_mb >= before > 10


def test_copying_is_measured_on_one_core():
    job = simulation.lif(n_neurons=1000).peers["copy"]
    assert job.cores == 1
    with Worker(job) as worker:
        assert worker.run(3) > 0


def test_a_peer_that_is_missing_or_fails_is_named_and_the_others_are_measured():
    job = Job(simulation.MODULE, "copy", {"n_bytes": 800})
    case = Case(
        "copies",
        "simulation",
        job,
        {
            "norse": Job("peers.nonesuch", "train"),
            "torch": replace(job, arguments={"n_bytes": "many"}),
            "nengo-dl-3": job,
            "keras": job,
            "nengo": job,
        },
        n=5,
    )
    settings = runs.Settings(
        [BACKEND], interpreters={"keras": "/no/such/python"}, repeats=2, seconds=0
    )
    found = runs.measure(case, settings)
    assert set(found.times) == {OURS, "nengo"}
    assert len(found.ratios(OURS, "nengo")) == 2
    assert "nonesuch" in found.missing["norse"]
    assert "TypeError" in found.missing["torch"]
    assert "--old-nengo-dl" in found.missing["nengo-dl-3"]
    assert "/no/such/python" in found.missing["keras"]


def test_a_process_that_dies_is_told():
    with Worker(Job(simulation.MODULE, "copy", {"n_bytes": 800})) as worker:
        worker._process.kill()
        worker._process.wait()  # so that what is written finds nobody
        with pytest.raises(NotMeasured, match="ended with status -9"):
            worker.run(1)


@pytest.mark.parametrize("library", ["torch", "snntorch", "norse", "spikingjelly"])
def test_libraries_on_torch_train(library, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    from nengo_dl.benchmarks.peers import training_torch
    from nengo_dl.benchmarks.peers.training_data import Sequences

    found = []
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self: found.append(self.param_groups[0]["params"][0].grad)
    )
    monkeypatch.setattr(training_torch, "BPTT", Sequences(batch=2, n_steps=5, tau=0.002))
    update, _ = training_torch.spiking(library)
    update(2)
    assert len(found) == 2
    assert all(torch.any(gradient != 0) for gradient in found)


def test_spyx_trains(monkeypatch):
    pytest.importorskip("spyx")
    from nengo_dl.benchmarks.peers import training_spyx
    from nengo_dl.benchmarks.peers.training_data import Sequences

    models = []
    make = training_spyx._model
    monkeypatch.setattr(training_spyx, "_model", lambda *a: models.append(make(*a)) or models[-1])
    monkeypatch.setattr(training_spyx, "BPTT", Sequences(batch=2, n_steps=5, tau=0.002))
    update, _ = training_spyx.spiking()
    dense = models[0].layers[::2]
    before = [np.array(layer.kernel) for layer in dense]
    update(2)
    for layer, kernel in zip(dense, before, strict=True):
        assert np.any(np.array(layer.kernel) != kernel)
    assert all(
        np.array(neurons.beta) == np.float32(np.exp(-0.5)) for neurons in models[0].layers[1::2]
    )


# -- cases -----------------------------------------------------------------------------------------


def test_all_cases_are_of_known_sets_and_peers():
    cases = command.all_cases()
    assert {case.set for case in cases} == set(SETS)
    assert {peer for case in cases for peer in case.peers} == set(TITLES)
    assert {case.name for case in cases} >= simulation.quick()


def test_script_for_a_gpu_names_what_there_is():
    script = runpy.run_path(Path(__file__).parents[1] / "scripts" / "measure_gpu")
    parts = [*script["PARTS"], *script["TINY"]]
    named = [arguments[1] for *_, arguments in parts if arguments[0] == "BENCHMARK"]
    assert {name for name in named if name != "--set"} <= {c.name for c in command.all_cases()}
    assert sum(seconds for _, seconds, _ in script["PARTS"]) <= 600


def test_every_target_concerns_one_case():
    cases = command.all_cases(batches=(1, 16))
    results = [
        Result(c.name, c.set, c.unit, c.parameters, c.series, {}, dict.fromkeys(c.peers, ""))
        for c in cases
    ]
    for target in targets.TARGETS:
        assert sum(target.concerns(found) for found in results) == 1, target


def test_options_choose_cases():
    chosen = command._chosen((), ("simulation",), (4,), ("float32", "float64"), drawing=False)
    cconv = [case.parameters for case in chosen if case.name == "cconv"]
    assert cconv == [{"minibatch_size": 4, "dtype": dtype} for dtype in ("float32", "float64")]
    assert {case.set for case in chosen} == {"simulation"}
    assert {c.name for c in command._chosen((), (), (), (), drawing=True)} == {"scaling"}
    by_name = command._chosen(("basal_ganglia",), (), (1,), (), drawing=False)
    assert [case.name for case in by_name] == ["basal-ganglia"]


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["nonesuch"], "cconv"),
        (["--peers", "nengo,nonesuch"], "spikingjelly"),
        (["--python", "nengo"], "PEER=PYTHON"),
    ],
)
def test_errors_say_what_there_is(arguments, named):
    found = run(*arguments)
    assert found.exit_code == 2
    assert arguments[-1].split(",")[-1] in found.output and named in found.output


# -- telling ---------------------------------------------------------------------------------------


def test_ratios_are_of_the_time_of_an_item():
    found = result()
    assert found.ratios("nengo_dl/tensorflow", "nengo") == [4, 8, 8]
    assert found.ratio("nengo_dl/tensorflow", "nengo") == 8


def test_memory_counts_over_what_the_libraries_need():
    # 530 of what nengo needs, 70, and 440 for our libraries
    ratio = result("memory", "memory").ratio("nengo_dl/tensorflow", "nengo")
    assert ratio == pytest.approx(530 / 510)


def test_json_keeps_everything(tmp_path):
    results = [result(), result("memory", "memory", n_steps=100)]
    described = machine.describe()
    report.to_json(results, described, tmp_path / "a.json")
    assert report.from_json(tmp_path / "a.json") == (results, described)


def test_files_are_put_together(tmp_path):
    first, again, other = result(), replace(result(), unit="updates"), result("memory", "memory")
    report.to_json([first, other], {"cores": 2, "date": "a"}, tmp_path / "a.json")
    report.to_json([again], {"cores": 2, "date": "b"}, tmp_path / "b.json")
    results, described = report.merged([tmp_path / "a.json", tmp_path / "b.json"])
    assert results == [again, other]
    assert described == {"cores": "2", "date": "a, b"}


def test_points_of_curves_stay_apart(tmp_path):
    points = [
        result("scaling", "scaling", series, factor, minibatch_size=1)
        for series in ("neurons", "operators")
        for factor in (1, 2)
    ]
    longer = result("scaling", "scaling", "steps", minibatch_size=1)
    points += [longer, replace(longer, times={k: replace(t, n=7) for k, t in longer.times.items()})]
    report.to_json(points, {}, tmp_path / "a.json")
    assert report.merged([tmp_path / "a.json", tmp_path / "a.json"])[0] == points


def test_page_has_measured_ratios_beside_targets():
    page = "Before.\n<!-- table: simulation -->\nold\n<!-- end -->\nAfter.\n"
    found = result(minibatch_size=1, dtype="float32")
    filled = report.fill_in(page, [found], {})
    (row,) = (line for line in filled.splitlines() if "| nengo.Simulator |" in line)
    assert "8 (4 to 8)" in row and "≥ 40, not met" in row
    assert "Norse: not installed" in filled
    assert filled.startswith("Before.\n") and filled.endswith("After.\n") and "old" not in filled
    assert report.fill_in(filled, [found], {}) == filled


def test_page_of_a_machine_with_a_gpu_has_no_targets():
    page = "<!-- table: machine -->\n<!-- end -->\n<!-- table: simulation -->\n<!-- end -->\n"
    found = result(minibatch_size=1, dtype="float32")
    filled = report.fill_in(page, [found], {"gpu": "NVIDIA H200"})
    assert "| gpu | NVIDIA H200 |" in filled
    assert "| 8 (4 to 8) |" in filled and "target" not in filled and "met" not in filled


def test_large_ratios_are_whole_numbers():
    found = result()
    found.times["nengo"] = replace(found.times["nengo"], seconds=(500.0, 1000.0, 2000.0))
    assert report.outcome(found, "nengo_dl/tensorflow", "nengo") == "8,000 (4,000 to 8,000)"


@pytest.mark.parametrize(
    "seconds, text", [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4e-6, "4 µs"), (5e-9, "5 ns")]
)
def test_duration(seconds, text):
    assert report.duration(seconds) == text


def test_plots_show_every_series(tmp_path):
    results = [
        result("scaling", "scaling", series, factor, minibatch_size=factor, dtype="float32")
        for series in plots.SERIES
        for factor in (1, 2, 4)
    ]
    pictures = plots.draw([*results, result()], tmp_path / "new")
    assert len(pictures) == len(plots.SERIES)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert plots.draw([result()], tmp_path) == []


def test_interpreters_are_told_by_peer():
    found = command._interpreters("old/python", ("nengo-ocl=" + sys.executable,))
    assert found == {"nengo-dl-3": "old/python", "nengo-ocl": sys.executable}
