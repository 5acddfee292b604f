"""Nengo networks as layers of Keras models."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ValidationError

import nengo_dl


def make_network(n_neurons=20, seed=0):
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Connection].synapse = None
        stimulus = nengo.Node(np.zeros(3), label="stimulus")
        with nengo.Network(label="inner"):
            ens = nengo.Ensemble(n_neurons, 3, label="ens")
        out = nengo.Node(size_in=2)
        nengo.Connection(stimulus, ens)
        nengo.Connection(ens, out, transform=nengo_dl.dists.Glorot())
        nengo.Probe(out, label="out", synapse=0.003)
    return net


@keras.saving.register_keras_serializable(package="tests")
def registered(n_neurons=20):
    net = make_network(n_neurons, seed=None)
    return net, net.all_nodes[:1], net.all_probes


def dense_network_dense(layer, n_steps=None):
    shape = (5,) if n_steps is None else (n_steps, 5)
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Dense(3), layer, keras.layers.Dense(1)]
    )


def data(n_items=24, n_steps=None):
    rng = np.random.RandomState(0)
    steps = () if n_steps is None else (n_steps,)
    x = rng.normal(size=(n_items, *steps, 5)).astype(np.float32)
    return x, np.sum(x[..., :2], axis=-1, keepdims=True) ** 2


@pytest.mark.core
def test_same_output_as_the_simulator():
    """For sequences, and for a value that is held."""
    net = make_network()
    x = np.random.RandomState(1).uniform(-1, 1, size=(4, 6, 3)).astype(np.float32)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        expected = sim.predict(x)[net.all_probes[0]]
        held = sim.predict(np.repeat(x[:, :1], 6, axis=1))[net.all_probes[0]][:, -1]
    layer = nengo_dl.NengoLayer(net, n_steps=6)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x[:, 0])), held, atol=1e-6)
    assert layer(keras.KerasTensor((None, 6, 3))).shape == (None, 6, 2)
    assert layer(keras.KerasTensor((None, 3))).shape == (None, 2)


@pytest.mark.core
@pytest.mark.parametrize("n_steps", [None, 4])
def test_trains_between_dense_layers(n_steps):
    """All three parts change, the loss falls, and a last smaller batch is no trouble."""
    keras.utils.set_random_seed(0)
    layer = nengo_dl.NengoLayer(make_network(), n_steps=3, minibatch_size=8)
    model = dense_network_dense(layer, n_steps)
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    x, y = data(20, n_steps)
    before = [part.get_weights() for part in model.layers]
    assert len(model.layers[1].trainable_weights) == 3  # encoders, biases, weights
    losses = model.fit(x, y, batch_size=8, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    for part, old in zip(model.layers, before, strict=True):
        changed = [np.any(o != n) for o, n in zip(old, part.get_weights(), strict=True)]
        assert sum(changed) >= 2
    predicted = model.predict(x, batch_size=8, verbose=0)
    one_by_one = np.concatenate(
        [ops.convert_to_numpy(model(x[i : i + 10])) for i in range(0, 20, 10)]
    )
    np.testing.assert_allclose(predicted, one_by_one, atol=1e-5)


def test_several_inputs_and_outputs():
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node([0.0], label="a"), nengo.Node([0.0, 0.0], label="b")
        moving = nengo.Node(lambda t: t)
        total = nengo.Node(size_in=2)
        nengo.Connection(a, total, transform=[[1], [1]], synapse=None)
        nengo.Connection(b, total, synapse=None)
        nengo.Connection(moving, total[0], synapse=None)
        nengo.Probe(total)
        nengo.Probe(a)
    layer = nengo_dl.NengoLayer(net, inputs=["b", a], n_steps=2)
    first, second = layer([np.array([[1.0, 2.0]]), np.array([[10.0]])])
    np.testing.assert_allclose(first, [[11.002, 12]], rtol=1e-6)
    np.testing.assert_allclose(second, [[10]])
    named = layer({"a": np.array([[10.0]]), "b": np.array([[1.0, 2.0]])})
    np.testing.assert_allclose(named[0], first)
    inputs = keras.Input((2,)), keras.Input((1,))
    model = keras.Model(inputs, layer(list(inputs)))
    found = model.predict([np.array([[1.0, 2.0]]), np.array([[10.0]])], verbose=0)
    np.testing.assert_allclose(found[0], first)


def test_keras_layers_inside():
    """Their weights train with the rest and their state is kept."""
    norm, dense = keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(2)
    with nengo.Network() as net:
        x = nengo_dl.Layer(norm)(nengo.Node(np.zeros(3)))
        nengo.Probe(nengo_dl.Layer(dense)(x))
    layer = nengo_dl.NengoLayer(net, minibatch_size=8)
    model = dense_network_dense(layer)
    assert len(layer.trainable_weights) == 4
    model.compile("sgd", loss="mse")
    before = dense.get_weights()[0]
    x, y = data(16)
    model.fit(x, y, batch_size=8, verbose=0)
    assert np.any(dense.get_weights()[0] != before)
    assert np.all(ops.convert_to_numpy(norm.moving_mean) != 0)
    layer.trainable = False
    assert not layer.trainable_weights


def test_whole_model_is_saved_by_a_registered_function(tmp_path):
    """The network is made anew by the function, with its arguments, its seed and the weights."""
    layer = nengo_dl.NengoLayer(registered, n_steps=3, arguments={"n_neurons": 10})
    model = dense_network_dense(layer)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x, y = data()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)
    assert loaded.layers[1].network.all_ensembles[0].n_neurons == 10
    loaded.fit(x, y, verbose=0)


def test_weights_are_saved_by_name(tmp_path):
    """Those of a network that another run of the same code makes; also without a seed."""
    x, _ = data()
    net = make_network(seed=None)
    model = dense_network_dense(nengo_dl.NengoLayer(net, n_steps=3))
    other = make_network(seed=None)
    with other:
        nengo_dl.configure_settings(planner=nengo_dl.graph_optimizer.noop_planner)
    loaded = dense_network_dense(nengo_dl.NengoLayer(other, n_steps=3))
    before = loaded.predict(x, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    loaded.load_weights(tmp_path / "model.weights.h5")
    expected = model.predict(x, verbose=0)
    assert np.abs(before - expected).max() > 1e-3
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=1e-6)
    wrong = dense_network_dense(nengo_dl.NengoLayer(make_network(n_neurons=5)))
    with pytest.raises((ValidationError, ValueError), match="shape"):
        wrong.load_weights(tmp_path / "model.weights.h5")


def test_what_cannot_be_saved_says_what_to_do(tmp_path):
    model = dense_network_dense(nengo_dl.NengoLayer(make_network()))
    with pytest.raises(NotImplementedError, match="register_keras_serializable.*save_weights"):
        model.save(tmp_path / "model.keras")
    model = dense_network_dense(nengo_dl.NengoLayer(make_network, arguments={"n_neurons": 3}))
    with pytest.raises(NotImplementedError, match="register_keras_serializable"):
        model.save(tmp_path / "model.keras")
    config = nengo_dl.NengoLayer(registered).get_config()
    with pytest.raises(ValueError, match="tests>nothing.*import the module"):
        nengo_dl.NengoLayer.from_config({**config, "network": "tests>nothing"})


def test_freeze():
    """The trained network in Nengo objects gives the same in Nengo's own simulator."""
    keras.utils.set_random_seed(0)
    net = make_network()
    layer = nengo_dl.NengoLayer(net, n_steps=3, minibatch_size=8)
    model = dense_network_dense(layer)
    model.compile(keras.optimizers.SGD(1e-4), loss="mse")
    model.fit(*data(16), batch_size=8, verbose=0)
    layer.freeze_params()
    x = np.array([[0.3, -0.2, 0.5]], np.float32)
    net.all_nodes[0].output = x[0]
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
    np.testing.assert_allclose(layer(x)[0], sim.data[net.all_probes[0]][-1], atol=1e-5)


def python_in_the_loop():
    net = make_network()
    with net:
        nengo.Connection(net.all_nodes[0], nengo.Node(lambda t, x: x, size_in=3))
    return net


def without_probes():
    with nengo.Network() as net:
        nengo.Node([0.0])
    return net


@pytest.mark.parametrize(
    "network, kwargs, text",
    [
        (python_in_the_loop, {}, "Python code.*TensorNode"),
        (without_probes, {}, "has no Probe"),
        (make_network, {"inputs": ["nothing"]}, "0 objects have the label 'nothing'.*stimulus"),
        (make_network, {"inputs": [3]}, "3 is not a Node"),
        (make_network, {"outputs": "stimulus"}, "label 'stimulus'.*out"),
        (make_network, {"n_steps": 0}, "n_steps"),
        (make_network, {"dt": -1}, "time step"),
        (lambda: 3, {}, "returned 3; expected a nengo.Network"),
        (3, {}, "expected a nengo.Network or a function"),
    ],
)
def test_errors(network, kwargs, text):
    with pytest.raises(ValidationError, match=text):
        nengo_dl.NengoLayer(network, **kwargs)


def test_errors_of_shapes():
    layer = nengo_dl.NengoLayer(make_network(), name="mine", n_steps=4)
    for shape in [(2, 4), (2,), (2, 3, 4), (2, 3, 3, 3)]:
        with pytest.raises(ValueError, match="mine got inputs of shapes.*held for 4 steps"):
            layer(np.zeros(shape))
    with pytest.raises(ValueError, match="mine got 2 inputs; expected one for each"):
        layer([np.zeros((2, 3))] * 2)
    with pytest.raises(ValueError, match="named"):
        layer({"other": np.zeros((2, 3))})
