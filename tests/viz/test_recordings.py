"""Pictures of what probes recorded: what is drawn is what was recorded."""

import warnings

import nengo
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from nengo.exceptions import ValidationError
from PIL import Image

from nengo_dl import viz
from nengo_dl.viz import spikes as spikes_module


def points(ax):
    """Times and rows of the spikes in a raster."""
    (collection,) = ax.collections
    if isinstance(collection, LineCollection):
        return np.array([(line[0, 0], line[:, 1].mean()) for line in collection.get_segments()])
    assert isinstance(collection, PathCollection)
    return np.asarray(collection.get_offsets())


@pytest.mark.core
def test_raster_draws_the_spikes_of_an_item(run):
    for item in (0, 1, -1):
        ax = viz.raster(run.sim, run.spikes, item=item)
        steps, neurons = np.nonzero(run.sim.data[run.spikes][item])
        drawn = points(ax)
        np.testing.assert_allclose(drawn[:, 0], 0.001 * (steps + 1))
        np.testing.assert_allclose(drawn[:, 1], neurons)
    assert len(steps) > 50
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "neuron")
    assert ax.get_title(loc="left") == f"spikes: {len(steps)} spikes of 30 neurons"
    predicted = run.sim.predict({run.stim: run.inputs})
    same = viz.raster(predicted, run.spikes, dt=0.002, order=[3, 5])
    assert set(points(same)[:, 1]) <= {0, 1} and same.get_xlim() == (0, 0.2)


def test_raster_of_any_number_of_neurons(monkeypatch):
    rng = np.random.RandomState(0)
    for n in (1, 60, 61, 10_000):
        values = rng.uniform(size=(20, n)) < 0.1
        ax = viz.raster(values, dt=0.01)
        assert len(points(ax)) == values.sum()
        np.testing.assert_allclose(ax.get_ylim(), (-0.5, n - 0.5))
        ticks = ax.get_yticks()
        assert len(ticks) and np.all(ticks == np.round(ticks))
    monkeypatch.setattr(spikes_module, "MAX_POINTS", 100)
    (image,) = viz.raster(values, dt=0.01).images
    assert image.get_array().sum() == values.sum()


def test_rates_of_spikes_and_of_rate_neurons(run):
    n = 1000
    regular = np.zeros((n, 2))
    regular[::10, 0], regular[::20, 1] = 1000, 1000  # 100 and 50 Hz
    lines = viz.rates(regular).lines
    assert [line.get_ydata()[200:800].mean() for line in lines] == pytest.approx(
        [100, 50], rel=1e-2
    )
    assert viz.rates(2 * regular, amplitude=2).lines[0].get_ydata() == pytest.approx(
        lines[0].get_ydata()
    )
    with_rates = viz.rates(run.sim, run.rates, item=1)
    expected = run.sim.data[run.rates][1] / 0.5  # the amplitude; no smoothing
    np.testing.assert_allclose(with_rates.images[0].get_array(), expected.T)
    assert with_rates.figure.axes[1].get_ylabel() == "firing rate (Hz)"
    many = viz.rates(np.ones((5, 10_000)) * 7).images[0].get_array()
    assert len(many) == 400 and np.allclose(many, 7)


def test_decoded_and_target(run):
    target = np.cos(np.arange(100))[:, None] * [1, 2]
    ax = viz.decoded(run.sim, run.value, target, item=1, labels=["x", "y"])
    lines = [line for line in ax.lines if len(line.get_xdata())]
    for i in range(2):
        assert lines[i].get_color() == lines[2 + i].get_color()
        np.testing.assert_allclose(lines[i].get_ydata(), target[:, i])
        np.testing.assert_allclose(lines[2 + i].get_ydata(), run.sim.data[run.value][1, :, i])
        np.testing.assert_allclose(lines[2 + i].get_xdata(), run.sim.trange())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["target", "x", "y"]
    of_probe = viz.decoded(run.sim, run.value, run.value).lines
    np.testing.assert_array_equal(of_probe[0].get_ydata(), of_probe[-2].get_ydata())
    sampled = viz.decoded(run.sim, run.sparse).lines[0]
    np.testing.assert_allclose(sampled.get_xdata(), np.arange(1, 11) / 100)
    wide = np.arange(20) * np.sin(np.arange(50))[:, None]
    labels = [line.get_label() for line in viz.decoded(wide).lines]
    assert labels == [str(i) for i in range(14, 20)]  # those that vary most
    assert viz.decoded(np.ones(5), target=2.0).lines[0].get_ydata().tolist() == [2.0] * 5


def test_cleared_probes_show_what_came_after(run):
    with nengo.Network(seed=0) as net:
        probe = nengo.Probe(nengo.Node(lambda t: t))
    with nengo.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="contains no samples .*run the simulator first"):
            viz.decoded(sim, probe)
        sim.run_steps(5)
        sim.clear_probes()
        sim.run_steps(3)
        line = viz.decoded(sim, probe).lines[0]
    np.testing.assert_allclose(line.get_xdata(), [0.006, 0.007, 0.008])
    np.testing.assert_allclose(line.get_ydata(), line.get_xdata())


def test_animation_is_saved(tmp_path):
    rng = np.random.RandomState(0)
    panels = {
        "image": (rng.uniform(size=(12, 16)), (4, 4)),
        "layer": (rng.uniform(size=(12, 18)), (3, 3, 2)),
        "many": rng.uniform(size=(12, 70)),
        "out": np.eye(12),
    }
    path = tmp_path / "a.gif"
    animation = viz.animate(None, panels, every=3, dt=0.01, path=path)
    with Image.open(path) as saved:
        assert saved.n_frames == 4 and saved.format == "GIF"
    figure = animation._fig
    animation._func(2)
    assert figure.get_suptitle() == "0.090 s"
    image = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(image, panels["image"][0][6:9].mean(axis=0).reshape(4, 4))
    heights = [bar.get_height() for bar in figure.axes[3].patches]
    np.testing.assert_allclose(heights, np.eye(12)[6:9].mean(axis=0))
    tiles = figure.axes[1].images[0].get_array()
    second = panels["layer"][0][6:9].mean(axis=0).reshape(3, 3, 2)[..., 1]
    np.testing.assert_allclose(tiles[:, 4:], second)
    assert figure.axes[2].images[0].get_array().mask.sum() == 11  # 70 of 81


def test_errors_say_what_to_do(run):
    with nengo.Network():
        other = nengo.Probe(nengo.Node(0), label="other")
    cases = [
        (lambda: viz.raster(run.sim, other), "is not one of those that the simulator has: .*value"),
        (lambda: viz.raster(run.sim), "no Probe was given"),
        (lambda: viz.raster(run.sim, run.rates), "LIFRate, which do not spike; nengo_dl.viz.rates"),
        (lambda: viz.raster(run.sim, run.spikes, item=2), "there is no item 2 in a batch of 2"),
        (lambda: viz.raster(np.ones((2, 2)), run.spikes), "a Probe was given with .*ndarray"),
        (lambda: viz.raster({}, run.spikes), "is not one of those that the dict has: none"),
        (lambda: viz.raster(np.ones((1, 2, 3, 4))), r"shape \(1, 2, 3, 4\); expected \(n_samples"),
        (lambda: viz.raster("spikes"), "expected a simulator, a dict of arrays or an array"),
        (lambda: viz.raster(np.ones((3, 4)), order=[4]), "a list of neurons, 0 to 3"),
        (lambda: viz.raster(np.ones((3, 4)), ax=1), "expected matplotlib Axes, got 1 of type int"),
        (lambda: viz.rates(np.ones((3, 4)), smooth=-1), "must be 0 or more"),
        (lambda: viz.decoded(run.sim, run.value, np.ones((3, 2))), r"\(3, 2\); expected \(100, 2"),
        (lambda: viz.decoded(run.sim, run.value, dims=[2]), "each from 0 to 1"),
        (lambda: viz.decoded(run.sim, run.value, labels=["x"]), "1 labels were given"),
        (
            lambda: viz.decoded(np.ones((3, 1)), target=run.value),
            "simulator or the result of sim.predict",
        ),
        (lambda: viz.animate(None, {"a": (np.ones((3, 4)), (2, 3))}), r"4 values and the shape"),
        (lambda: viz.animate(None, {"a": np.ones((3, 4)), "b": np.ones((4, 4))}), "same number"),
        (lambda: viz.animate(None, {"a": np.ones((3, 4))}, every=4), "more than the 3 samples"),
    ]
    for draw, message in cases:
        with warnings.catch_warnings():
            with pytest.raises(ValidationError, match=message):
                draw()
