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


@pytest.mark.core
def test_recurrent_spikes():
    """They multiply the recurrent weights, in a Keras model and in the network that it becomes."""
    layer = layers.RecurrentLIF(amplitude=0.01, name="neurons")
    model = keras.Sequential([keras.Input((STEPS, 4)), layer])
    x = np.random.RandomState(0).uniform(5, 30, (1, STEPS, 4)).astype("float32")
    n_spikes = np.count_nonzero(model.predict(x, verbose=0))
    assert 0 < n_spikes < 0.7 * 4 * STEPS
    (part,) = energy.count_model(model, x).parts
    assert (part.macs, part.updates, part.parameters) == (STEPS * 4 * 4, STEPS * 4, 16)
    assert part.synops == pytest.approx(n_spikes * 4)
    (given,) = energy.count_model(model, x, rates={"neurons": 100.0}).parts
    assert given.synops == pytest.approx(0.1 * part.macs)
    converter = nengo_dl.Converter(model, temporal_model=True)
    (node,) = converter.inputs.values()
    with converter.net:
        nengo.Probe(converter.net.all_ensembles[0].neurons)
    with nengo_dl.Simulator(converter.net) as sim:
        sim.run_steps(STEPS, data={node: x})
        report = energy.count_simulator(sim)
    (part,) = [part for part in report.parts if part.name == "neurons.recurrent_kernel"]
    assert (part.macs, part.synops) == (STEPS * 4 * 4, pytest.approx(n_spikes * 4))


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
            keras.layers.SeparableConv2D(6, 3, name="separable"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
        ]
    )
    report = energy.count_model(model, np.ones((1, 8, 8, 2), dtype="float32"))
    macs = {part.name: part.macs for part in report.parts}
    assert macs["conv"] == 6 * 6 * 3 * 3 * 2 * 5
    assert macs["depthwise"] == 5 * 5 * 2 * 2 * 10
    assert macs["transposed"] == 5 * 5 * 3 * 3 * 10 * 4
    assert macs["separable"] == 9 * 9 * (9 * 4 + 4 * 6)
    embedding = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(5, 2)])
    with pytest.raises(ValueError, match="Embedding, are unknown"):
        energy.count_model(embedding, np.ones((1, 3)))


DENSE = keras.layers.Dense


@pytest.mark.core
def test_each_use_of_a_layer():
    """Operations count in each place where a layer is called, its parameters once."""
    x, a, b = np.ones((3, 10)), keras.Input((10,)), keras.Input((10,))
    dense, relu, joined = DENSE(10), keras.layers.ReLU(), keras.layers.Concatenate()
    inner = keras.Model(a, relu(dense(a)))
    for inputs, output, macs, updates in [
        (a, dense(relu(dense(relu(a)))), 200, 20),
        ([a, b], joined([dense(a), dense(b)]), 200, 0),
        (b, inner(inner(b)), 200, 20),
        (b, dense(keras.Sequential([keras.Input((10,)), inner, inner])(b)), 300, 20),
    ]:
        model = keras.Model(inputs, output)
        report = energy.count_model(model, [x, x] if len(model.inputs) == 2 else x)
        assert (report.total("macs"), report.total("updates")) == (macs, updates)
        assert (report.total("parameters"), report.total("neurons")) == (110, updates)


class Twice(keras.Model):
    """A model with a call, and a training step, of its own."""

    def __init__(self):
        super().__init__()
        self.inner = DENSE(10, "relu")

    def call(self, x):
        return self.inner(self.inner(x))

    def train_step(self, *args):
        raise NotImplementedError


@pytest.mark.core
def test_models_with_a_call_of_their_own():
    model, x = Twice(), np.ones((3, 10))
    with pytest.raises(ValueError, match="has not been built; call it with examples first"):
        energy.count_model(model, x)
    model(x)
    report = energy.count_model(model, x)
    assert (report.total("macs"), report.total("neurons")) == (200, 20)
    assert report.total("parameters") == 110
    assert "call" not in vars(model.inner)


@pytest.mark.core
def test_wrappers():
    """Steps of a TimeDistributed layer, and both directions of a Bidirectional one."""
    x, inputs = np.ones((2, 8, 6, 3)), keras.Input((8, 6, 3))
    inside = keras.Sequential([keras.Input((6, 3)), DENSE(4), keras.layers.Flatten()])
    each = keras.layers.TimeDistributed
    both = keras.layers.Bidirectional(keras.layers.SimpleRNN(5, return_sequences=True))
    output = each(keras.layers.ReLU())(both(each(inside)(inputs)))
    report = energy.count_model(keras.Model(inputs, output), x)
    parts = {part.kind: part for part in report.parts}
    assert parts["Dense"].macs == 8 * 6 * 3 * 4
    recurrent = [part for part in report.parts if part.kind == "SimpleRNN"]
    assert [part.macs for part in recurrent] == [8 * (24 * 5 + 25)] * 2
    assert [(part.neurons, part.updates) for part in recurrent] == [(5, 40)] * 2
    assert (parts["ReLU"].neurons, parts["ReLU"].updates) == (10, 80)


def test_recurrent_layers():
    sequences, images = np.ones((2, 8, 3)), np.ones((2, 4, 5, 5, 2))
    for layer, x, macs in [
        (keras.layers.LSTM(5), sequences, 8 * 4 * (15 + 25)),
        (keras.layers.GRU(5, return_sequences=True), sequences, 8 * 3 * (15 + 25)),
        (keras.layers.ConvLSTM2D(3, 3, padding="same"), images, 4 * 25 * 4 * (9 * 6 + 9 * 9)),
        (layers.LMU(5, 4, 0.01), sequences, 8 * (8 + 4 + 20 + 60)),
        (layers.LMU(2, 4, 6, DENSE(5)), sequences, 8 * (6 + 40 + 40)),
        (layers.LegendreMemory(4, 6), sequences, 8 * 3 * 20),
    ]:
        model = keras.Sequential([keras.Input(x.shape[1:]), layer])
        assert energy.count_model(model, x).total("macs") == macs, layer


def test_given_rates_pass_through_layers_that_move_values():
    model = keras.Sequential(
        [
            keras.Input((STEPS, 4, 3)),
            layers.SpikingActivation("relu", dt=0.01, name="spikes"),
            keras.layers.TimeDistributed(keras.layers.Flatten()),
            DENSE(2, name="last"),
        ]
    )
    report = energy.count_model(model, np.ones((2, STEPS, 4, 3)), rates={"spikes": 20.0})
    assert report.parts[-1].synops == pytest.approx(STEPS * 24 * 20 * 0.01)


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
        with pytest.raises(ValueError, match="has not run yet"):
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
