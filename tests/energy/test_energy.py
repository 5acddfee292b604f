"""Counts of operations, against those by hand, and energy."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import energy, layers

STEPS = 10


def spiking_model():
    model = keras.Sequential(
        [
            keras.Input((STEPS, 4)),
            keras.layers.Dense(6, kernel_initializer="ones", name="first"),
            layers.SpikingActivation("relu", dt=0.01, name="spikes"),
            keras.layers.Dense(3, name="second"),
        ]
    )
    x = np.random.RandomState(0).uniform(1, 5, (5, STEPS, 4)).astype("float32")
    return model, x


@pytest.mark.core
def test_spiking_model():
    """A spike costs as many synaptic operations as there are connections."""
    model, x = spiking_model()
    spikes = keras.ops.convert_to_numpy(keras.Sequential(model.layers[:2])(x))
    report = energy.count_model(model, x)
    first, neurons, second = report.parts
    assert (report.n_steps, report.dt) == (STEPS, 0.01)
    assert first.macs == first.synops == STEPS * 4 * 6
    assert (neurons.neurons, neurons.updates) == (6, 6 * STEPS)
    assert neurons.rate == pytest.approx(spikes.mean(), rel=1e-5)
    assert second.macs == STEPS * 6 * 3
    assert second.synops == pytest.approx(np.count_nonzero(spikes) / len(x) * 3)
    assert 0 < second.synops < 0.5 * second.macs
    assert (first.parameters, first.bytes) == (30, 120)
    loihi = energy.DEVICES["loihi"]
    expected = 23.6e-12 * (first.synops + second.synops) + 81e-12 * 60
    assert report.joules(loihi) == report.joules("loihi") == pytest.approx(expected)
    expected = 8.6e-9 * (first.macs + second.macs + 60)
    assert report.joules("cpu") == pytest.approx(expected)


def test_given_rates():
    model, x = spiking_model()
    report = energy.count_model(model, x, rates={"spikes": 20.0})
    assert report.parts[1].rate == 20
    assert report.parts[2].synops == pytest.approx(STEPS * 6 * 3 * 20 * 0.01)
    with pytest.raises(ValueError, match="rates were given for .'nothing'"):
        energy.count_model(model, x, rates={"nothing": 1.0})


def test_activations_as_rates():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(6, "relu", kernel_initializer="ones", name="first"),
            keras.layers.Dense(3, name="second"),
        ]
    )
    x = np.full((2, 4), 5.0, dtype="float32")
    report = energy.count_model(model, x, n_steps=100, activations_are_rates=True)
    assert report.parts[0].rate == pytest.approx(20)
    assert report.parts[0].updates == 600
    assert report.parts[1].synops == pytest.approx(100 * 18 * 20 * 0.001)


def test_convolutions():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(5, 3, name="conv"),
            keras.layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise"),
            keras.layers.Conv2DTranspose(4, 3, strides=2, name="transposed"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
        ]
    )
    report = energy.count_model(model, np.ones((1, 8, 8, 2), dtype="float32"))
    macs = {part.name: part.macs for part in report.parts}
    assert macs["conv"] == 6 * 6 * 3 * 3 * 2 * 5
    assert macs["depthwise"] == 5 * 5 * 2 * 2 * 10
    assert macs["transposed"] == 5 * 5 * 3 * 3 * 10 * 4
    embedding = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(5, 2)])
    with pytest.raises(ValueError, match="Embedding, are not known"):
        energy.count_model(embedding, np.ones((1, 3)))


@pytest.mark.core
@pytest.mark.parametrize("make", [nengo.Simulator, nengo_dl.Simulator])
def test_networks(make):
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node([0.5, 0.5])
        a = nengo.Ensemble(30, 2, label="a")
        b = nengo.Ensemble(20, 1, label="b")
        nengo.Connection(stimulus, a, synapse=None)
        nengo.Connection(a, b, function=lambda x: x[0] * x[1])
        nengo.Connection(b.neurons, a.neurons, transform=np.zeros((30, 20)))
        spikes = [nengo.Probe(ens.neurons) for ens in (a, b)]
    with make(net, progress_bar=False) as sim:
        sim.run_steps(50)
        n_spikes = [np.count_nonzero(sim.data[probe]) for probe in spikes]
        report = energy.count_simulator(sim)
    parts = {part.name: part for part in report.parts}
    assert (parts["a"].updates, parts["a"].macs) == (30 * 50, 30 * 2 * 50)
    assert parts["a"].rate == pytest.approx(n_spikes[0] / 30 / 0.05, rel=1e-5)
    assert parts["a to b"].macs == 30 * 50
    assert parts["a to b"].synops == pytest.approx(n_spikes[0], rel=1e-5)
    last = report.parts[-1]
    assert last.macs == 600 * 50
    assert last.synops == pytest.approx(30 * n_spikes[1], rel=1e-5)
    assert 0 < report.joules("loihi") < report.joules("cpu")


def test_rates_have_to_be_known():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        nengo.Connection(ens, nengo.Node(size_in=1))
    with nengo.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(ValueError, match="did not run"):
            energy.count_simulator(sim)
        sim.run_steps(3)
        with pytest.raises(ValueError, match="put a nengo.Probe without a synapse"):
            energy.count_simulator(sim)
        report = energy.count_simulator(sim, n_steps=1000, rates={ens: 50})
    assert report.parts[1].synops == pytest.approx(50 * 10)


def test_table_and_plot():
    model, x = spiking_model()
    report = energy.count_model(model, x)
    text = str(report)
    assert "spikes" in text and "J (loihi)" in text and "10 steps of 0.01 s" in text
    assert len(report.rows(["cpu"])) == 3 and report.rows(["cpu"])[0]["J (cpu)"] > 0
    ax = report.plot(["cpu", "loihi"])
    assert len(ax.patches) == 2
    with pytest.raises(ValueError, match="there is no device 'abacus'"):
        report.joules("abacus")


def test_dataframe():
    pytest.importorskip("pandas")
    model, x = spiking_model()
    frame = energy.count_model(model, x).to_dataframe()
    assert list(frame["name"]) == ["first", "spikes", "second"]
