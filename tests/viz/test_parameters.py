"""Pictures of parameters and of training."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError
from nengo.utils.ensemble import tuning_curves

import nengo_dl
from nengo_dl import viz


@pytest.fixture(scope="module")
def trained():
    """A small classifier of which everything was trained."""
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(np.zeros(1))
        ens = nengo.Ensemble(10, 1, neuron_type=nengo.RectifiedLinear(amplitude=0.1), radius=2)
        nengo.Connection(stim, ens, synapse=None)
        conn = nengo.Connection(ens, nengo.Node(size_in=1), synapse=None)
        probe = nengo.Probe(conn.post, label="out")
    x = np.linspace(-1, 1, 32)[:, None, None]
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.1), loss="mse", metrics={probe: ["mae"]})
        history = sim.fit({stim: x}, {probe: -(x**2)}, epochs=4, verbose=0, validation_data=(x, x))
        yield sim, ens, conn, history


def test_tuning_curves_are_nengos(trained):
    sim, ens, conn, _ = trained
    lines = viz.tuning_curves(sim, ens, before=True).lines
    assert len(lines) == 20 and [line.get_label() for line in lines[::10]] == ["before", "now"]
    order = np.argsort(sim.data[ens].intercepts)
    for part, built in ((lines[10:], sim.data[ens]), (lines[:10], sim.model.params[ens])):
        x = part[0].get_xdata()
        np.testing.assert_allclose(x[[0, -1]], [-2, 2])
        current = (x[:, None] / 2 * built.encoders[:, 0]) * built.gain + built.bias
        drawn = np.stack([line.get_ydata() for line in part], axis=1)
        np.testing.assert_allclose(drawn, np.maximum(current, 0)[:, order], rtol=1e-5, atol=1e-4)
    with nengo.Simulator(sim.model.toplevel, progress_bar=False) as reference:
        _, expected = tuning_curves(ens, reference, x[:, None])
    np.testing.assert_allclose(drawn * 0.1, expected[:, order], rtol=1e-5)
    assert viz.tuning_curves(sim, ens, n=3).get_title(loc="left").endswith("3 of 10 neurons")


def test_tuning_curves_of_several_dimensions(run):
    ax = viz.tuning_curves(run.sim, run.a)
    assert "along the preferred direction" in ax.get_xlabel()
    largest = max(line.get_ydata()[-1] for line in ax.lines)
    assert largest == pytest.approx(run.sim.data[run.a].max_rates.max(), rel=0.2)


def test_learning_curve(trained):
    *_, history = trained
    ax = viz.learning_curve(history, "mae" if "mae" in history.history else "out_mae")
    labels = [line.get_label() for line in ax.lines]
    assert labels == ["loss", "loss, validation"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), history.history["loss"])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), history.history["val_loss"])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [1, 2, 3, 4])
    assert len(ax.figure.axes[1].lines) == 2
    sparse = viz.learning_curve({"loss": [3, 2, 1, 0.5], "val_loss": [2, 1]}, log=True)
    np.testing.assert_allclose(sparse.lines[1].get_xdata(), [2, 4])
    assert sparse.get_yscale() == "log"


def test_weight_histograms_count_all_values(trained):
    sim, ens, conn, _ = trained
    figure = viz.weight_histograms(sim, [ens, conn])
    axes = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_xlabel() for ax in axes] == ["encoders", "gain", "bias", "weights"]
    for ax in axes:
        now = sum(patch.get_height() for patch in ax.containers[0])
        assert now == 10
    assert len(viz.weight_histograms(sim, ens.neurons).axes) == 1
    assert viz.parameter_values(sim, conn, built=True)["weights"].shape == (1, 10)
    assert not np.allclose(
        viz.parameter_values(sim, conn)["weights"],
        viz.parameter_values(sim, conn, built=True)["weights"],
    )


def test_sparse_weights():
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(3))
        sparse = nengo.Sparse((2, 3), indices=[[0, 0], [1, 2]], init=[1.5, -2])
        conn = nengo.Connection(node, nengo.Node(size_in=2), transform=sparse)
    for cls in (nengo.Simulator, nengo_dl.Simulator):
        with cls(net, progress_bar=False) as sim:
            assert sorted(viz.parameter_values(sim, conn)["weights"]) == [-2, 1.5]


def test_errors_say_what_to_do(trained, run):
    sim, ens, conn, history = trained
    with nengo.Network() as net:
        other = nengo.Ensemble(5, 1, label="other")
        direct = nengo.Ensemble(5, 1, neuron_type=nengo.Direct())
    cases = [
        (lambda: viz.tuning_curves(sim, other), "an Ensemble of the simulator's network"),
        (lambda: viz.tuning_curves(sim, ens, n=0), "1 neuron or more"),
        (
            lambda: viz.learning_curve(history, "accuracy"),
            "not contain 'accuracy'; it contains 'loss'",
        ),
        (lambda: viz.learning_curve([1, 2]), "expected the result of fit"),
        (lambda: viz.weight_histogram([1, np.nan]), "1 of 2 values are not finite"),
        (lambda: viz.weight_histogram([]), "expected at least one value"),
        (lambda: viz.weight_histograms(sim, [other]), "not in the simulator's network"),
        (lambda: viz.weight_histograms(sim, []), "0 parameters to draw; expected 1 to 24"),
        (lambda: viz.parameter_values(sim, net), "has no parameters; expected Ensembles"),
    ]
    for draw, message in cases:
        with pytest.raises(ValidationError, match=message):
            draw()
    with nengo.Simulator(net, progress_bar=False) as reference:
        with pytest.raises(ValidationError, match="direct mode"):
            viz.tuning_curves(reference, direct)
        assert viz.parameter_values(reference, direct) == {}
