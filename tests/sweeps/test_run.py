"""Points that raise, stores, executors, and what is asked for in the wrong way."""

import json
from collections import defaultdict
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl
from nengo_dl import tuning
from nengo_dl.sweeps import executors, members
from nengo_dl.sweeps.executors import Workers, done_by
from nengo_dl.sweeps.job import Job
from nengo_dl.sweeps.points import Point
from nengo_dl.sweeps.rows import Row
from sweeps.networks import Bomb, analysis_fails, fails, last, mean, small, with_bomb

# -- points that raise -----------------------------------------------------------------------------


@pytest.mark.core
def test_a_point_that_raises_is_a_row_with_its_error():
    places = ["nowhere", "make", "build", "run", "nothing", "labels"]
    results = nengo_dl.sweep(fails, seed=[0], where=places).run(0.03)
    expected = {
        1: "make failed",
        2: "division by zero",
        3: "division by zero",
        4: "expected a nengo.Network",
        5: "two Probes with the label 'decoded'",
    }
    assert results.errors.keys() == expected.keys()
    assert all(text in results.errors[number] for number, text in expected.items())
    assert "networks.py, line" in results.errors[1]
    alone = nengo_dl.sweep(small, seed=[0]).run(0.03)
    np.testing.assert_allclose(results["decoded"][0], alone["decoded"][0], rtol=0, atol=1e-6)
    assert np.isnan(results["decoded"][1:]).all()
    assert "5 raised an error; point 1: ValueError: make failed" in repr(results)
    with pytest.raises(ValidationError, match="point 2 raised"):
        results.point(2)


def test_analysis_that_raises():
    results = nengo_dl.sweep(small, seed=range(3)).run(0.01, analyse=analysis_fails)
    assert results["analysis_fails"].tolist()[:1] == [1.0]
    assert "analysis failed" in results.errors[1]
    assert "expected numbers, arrays or text" in results.errors[2]


def test_analysis():
    results = nengo_dl.sweep(small, seed=[0], tau=[0.01, 0.1]).run(0.02, analyse=last)
    assert results.names == ("last", "ends", "words")
    assert results["words"].tolist() == ["tau 0.01", "tau 0.1"]
    assert results.grid("ends").shape == (1, 2, 2)
    np.testing.assert_array_equal(results["ends"][:, 1], results["last"])
    assert results["last"][0] > results["last"][1]


# -- stores ----------------------------------------------------------------------------------------


class Counting:
    """Makes networks, counts them, and is interrupted at one."""

    __qualname__ = "make"

    def __init__(self, stop=None, error=None):
        self.calls, self.stop, self.error = [], stop, error

    def __call__(self, seed):
        self.calls.append(seed)
        if seed == self.stop:
            raise self.error
        return small(seed)


@pytest.fixture
def _nothing_compiled(monkeypatch):
    """No group is filled up to a size that an earlier test ran, so that calls can be counted."""
    monkeypatch.setattr(members, "_compiled_for", defaultdict(set))


@pytest.mark.usefixtures("_nothing_compiled")
def test_a_run_goes_on_where_one_was_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "SWEEP_GROUP_POINTS", 2)
    store = tmp_path / "new" / "store"
    stopped = Counting(4, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        nengo_dl.sweep(stopped, seed=range(5)).run(0.02, store=store)
    assert len(list(store.glob("points-*.npz"))) == 2
    goes_on = Counting()
    results = nengo_dl.sweep(goes_on, seed=range(5)).run(0.02, store=store)
    assert set(goes_on.calls) == {4}  # twice, as half of a group of two
    whole = nengo_dl.sweep(small, seed=range(5)).run(0.02)
    np.testing.assert_allclose(results["decoded"], whole["decoded"], rtol=0, atol=1e-6)
    again = Counting()
    results = nengo_dl.sweep(again, seed=range(5)).run(0.02, store=store)
    assert again.calls == [] and results["decoded"].shape == (5, 20, 1)
    np.testing.assert_array_equal(results.point(3)["decoded"], results["decoded"][3])
    # a file of which half is there, after a power failure say
    damaged = sorted(store.glob("points-*.npz"))[0]
    damaged.write_bytes(damaged.read_bytes()[:200])
    results = nengo_dl.sweep(again, seed=range(5)).run(0.02, store=store)
    assert again.calls == [0, 1]
    np.testing.assert_allclose(results["decoded"], whole["decoded"], rtol=0, atol=1e-6)


def test_files_need_no_pickle(tmp_path):
    nengo_dl.sweep(small, seed=[0], tau=[0.1]).run(0.01, analyse=last, store=tmp_path)
    (path,) = tmp_path.glob("*.npz")
    with np.load(path, allow_pickle=False) as file:
        assert {name: file[name].shape for name in file.files} == {
            "points": (1,),
            "errors": (1,),
            "0/last": (),
            "0/ends": (2,),
            "0/words": (),
        }
    description = json.loads((tmp_path / "sweep.json").read_text())
    assert description["points"] == [{"seed": 0, "tau": 0.1}]
    assert description["make"] == "sweeps.networks.small"
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "sweep.json"}  # no drafts


@pytest.mark.usefixtures("_nothing_compiled")
def test_points_that_raised_run_again_if_wanted(tmp_path):
    make = Counting(1, ValueError("not now"))
    sweep = nengo_dl.sweep(make, seed=range(3))
    assert sweep.run(0.01, store=tmp_path).errors.keys() == {1}
    make.stop = None
    assert sweep.run(0.01, store=tmp_path).errors.keys() == {1}
    results = sweep.run(0.01, store=tmp_path, retry_errors=True)
    assert not results.errors and not np.isnan(results["decoded"]).any()
    assert make.calls[:3] == [0, 1, 2] and set(make.calls[3:]) == {1}


def test_a_store_of_another_sweep_is_refused(tmp_path):
    own = np.zeros((2, 10, 1))
    sweep = nengo_dl.sweep(small, seed=[0, 1])
    store = tmp_path / "store"
    sweep.run(0.01, store=store)
    for other, time, arguments, words in [
        (sweep, 0.02, {}, r"its 'steps' is 10, this one's 20"),
        (sweep, 0.01, {"dt": 0.0005}, "'steps'"),
        (sweep, 0.01, {"analyse": mean}, "'analyse'.*networks.mean"),
        (sweep, 0.01, {"data": {"stim": own}}, "'data of points'"),
        (sweep, 0.01, {"data": {"stim": own[0]}}, "'data'"),
        (nengo_dl.sweep(small, seed=[0, 2]), 0.01, {}, "'point 1' is {'seed': 1}"),
        (nengo_dl.sweep(small, seed=[0]), 0.01, {}, "it has 2 points, this one 1"),
        (nengo_dl.sweep(fails, [{"seed": 0}, {"seed": 1}]), 0.01, {}, "'make'"),
    ]:
        with pytest.raises(ValidationError, match=f"holds another sweep: .*{words}"):
            other.run(time, store=store, **arguments)
    with pytest.raises(ValidationError, match="it is no folder of a sweep"):
        sweep.run(0.01, store=tmp_path)


# -- executors -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_points_of_a_process_that_dies_run_again(tmp_path):
    witness = tmp_path / "killed"
    sweep = nengo_dl.sweep(with_bomb, seed=range(3), bomb=[Bomb(str(witness))])
    results = sweep.run(0.02, executor=1, store=tmp_path / "store")
    assert witness.exists()
    alone = nengo_dl.sweep(small, seed=range(3)).run(0.02)
    np.testing.assert_allclose(results["decoded"], alone["decoded"], rtol=0, atol=1e-6)


class Pool(Executor):
    """An executor of which a process dies at some points, as often as is said."""

    def __init__(self, deaths):
        self.deaths, self.broken = deaths, False

    def submit(self, fn, /, job, group):
        future = Future()
        (point,) = group
        if self.broken:
            raise BrokenProcessPool
        if self.deaths.get(point.number, 0) > 0:
            self.deaths[point.number] -= 1
            self.broken = True
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result([Row(point.number)])
        return future


def pooled(monkeypatch, deaths):
    """The rows of six points where processes die, and how many pools there were."""
    pools = []

    def start(n, mp_context):
        pools.append(Pool(deaths))
        return pools[-1]

    monkeypatch.setattr(executors, "ProcessPoolExecutor", start)
    groups = [[Point(number, {})] for number in range(6)]
    rows = [row for found in done_by(Workers(2), Job(small, 1, 0.001), groups) for row in found]
    return rows, len(pools)


def test_groups_of_a_pool_that_breaks(monkeypatch):
    rows, n_pools = pooled(monkeypatch, {2: 1, 4: 2})
    assert sorted(row.number for row in rows) == list(range(6))
    assert not any(row.error for row in rows) and n_pools == 1 + 1 + 2


def test_points_of_which_processes_die_have_an_error(monkeypatch):
    rows, _ = pooled(monkeypatch, {3: 100})
    assert sorted(row.number for row in rows) == list(range(6))
    (failed,) = (row for row in rows if row.error)
    assert failed.number == 3 and failed.again


def test_where_no_process_starts(monkeypatch):
    with pytest.raises(SimulationError, match="__main__"):
        pooled(monkeypatch, dict.fromkeys(range(6), 100))


def test_executors_of_others():
    sweep = nengo_dl.sweep(small, seed=range(2))
    expected = sweep.run(0.02)["decoded"]
    with ThreadPoolExecutor(1) as threads:
        np.testing.assert_array_equal(sweep.run(0.02, executor=threads)["decoded"], expected)
        assert threads.submit(int).result() == 0  # it is left as it was

    class Client:
        """As that of Dask."""

        def nthreads(self):
            return {"a": 2, "b": 1}

        def get_executor(self):
            return executors.Here()

    np.testing.assert_array_equal(sweep.run(0.02, executor=Client())["decoded"], expected)
    assert Workers(Client()).n == 3


class Broken(Executor):
    def submit(self, fn, /, *args):
        raise BrokenProcessPool


def test_what_executors_cannot_do():
    sweep = nengo_dl.sweep(small, seed=[0])
    with pytest.raises(SimulationError, match="another run with a new executor goes on"):
        sweep.run(0.01, executor=Broken())
    with pytest.raises(ValidationError, match="a number of processes or an executor"):
        sweep.run(0.01, executor="processes")
    with pytest.raises(ValidationError, match="Define them in a module"):
        nengo_dl.sweep(lambda seed: small(seed), seed=[0]).run(0.01, executor=1)


# -- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "points, grid, words",
    [
        ((), {}, "there are no points"),
        (([{"seed": 0}],), {"seed": [0]}, "both a list of points and values of seed"),
        (({"seed": [0]},), {}, "are keyword arguments"),
        (([1],), {}, "point 0 is 1"),
        (([],), {}, "is empty"),
        ((), {"seed": 3}, r"for one value, a list of one: seed=\[3\]"),
        ((), {"seed": []}, "'seed' has no values"),
    ],
)
def test_points_that_make_no_sense(points, grid, words):
    with pytest.raises(ValidationError, match=words):
        nengo_dl.sweep(small, *points, **grid)


@pytest.mark.parametrize(
    "time, arguments, words",
    [
        (0.0001, {}, "is no step of 0.001 s"),
        (0.01, {"dt": 0}, "positive number of seconds"),
        (0.01, {"data": 1}, "expected a dict of arrays"),
        (0.01, {"data": {"stim": np.zeros((9, 1))}}, r"shape \(9, 1\), expected \(10, size\)"),
    ],
)
def test_runs_that_make_no_sense(time, arguments, words):
    with pytest.raises(ValidationError, match=words):
        nengo_dl.sweep(small, seed=[0]).run(time, **arguments)


def test_data_for_nodes_that_are_not_there():
    results = nengo_dl.sweep(small, seed=[0]).run(0.01, data={"inp": np.zeros((10, 1))})
    assert "labels of Nodes: 'stim'" in results.errors[0]
    with pytest.raises(KeyError, match="1 points raised an error"):
        results["decoded"]


def test_sweep_is_called_by_the_name_of_its_function():
    sweep = nengo_dl.sweep(small, seed=range(3), tau=np.array([0.1, 0.2]))
    assert repr(sweep) == "Sweep of small at 6 points: seed (3) x tau (2)"
    assert len(sweep) == 6 and sweep.parameters[1] == {"seed": 0, "tau": 0.2}
    with pytest.raises(ValidationError, match="a function that returns a network"):
        nengo_dl.sweep(small(0), seed=[0])
