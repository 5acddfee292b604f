"""Results as arrays, tables and pictures, and the command."""

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import pyplot
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl import viz
from nengo_dl.cli import main
from nengo_dl.sweeps.points import grid_points, listed_points
from nengo_dl.sweeps.results import Results
from nengo_dl.sweeps.rows import Row, RowsInMemory


def results(points, found, n_steps=4, are_recorded=False):
    """Results of arrays or errors that were found one after the other."""
    rows = RowsInMemory()
    rows.add(
        [
            Row(number, error=values) if isinstance(values, str) else Row(number, values)
            for number, values in enumerate(found)
        ]
    )
    return Results(points, rows, n_steps, 0.001, are_recorded)


@pytest.fixture
def recorded():
    """What Probes recorded, one of them every second step."""
    values = [
        {"a": np.full((4, 1), number), "b": np.full((2, 3), 10.0 * number)} for number in range(6)
    ]
    return results(grid_points({"seed": [1, 2], "tau": [0.1, 0.2, 0.3]}), values, are_recorded=True)


@pytest.fixture
def measured():
    """What was analysed; one point raised."""
    values = [{"rms": np.array(float(number)), "ends": np.arange(2)} for number in range(6)]
    values[1] = "ValueError: no\nfile.py, line 3"
    return results(grid_points({"seed": [1, 2], "tau": [0.1, 0.2, 0.3]}), values)


def test_arrays(recorded, measured):
    assert recorded["a"].shape == (6, 4, 1) and recorded["a"].dtype == int
    np.testing.assert_array_equal(recorded.grid("b")[1, 2], np.full((2, 3), 50.0))
    np.testing.assert_allclose(recorded.times("a"), [0.001, 0.002, 0.003, 0.004])
    np.testing.assert_allclose(recorded.times("b"), [0.002, 0.004])
    np.testing.assert_array_equal(measured["rms"], [0, np.nan, 2, 3, 4, 5])
    assert measured["ends"].dtype == float  # NaN is no integer
    assert repr(measured).splitlines() == [
        "Results of 6 points: seed (2) x tau (3)",
        "  rms: (6,)",
        "  ends: (6, 2)",
        "  1 raised an error; point 1: ValueError: no",
    ]
    assert "rms" in measured and "a" not in measured
    with pytest.raises(KeyError, match="have no 'x', they have 'a', 'b'"):
        recorded["x"]
    with pytest.raises(IndexError, match="no point 6"):
        recorded.point(6)


def test_arrays_of_different_shapes():
    points = listed_points([{"n": 2}, {"n": 3}])
    found = results(points, [{"spikes": np.zeros((4, n))} for n in (2, 3)], are_recorded=True)
    assert "spikes: of 2 different shapes" in repr(found)
    with pytest.raises(ValidationError, match=r"shape \(4, 2\) at point 0 and \(4, 3\) at point 1"):
        found["spikes"]
    assert found.point(1)["spikes"].shape == (4, 3)
    with pytest.raises(ValidationError, match="a list, not a grid"):
        found.grid("spikes")


def test_xarray(recorded, measured):
    pytest.importorskip("xarray")
    dataset = recorded.to_xarray()
    assert dataset["a"].dims == ("seed", "tau", "time", "a_dimension")
    assert dataset["b"].dims == ("seed", "tau", "b_time", "b_dimension")
    assert dataset["a"].sel(seed=2, tau=0.2).values.tolist() == [[4]] * 4
    assert dataset["b_time"].values.tolist() == [0.002, 0.004]
    dataset = measured.to_xarray()
    assert dataset["rms"].dims == ("seed", "tau") and dataset["ends"].dims[2:] == ("ends_0",)
    listed = results(listed_points([{"n": 2}, {"f": np.sin}]), [{"x": np.array(n)} for n in (3, 4)])
    dataset = listed.to_xarray()
    assert dataset["x"].dims == ("point",) and dataset["x"].values.tolist() == [3, 4]
    assert dataset["f"].values.tolist() == ["None", "sin"]


def test_pandas(recorded, measured):
    pytest.importorskip("pandas")
    frame = measured.to_pandas()
    assert list(frame) == ["seed", "tau", "rms", "ends[0]", "ends[1]", "raised"]
    assert frame.groupby("tau")["rms"].mean().tolist() == [1.5, 4.0, 3.5]
    assert frame["raised"].tolist() == ["", "ValueError: no", "", "", "", ""]
    with pytest.raises(ValidationError, match="recorded at different times"):
        recorded.to_pandas()
    points = grid_points({"seed": [1, 2]})
    frame = results(points, [{"a": np.arange(4)[:, None]}] * 2, are_recorded=True).to_pandas()
    assert list(frame) == ["seed", "time", "a"] and len(frame) == 8
    assert frame["time"].tolist()[4:] == pytest.approx([0.001, 0.002, 0.003, 0.004])
    taken = results(points, [{"seed": np.array(1)}] * 2)
    with pytest.raises(ValidationError, match="'seed' is the name of a result and of a parameter"):
        taken.to_pandas()


# -- pictures --------------------------------------------------------------------------------------


def test_picture_over_one_parameter(measured):
    ax = viz.sweep(measured, "rms")
    values, mean = ax.lines
    np.testing.assert_allclose(mean.get_xdata(), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(mean.get_ydata(), [1.5, 4.0, 3.5])
    assert len(values.get_xdata()) == 6
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tau", "rms")
    assert ax.get_title(loc="left") == "mean over 2 values of seed"


def test_picture_over_two_parameters(measured):
    ax = viz.sweep(measured, "rms", x="tau", y="seed", ax=pyplot.subplots()[1])
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array().filled(-1), [[0, -1, 2], [3, 4, 5]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.1", "0.2", "0.3"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tau", "seed")
    names = results(grid_points({"kind": ["a", "b"]}), [{"x": np.array(n)} for n in (3, 4)])
    ax = viz.sweep(names, "x")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]


def test_pictures_that_make_no_sense(measured):
    with pytest.raises(ValidationError, match="expected one number"):
        viz.sweep(measured, "ends")
    with pytest.raises(ValidationError, match="there is no parameter 'x'; there are 'seed', 'tau'"):
        viz.sweep(measured, "rms", x="x")
    with pytest.raises(ValidationError, match="results of a sweep over a grid"):
        viz.sweep({}, "rms")
    points = grid_points({"a": [1, 2], "b": [1, 2], "c": [1, 2]})
    found = results(points, [{"x": np.array(n)} for n in range(8)])
    with pytest.raises(ValidationError, match="a, b, c have several values each"):
        viz.sweep(found, "x")
    assert viz.sweep(found, "x", y="c").get_xlabel() == "a"


# -- the command -----------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(main, ["sweep", *arguments])


def test_command(tmp_path):
    arguments = [
        *("sweeps.networks:small", "--grid", "seed=0:2", "--grid", "tau=0.01,0.1"),
        *("--time", "0.02", "--analyse", "sweeps.networks:mean", "--store", str(tmp_path)),
    ]
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "Results of 4 points: seed (2) x tau (2)" in lines
    assert lines[-5].split() == ["seed", "tau", "mean"]
    assert lines[-1].split()[:2] == ["1", "0.1"]
    assert run(*arguments).output.splitlines()[-5:] == lines[-5:]  # from the store
    assert list(tmp_path.glob("points-*.npz"))


def test_command_that_makes_no_sense():
    grid = ("--grid", "seed=0")
    for arguments, words in [
        (("sweeps.networks:small", "--grid", "seed"), "expected name=values"),
        (("sweeps.networks:small", *grid, *grid), "given twice"),
        (("sweeps.networks:none", *grid), "no attribute 'none'"),
        (("sweeps.networks:fails", *grid, "--grid", "where=make", "--time", "0.01"), "1 of 1"),
    ]:
        result = run(*arguments)
        assert result.exit_code != 0 and words in result.output


def test_sweep_is_a_function_whoever_imported_its_modules():
    assert callable(nengo_dl.sweep) and nengo_dl.sweeps.Results is Results
