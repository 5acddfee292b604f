"""Whole Keras models inside networks, and their layers one by one."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops

import nengo_dl
from tensor_nodes.running import fit

SHAPE = (8, 8, 1)


def cnn_layers():
    return [
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(6, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]


def stripes(n):
    """Noisy images of three classes of stripes, and the classes as targets of three outputs."""
    rng = np.random.RandomState(0)
    classes = np.arange(n) % 3
    rows, columns = np.mgrid[:8, :8]
    patterns = np.stack([rows % 2, columns % 2, (rows + columns) % 2]) - 0.5
    images = patterns[classes] + rng.normal(scale=0.1, size=(n, 8, 8))
    return images.reshape(n, 1, 64).astype(np.float32), np.eye(3, dtype=np.float32)[classes, None]


@pytest.fixture(scope="module")
def cnn():
    """A trained Keras model: first weights, losses, outputs."""
    model = keras.Sequential([keras.Input(SHAPE), *cnn_layers()])
    first = model.get_weights()
    x, y = stripes(24)
    images = x.reshape(-1, *SHAPE)
    outputs = model.predict(images, verbose=0)
    model.compile(keras.optimizers.SGD(0.05), loss="mse")
    history = model.fit(images, y[:, 0], batch_size=8, epochs=3, shuffle=False, verbose=0)
    return first, outputs, history.history["loss"]


def whole(layers):
    """The model in one TensorNode."""
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(64))
        model = keras.Sequential(layers)
        nengo.Probe(nengo_dl.Layer(model)(inp, shape_in=SHAPE))
    return net


def split(layers):
    """Each of its layers in one."""
    with nengo.Network() as net:
        x, shape = nengo.Node(np.zeros(64)), SHAPE
        for layer in layers:
            x = nengo_dl.Layer(layer)(x, shape_in=shape)
            shape = x.shape_out
        nengo.Probe(x)
    return net


@pytest.mark.core
@pytest.mark.parametrize("place", [whole, split])
def test_cnn_trains_as_in_keras(cnn, place):
    """A CNN in a TensorNode, and split into Layer calls: the same outputs and losses."""
    first, outputs, losses = cnn
    layers = cnn_layers()
    net = place(layers)
    keras.Sequential([keras.Input(SHAPE), *layers]).set_weights(first)
    x, y = stripes(24)
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        ours = sim.predict(x)[net.probes[0]]
        np.testing.assert_allclose(ours[:, 0], outputs, atol=1e-5)
        sim.compile(keras.optimizers.SGD(0.05), loss="mse")
        history = sim.fit(x, y, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, atol=1e-5)


def test_cnn_of_spiking_neurons_trains():
    """Its activations replaced by LIF neurons: it learns."""
    keras.utils.set_random_seed(0)
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([1])
        net.config[nengo.Connection].synapse = None
        lif = nengo.LIF(amplitude=0.02)
        x = nengo.Node(np.zeros(64))
        first = nengo_dl.Layer(keras.layers.Conv2D(4, 3))(x, shape_in=SHAPE)
        x = nengo_dl.Layer(lif)(first, transform=30)
        x = nengo_dl.Layer(keras.layers.MaxPooling2D())(x, shape_in=first.shape_out)
        second = nengo_dl.Layer(keras.layers.Conv2D(6, 2))(x, shape_in=(3, 3, 4))
        x = nengo_dl.Layer(lif)(second, transform=10)
        out = nengo_dl.Layer(keras.layers.Dense(3))(x)
        nengo.Probe(out)
    x, y = stripes(48)
    with nengo_dl.Simulator(net, minibatch_size=24, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.02), loss="mse")
        losses = sim.fit(x, y, epochs=15, verbose=0).history["loss"]
        assert losses[-1] < 0.3 * losses[0]


def u_net():
    """Two images in, an image and a number out, with a connection past the middle."""
    image, mask = keras.Input((8, 8, 1), name="image"), keras.Input((8, 8, 1), name="mask")
    x = keras.layers.Concatenate()([image, mask])
    top = keras.layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    middle = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(top)
    number = keras.layers.Dense(1, name="number")(keras.layers.Flatten()(middle))
    up = keras.layers.Conv2DTranspose(3, 3, strides=2, padding="same")(middle)
    x = keras.layers.Concatenate()([up, top])
    return keras.Model([image, mask], [keras.layers.Conv2D(1, 1)(x), number])


def test_u_net():
    """Several inputs and outputs: whole, and with the connection past the middle in Nengo."""
    model = u_net()
    rng = np.random.RandomState(0)
    image, mask = rng.normal(size=(2, 4, 1, 64)).astype(np.float32)
    expected = model.predict([v.reshape(-1, *SHAPE) for v in (image, mask)], verbose=0)
    with nengo.Network() as net:
        a, b = nengo.Node(np.zeros(64)), nengo.Node(np.zeros(64))
        picture, number = nengo_dl.Layer(model)([a, b], shape_in=[SHAPE, SHAPE])
        probes = [nengo.Probe(picture), nengo.Probe(number)]
    assert picture.obj.shape_out == [(8, 8, 1), (1,)]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        found = sim.predict([image, mask])
        for probe, values in zip(probes, expected, strict=True):
            np.testing.assert_allclose(found[probe][:, 0], values.reshape(4, -1), atol=1e-5)
        before = model.get_weights()
        sim.compile("sgd", loss="mse")
        sim.fit([image, mask], [image, mask[:, :, :1]], verbose=0)
    assert all(np.any(b != w) for b, w in zip(before, model.get_weights(), strict=True))


def test_skip_connection_in_nengo():
    """A layer with several inputs at the end of two paths through the network."""
    top, middle = keras.layers.Dense(3), keras.layers.Dense(2)
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(4))
        first = nengo_dl.Layer(top)(inp)
        second = nengo_dl.Layer(middle)(first)
        nengo.Probe(nengo_dl.Layer(keras.layers.Concatenate())([first, second]))
    x = np.random.RandomState(0).normal(size=(2, 1, 4)).astype(np.float32)
    h = top(x[:, 0])
    expected = ops.convert_to_numpy(ops.concatenate([h, middle(h)], axis=-1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict(x)[net.probes[0]][:, 0], expected, atol=1e-6)


def test_pretrained_features(tmp_path):
    """A model from a ``.keras`` file, frozen; an ensemble learns from its features."""
    keras.utils.set_random_seed(0)
    x, y = stripes(48)
    model = keras.Sequential([keras.Input(SHAPE), *cnn_layers()])
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    model.fit(x.reshape(-1, *SHAPE), y[:, 0], epochs=5, verbose=0)
    features = keras.Model(model.inputs, model.layers[-2].output)
    features.save(tmp_path / "features.keras")

    loaded = keras.saving.load_model(tmp_path / "features.keras")
    loaded.trainable = False
    with nengo.Network(seed=0) as net:
        inp = nengo.Node(np.zeros(64))
        found = nengo_dl.Layer(loaded)(inp, shape_in=SHAPE)
        ens = nengo.Ensemble(
            40, 1, neuron_type=nengo.RectifiedLinear(), gain=np.ones(40), bias=np.zeros(40)
        )
        nengo.Connection(found, ens.neurons, transform=nengo_dl.dists.Glorot(), synapse=None)
        out = nengo.Node(size_in=3)
        nengo.Connection(ens.neurons, out, transform=nengo_dl.dists.Glorot(), synapse=None)
        nengo.Probe(out)
    before = loaded.get_weights()
    losses = fit(net, x, y, keras.optimizers.Adam(0.01), minibatch_size=12, epochs=15)
    assert losses[-1] < 0.3 * losses[0]
    for old, now, saved in zip(before, loaded.get_weights(), features.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
        np.testing.assert_array_equal(old, saved)
