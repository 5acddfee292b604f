"""Code that XLA cannot compile runs as a plain graph, without the user doing anything, and no data
is lost on the way.
"""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl

tf = pytest.importorskip("tensorflow")
blocks = pytest.importorskip("nengo_dl.runtime.backends.tensorflow_blocks")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="is about TensorFlow's XLA"
)


def printing(x):
    with tf.control_dependencies([tf.print("x:", tf.shape(x))]):
        return tf.identity(x)


def in_python(x):
    # TensorFlow keeps one tape for all calls of a py_function, so none goes back through a loop
    zeros = tf.py_function(lambda value: 0 * value, [x], tf.float32)
    return x + tf.stop_gradient(tf.ensure_shape(zeros, x.shape))


def in_numpy(x):
    return tf.ensure_shape(tf.numpy_function(lambda value: value, [x], tf.float32), x.shape)


def with_shape_from_values(x):
    n = tf.cast(tf.minimum(tf.abs(x[0, 0]), 3) + 1, tf.int32)
    return x + tf.reduce_sum(tf.zeros(tf.reshape(n, (1,))))


def network(function):
    """A trained weight for each of two inputs, with the function behind them."""
    with nengo.Network(seed=0) as net:
        inp = nengo.Node(np.zeros(2))
        scaled = nengo_dl.Layer(keras.layers.Dense(2, use_bias=False))(inp)
        nengo.Probe(nengo_dl.TensorNode(function, shape_in=(2,), shape_out=(2,), pass_time=False))
        nengo.Connection(scaled, net.all_nodes[-1], synapse=None)
    return net


def arrays(n_batches=6):
    rng = np.random.RandomState(0)
    return rng.normal(size=(4 * n_batches, 3, 2)), rng.normal(size=(4 * n_batches, 3, 2))


def weights(sim):
    return sim.keras_model.trainable_weights[0].numpy()


@pytest.mark.parametrize("function", [printing, in_python, with_shape_from_values])
def test_simulation_and_training(function, capfd):
    """The same outputs as without the function, and where it has a gradient the same training."""
    x, y = arrays(2)
    results = []
    for used in (tf.identity, function):
        with nengo_dl.Simulator(network(used), minibatch_size=4, progress_bar=False) as sim:
            sim.keras_model.trainable_weights[0].assign(np.eye(2))
            sim.run_steps(3, data=x[:4])
            predicted = sim.predict(x)[sim.model.probes[0]]
            sim.compile(keras.optimizers.SGD(0.1), loss="mse")
            losses = sim.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"]
            evaluated = sim.evaluate(x, y, verbose=0)["loss"]
            results.append([sim.data[sim.model.probes[0]], predicted, losses, evaluated])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert ("x:" in capfd.readouterr().err) == (function is printing)


def test_numpy_function():
    with nengo_dl.Simulator(network(in_numpy), minibatch_size=4, progress_bar=False) as sim:
        sim.keras_model.trainable_weights[0].assign(np.eye(2))
        x, _ = arrays(1)
        np.testing.assert_allclose(sim.predict(x)[sim.model.probes[0]], x, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # of Keras, where it was endless
@pytest.mark.parametrize("steps_per_epoch", [None, 3])
def test_generator_loses_no_batch(steps_per_epoch):
    """Each batch of a generator trains once, although XLA refuses when the first was drawn."""
    x, y = arrays()
    drawn = []

    def batches(epochs=1):
        for _ in range(epochs):
            for i in range(0, len(x), 4):
                drawn.append(i)
                yield {"node": x[i : i + 4]}, {"probe": y[i : i + 4]}

    found = []
    for function in (tf.identity, printing):
        with nengo_dl.Simulator(network(function), minibatch_size=4, progress_bar=False) as sim:
            sim.keras_model.trainable_weights[0].assign(np.eye(2))
            sim.compile(keras.optimizers.SGD(0.1), loss="mse")
            drawn.clear()
            sim.fit(
                batches(),
                steps_per_epoch=steps_per_epoch,
                epochs=2 if steps_per_epoch else 1,
                verbose=0,
            )
            assert drawn == list(range(0, len(x), 4))
            found.append(weights(sim))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


class PrintsInEvaluation(keras.layers.Layer):
    def call(self, inputs, training=False):
        return inputs if training else printing(inputs)


def test_refusal_in_validation_trains_nothing_twice():
    """Where only the evaluation holds such code, training goes on where it was."""
    x, y = arrays(2)
    layer = keras.Sequential([keras.layers.Dense(2), PrintsInEvaluation()])
    with nengo.Network() as net:
        nengo.Probe(nengo_dl.Layer(layer)(nengo.Node(np.zeros(2))))
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        history = sim.fit(x, y, validation_data=(x, y), epochs=3, verbose=0).history
        assert len(history["val_loss"]) == 3
        assert sim.keras_model.optimizer.iterations.numpy() == 6


def test_refusal_in_a_loss():
    def loss(y, outputs):
        return tf.reduce_mean(tf.square(printing(y) - outputs))

    x, y = arrays(2)
    with nengo_dl.Simulator(network(tf.identity), minibatch_size=4, progress_bar=False) as sim:
        sim.compile("sgd", loss=loss)
        sim.fit(x, y, verbose=0)
        assert sim.keras_model.optimizer.iterations.numpy() == 2


def test_other_errors_are_not_caught():
    def fails(x):
        return tf.reshape(x, (3, 5))

    with nengo_dl.Simulator(network(fails), minibatch_size=4, progress_bar=False) as sim:
        with pytest.raises(nengo.exceptions.SimulationError, match="fails"):
            sim.run_steps(1)


class OwnNeurons(nengo.neurons.RectifiedLinear):
    """Without a lowering."""

    def step(self, dt, J, output):
        output[...] = J > 0


@pytest.mark.filterwarnings("ignore:no gradient passes through operators:UserWarning")
@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
@pytest.mark.parametrize("spikes", [OwnNeurons(), nengo.PoissonSpiking(nengo.RectifiedLinear())])
def test_xla_is_not_asked_for_what_calls_python(spikes, monkeypatch):
    """Poisson neurons call Python in evaluation only."""
    asked = []
    original = blocks.traced_for_xla
    monkeypatch.setattr(blocks, "traced_for_xla", lambda *a: asked.append(a) or original(*a))
    with nengo.Network(seed=0) as net:
        node, out = nengo.Node([0.0]), nengo.Node(size_in=1)
        ens = nengo.Ensemble(5, 1, neuron_type=spikes)
        nengo.Connection(node, ens)
        nengo.Connection(ens.neurons, out, transform=np.zeros((1, 5)), synapse=None)
        probe = nengo.Probe(out)
    x = np.ones((4, 2, 1))
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        sim.compile("sgd", {probe: "mse"})
        sim.fit(x, {probe: x}, verbose=0)
        in_training = isinstance(spikes, nengo.PoissonSpiking)
        assert (len(asked), bool(sim.keras_model.jit_compile)) == (in_training, in_training)
        sim.evaluate(x, {probe: x}, verbose=0)
        assert sim.keras_model.jit_compile is False


def test_xla_is_not_asked_for_what_prints(caplog):
    x, y = arrays(2)
    with nengo_dl.Simulator(network(printing), minibatch_size=4) as sim:
        sim.compile("sgd", loss="mse")
        with caplog.at_level("INFO", logger="nengo_dl"):
            sim.fit(x, y, verbose=0)
        assert sim.keras_model.jit_compile is False
    assert "which run on the host: PrintV2" in caplog.text
