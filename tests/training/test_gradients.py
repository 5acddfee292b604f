"""Gradients: numeric checks, surrogates, segments computed again, and paths without any."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ConfigError, SimulationError

import nengo_dl
from nengo_dl import surrogates

RATES = nengo.dists.Uniform(50, 100)


def network(neurons, **settings):
    """An input, recurrent ensembles, several synapses and transforms."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        net.inp = nengo.Node(np.ones(4), label="inp")
        a = nengo.Ensemble(20, 2, neuron_type=neurons, max_rates=RATES, intercepts=[-0.5] * 20)
        b = nengo.Ensemble(15, 3, neuron_type=neurons, max_rates=RATES, intercepts=[-0.5] * 15)
        out = nengo.Node(size_in=3, label="out")
        nengo.Connection(net.inp, a.neurons, transform=nengo.dists.Gaussian(0, 0.1))
        nengo.Connection(net.inp[:2], a, synapse=nengo.Alpha(0.01))
        nengo.Connection(a, b[:2], synapse=nengo.LinearFilter([1], [1e-4, 0.02, 1]))
        nengo.Connection(a, b[:2], synapse=nengo.Triangle(0.003))
        nengo.Connection(b, b, synapse=0.1, function=lambda x: 0.5 * x)
        nengo.Connection(b.neurons, out, transform=nengo.dists.Gaussian(0, 0.001))
        net.p = nengo.Probe(out, synapse=0.01, label="p")
        net.spikes = nengo.Probe(a.neurons, label="spikes")
    return net


@pytest.mark.parametrize(
    "neurons",
    [
        nengo.LIFRate(),
        nengo.LIF(),
        nengo.AdaptiveLIF(),
        nengo.AdaptiveLIFRate(),
        nengo.RectifiedLinear(),
        nengo.SpikingRectifiedLinear(),
        nengo.RegularSpiking(nengo.LIFRate()),
        nengo_dl.SoftLIFRate(),
        nengo_dl.LeakyReLU(),
    ],
    ids=lambda neurons: type(neurons).__name__,
)
def test_neuron_types(neurons):
    with nengo_dl.Simulator(network(neurons, dtype="float64"), minibatch_size=2) as sim:
        sim.check_gradients(atol=1e-5, rtol=1e-3)


def test_transforms():
    convolution = nengo.Convolution(2, (4, 4, 1), kernel_size=(2, 2))
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        inp = nengo.Node(np.linspace(-1, 1, 16))
        a = nengo.Ensemble(18, 1, neuron_type=nengo.Tanh(), gain=[1] * 18, bias=[0.1] * 18)
        out = nengo.Node(size_in=18)
        nengo.Connection(inp, a.neurons, transform=convolution, synapse=None)
        sparse = nengo.Sparse((18, 18), indices=[[i, 17 - i] for i in range(18)], init=0.3)
        nengo.Connection(a.neurons, out, transform=sparse, synapse=None)
        nengo.Connection(a.neurons[:3], out[:3], transform=[0.5, -1, 2])
        nengo.Probe(out)
    with nengo_dl.Simulator(net) as sim:
        sim.check_gradients(n_steps=3)


@pytest.mark.core
@pytest.mark.parametrize(
    "neurons", [nengo.RectifiedLinear(), nengo.LIFRate(), nengo.LIF(), nengo.Sigmoid()], ids=str
)
@pytest.mark.parametrize("synapse", [None, 0.01])
def test_no_false_alarm_in_single_precision(neurons, synapse):
    with nengo.Network(seed=1) as net:
        inp, ens = nengo.Node([0.3]), nengo.Ensemble(20, 1, neuron_type=neurons)
        nengo.Connection(inp, ens, synapse=synapse)
        nengo.Probe(ens)
        nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net) as sim:
        sim.check_gradients()


def test_values_on_a_threshold():
    """A rectifier at 0 has a derivative on either side; the one that is used is one of them."""
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.0])
        ens = nengo.Ensemble(
            3, 1, neuron_type=nengo.RectifiedLinear(), gain=[1, 1, 1], bias=[0, 0, 1]
        )
        nengo.Connection(inp, ens, synapse=None)
        nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net) as sim:
        sim.check_gradients()


@pytest.mark.parametrize("name", ["x / x", "1 / x", "sqrt(x)", "0 * log(x)"])
@pytest.mark.parametrize("trained", [False, True])
def test_values_that_are_not_finite_are_found(name, trained):
    functions = {
        "x / x": lambda x: x / x,
        "1 / x": lambda x: 1 / x,
        "sqrt(x)": keras.ops.sqrt,
        "0 * log(x)": lambda x: 0 * keras.ops.log(x),
    }
    with nengo.Network(seed=0) as net:
        inp, out = nengo.Node([0.0, 0.0]), nengo.Node(size_in=2)
        if trained:
            nengo.Connection(inp, out, transform=[1.0, 1.0], synapse=None)
        else:
            nengo.Connection(inp, out, synapse=None)
        nengo.Probe(nengo_dl.Layer(functions[name])(out))
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(SimulationError, match="is NaN or infinite"):
            sim.check_gradients()
        if name in ("1 / x", "sqrt(x)"):  # at 1 all is well
            sim.check_gradients({inp: np.ones((1, 2, 2))})


def test_inputs_and_outputs_of_a_check():
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node([1.0]), nengo.Node([1.0])
        p = nengo.Probe(nengo_dl.Layer(lambda x: 1 / x)(a))
        q = nengo.Probe(nengo_dl.Layer(lambda x: 1 / x)(b))
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        sim.check_gradients([np.ones((2, 3, 1)), np.full((2, 3, 1), 2.0)])
        zero = {a: np.zeros((2, 3, 1))}
        sim.check_gradients(zero, q)
        with pytest.raises(SimulationError, match="is NaN or infinite"):
            sim.check_gradients(zero, outputs=[p, q])


def test_a_check_of_nothing_says_so():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Node(lambda t: t))
    with nengo_dl.Simulator(net) as sim:
        sim.check_gradients()  # the output is the input
    with nengo.Network(seed=0) as net:
        nengo.Node([0.0])
        nengo.Probe(nengo_dl.TensorNode(lambda t: keras.ops.ones((1, 1))))
    with nengo_dl.Simulator(net) as sim:
        with pytest.warns(UserWarning, match="compared nothing: no output depends"):
            sim.check_gradients()
    with nengo_dl.Simulator(network(nengo.LIF(), surrogate="fast_sigmoid")) as sim:
        with pytest.warns(UserWarning, match="compared nothing.*surrogate"):
            sim.check_gradients()


def test_a_check_through_python_code_says_what_is_in_the_way():
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.5])
        double = nengo.Node(lambda t, x: 2 * x, size_in=1, label="double")
        nengo.Connection(inp, double, synapse=None)
        nengo.Probe(double)
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(SimulationError, match="no gradient passes through Python code"):
            sim.check_gradients()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_gradient_is_found(monkeypatch, dtype):
    with nengo_dl.Simulator(network(nengo.LIFRate(), dtype=dtype)) as sim:
        backend = sim._engine.backend
        right = backend.gradients
        monkeypatch.setattr(
            backend, "gradients", lambda *args: [1.1 * np.asarray(g) for g in right(*args)]
        )
        with pytest.raises(SimulationError, match="finite differences give"):
            sim.check_gradients()


@pytest.mark.core
@pytest.mark.parametrize("surrogate", ["fast_sigmoid", "softlif"])
def test_surrogates_keep_the_spikes_and_train(surrogate):
    net = network(nengo.LIF(), surrogate=surrogate)
    with nengo_dl.Simulator(net, minibatch_size=4) as sim:
        x = np.random.RandomState(0).uniform(0, 1, size=(16, 25, 4)).astype(np.float32)
        target = np.ones((16, 25, 3)) * np.linspace(0, 1, 25)[None, :, None]
        inference = sim.keras_model({"inp": x[:4]}, training=False)["spikes"]
        training = sim.keras_model({"inp": x[:4]}, training=True)["spikes"]
        np.testing.assert_array_equal(np.asarray(training), np.asarray(inference))
        assert np.asarray(training).max() > 0
        sim.compile(keras.optimizers.Adam(0.003), loss={net.p: "mse"})
        # in a fixed order: in one of fourteen random ones a surrogate overshoots
        history = sim.fit(x, {net.p: target}, epochs=6, shuffle=False, verbose=0).history
    loss = history["loss"]
    assert loss[-1] < 0.7 * loss[0]


@pytest.mark.parametrize("neurons", [nengo.Izhikevich(), nengo.AdaptiveLIF()])
def test_neurons_without_a_simple_rate_have_gradients(neurons):
    with nengo_dl.Simulator(network(neurons), minibatch_size=4) as sim:
        x = np.ones((4, 30, 4))
        sim.compile(keras.optimizers.Adam(0.01), loss={"p": "mse"})
        before = [np.array(w) for w in sim.keras_model.get_weights()[:3]]
        sim.fit(x, {"p": np.ones((4, 30, 3))}, verbose=0)
        after = sim.keras_model.get_weights()[:3]
    assert all(np.any(a != b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize(
    ("surrogate", "at_zero", "width"),
    [
        (surrogates.fast_sigmoid(10), 1.0, 0.1),
        (surrogates.arctan(2), 1.0, 1 / np.pi),
        (surrogates.triangle(0.5), 2.0, 0.25),
    ],
)
def test_shapes_of_surrogates(surrogate, at_zero, width):
    """Symmetric, largest at the threshold; ``width`` is where they fall to a half or a quarter."""
    x = np.array([-width, 0.0, width])
    left, middle, right = np.asarray(surrogate(keras.ops.convert_to_tensor(x)))
    assert middle == pytest.approx(at_zero)
    assert left == pytest.approx(right)
    assert right == pytest.approx(at_zero * (0.25 if at_zero == 1 and width == 0.1 else 0.5))


def test_unknown_surrogate():
    with pytest.raises(ConfigError, match="'sharp'.*fast_sigmoid"):
        nengo_dl.Simulator(network(nengo.LIF(), surrogate="sharp"))


@pytest.mark.core
@pytest.mark.parametrize("segments", [True, 4])
def test_segments_change_nothing(segments):
    x = np.random.RandomState(1).uniform(0, 1, size=(4, 23, 4))
    y = np.ones((4, 23, 3))
    losses = []
    for setting in (None, segments):
        net = network(nengo.LIFRate(), dtype="float64", checkpoint_segments=setting)
        with nengo_dl.Simulator(net, minibatch_size=2) as sim:
            sim.compile(keras.optimizers.SGD(1e-5), loss={net.p: "mse"})
            history = sim.fit(x, {net.p: y}, epochs=3, shuffle=False, verbose=0).history
            losses.append(history["loss"])
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


def test_python_code_in_the_way():
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(10, 1)
        node = nengo.Node(lambda t, x: x**2, size_in=1, label="square")
        nengo.Connection(a, node)
        behind, beside = nengo.Probe(node), nengo.Probe(a)
    y = np.ones((2, 5, 1))
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        sim.compile("sgd", loss={behind: "mse"})
        with pytest.raises(SimulationError, match="no gradient reaches.*square"):
            sim.fit(None, {behind: y}, n_steps=5, verbose=0)
        sim.compile("sgd", loss={behind: "mse", beside: "mse"})
        with pytest.warns(UserWarning, match="no gradient passes through.*square"):
            sim.fit(None, {behind: y, beside: y}, n_steps=5, verbose=0)
