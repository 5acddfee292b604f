"""Keras layers in networks: weights, state, randomness, training."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ValidationError

import nengo_dl
from tensor_nodes.running import fit, run


class Scale(keras.layers.Layer):
    """A weight that is made in ``build``, as users write it: without calling the base class."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")

    def call(self, inputs):
        return inputs * self.w


class ByPhase(keras.layers.Layer):
    def call(self, inputs, training=False):
        return inputs + (1.0 if training else 0.0)


@pytest.mark.core
@pytest.mark.parametrize("jit", [None, False])
def test_batch_normalization_ten_steps(jit):
    """Ends with the statistics of ten calls in Keras, with and without XLA."""
    rng = np.random.RandomState(0)
    x = rng.normal(1, 2, size=(4, 10, 3)).astype(np.float32)
    with nengo.Network() as net:
        nengo_dl.configure_settings(jit_compile=jit, learning_phase=True)
        layer = keras.layers.BatchNormalization(momentum=0.9)
        inp = nengo.Node(np.zeros(3))
        probe = nengo.Probe(nengo_dl.Layer(layer)(inp))
    keras_layer = keras.layers.BatchNormalization(momentum=0.9)
    expected = [ops.convert_to_numpy(keras_layer(x[:, i], training=True)) for i in range(10)]
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        sim.fit({inp: x}, {probe: np.zeros((4, 10, 3))}, verbose=0)
        for ours, theirs in zip(layer.get_weights(), keras_layer.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        sim.compile(keras.optimizers.SGD(0.0), loss="mae")
        loss = sim.evaluate({inp: x}, {probe: np.stack(expected, axis=1)}, verbose=0)["loss"]
        assert loss < 1e-6  # in each step with the statistics of that step's minibatch
    with net:
        nengo_dl.configure_settings(learning_phase=None)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        for variable, value in zip(layer.variables, [1, 0, 0, 1], strict=True):
            variable.assign(np.full(3, value, np.float32))
        predicted = sim.predict({inp: x})[probe]  # not in training: the moving statistics
        assert np.abs(predicted - np.stack(expected, axis=1)).max() > 0.1
        np.testing.assert_allclose(predicted, x / np.sqrt(1.001), rtol=1e-5)


def test_batch_normalization_in_fit():
    """The statistics move in training and not in evaluation."""
    with nengo.Network() as net:
        layer = keras.layers.BatchNormalization(momentum=0.5)
        nengo.Probe(nengo_dl.Layer(layer)(nengo.Node(np.zeros(2))))
    x = np.full((4, 3, 2), 8.0)
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        sim.evaluate(x, x, verbose=0)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.moving_mean), 0)
        sim.fit(x, x, epochs=1, verbose=0)
        # two minibatches of three steps
        moved = 8 * (1 - 0.5**6)
        np.testing.assert_allclose(ops.convert_to_numpy(layer.moving_mean), moved, rtol=1e-6)
        sim.reset(include_trainable=True)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer.moving_mean), 0)


@pytest.mark.core
def test_training_flag_and_dropout():
    """Layers are told when they are trained; each item and step drops other values."""
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(50))
        phase = nengo.Probe(nengo_dl.Layer(ByPhase())(inp[:1]))
        dropout = keras.layers.Dropout(0.5, seed=0)
        model = keras.Sequential([dropout, keras.layers.Dense(50, use_bias=False)])
        dropped = nengo.Probe(nengo_dl.Layer(model)(inp))
    x = np.ones((2, 6, 50))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        model.layers[1].set_weights([np.eye(50)])
        assert np.all(sim.predict(x)[phase] == 1) and np.all(sim.predict(x)[dropped] == 1)
        sim.compile(keras.optimizers.SGD(0.0), loss="mse")
        x = {inp: x}
        zeros = {phase: np.zeros((2, 6, 1)), dropped: np.zeros((2, 6, 50))}
        result = sim.evaluate(x, zeros, verbose=0)
        assert result["probe_loss"] == 1 and result["probe_1_loss"] == 1
        logs = sim.fit(x, zeros, verbose=0).history
        assert logs["probe_loss"] == [4]
        # squares of 0 and 2, each with probability 1/2
        assert 1.6 < logs["probe_1_loss"][0] < 2.4
        again = sim.fit(x, zeros, verbose=0).history
        assert again["probe_1_loss"] != logs["probe_1_loss"]


def test_dropout_differs_by_step_and_item():
    with nengo.Network() as net:
        layer = nengo_dl.Layer(lambda x: keras.random.dropout(x, 0.5, seed=generator))
        generator = keras.random.SeedGenerator(3)
        probe = nengo.Probe(layer(nengo.Node(np.ones(40))))
    values = run(net, 5, minibatch_size=3)[probe].reshape(15, 40)
    assert set(np.unique(values)) == {0, 2}
    assert len(np.unique(values, axis=0)) == 15


@pytest.mark.core
def test_custom_layer():
    with nengo.Network() as net:
        layer = Scale()
        inp = nengo.Node(np.zeros(2))
        nengo.Probe(nengo_dl.Layer(layer)(inp))
    losses = fit(net, np.ones((2, 1, 2)), np.full((2, 1, 2), 3.0), keras.optimizers.SGD(0.25))
    assert losses == [4.0]
    # gradient of the mean of (w - 3)^2 over two values: w - 3
    np.testing.assert_allclose(layer.get_weights()[0], [1.5, 1.5])


def test_classes_of_layers():
    with nengo.Network():
        inp = nengo.Node(np.zeros(2))
        made = nengo_dl.Layer(keras.layers.Dense)(inp, units=3, use_bias=False)
        flat = nengo_dl.TensorNode(keras.layers.Flatten, shape_in=(2, 3), pass_time=False)
    assert made.tensor_func.units == 3 and not made.tensor_func.use_bias
    assert flat.shape_out == (6,)


def test_shared_layer():
    """The same layer in two TensorNodes has one set of weights, trained by both."""
    dense = keras.layers.Dense(3, use_bias=False)
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(3))
        hidden = nengo_dl.Layer(dense)(inp)
        nengo.Probe(nengo_dl.Layer(dense)(hidden))
    x, y = np.random.RandomState(0).normal(size=(2, 4, 1, 3))
    first = dense.get_weights()[0]
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        assert len(sim.keras_model.trainable_weights) == 1
        sim.compile(keras.optimizers.SGD(0.1), loss="mse")
        sim.fit(x, y, verbose=0)
    ours = dense.get_weights()[0]
    inputs = keras.Input((3,))
    model = keras.Model(inputs, dense(dense(inputs)))
    dense.set_weights([first])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.train_on_batch(x[:, 0], y[:, 0])
    np.testing.assert_allclose(ours, dense.get_weights()[0], atol=1e-6)


def test_trained_layer_is_the_users():
    """On leaving ``fit``, also after an error, the user's own layer has the trained weights, and
    other models with it use them; a reset gives back the first ones.
    """
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    with nengo.Network(seed=0) as net:
        tensor_node = nengo_dl.Layer(layer)(nengo.Node([1.0]))
        probe = nengo.Probe(tensor_node)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("stop")

    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.25), loss="mse")
        y = np.zeros((1, 1, 1))
        sim.fit(None, {probe: y}, n_steps=1, verbose=0)
        np.testing.assert_allclose(layer.get_weights()[0], [[0.5]])
        with pytest.raises(RuntimeError, match="stop"):
            sim.fit(None, {probe: y}, n_steps=1, epochs=9, verbose=0, callbacks=[Stop()])
        np.testing.assert_allclose(layer.get_weights()[0], [[0.125]])
        sim.freeze_params(net)
        np.testing.assert_allclose(ops.convert_to_numpy(layer(np.ones((1, 1)))), [[0.125]])
        assert tensor_node.tensor_func is layer
    np.testing.assert_allclose(run(net, 1)[probe], 0.125)


def test_frozen_layers_stay_out_of_the_carry():
    """Weights that training does not change are read only; making them trainable later works."""
    frozen = keras.layers.Dense(4, trainable=False)
    model = keras.Sequential([frozen, keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    with nengo.Network() as net:
        nengo.Probe(nengo_dl.Layer(model)(nengo.Node(np.ones(3))))
    x, y = np.ones((2, 2, 3)), np.ones((2, 2, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        carried = {variable.path.split("/")[-1] for variable in sim.keras_model.lowered.carried}
        assert carried == {"moving_mean", "moving_variance"}
        before = frozen.get_weights()[0]
        sim.compile("sgd", loss="mse")
        sim.fit(x, y, verbose=0)
        np.testing.assert_array_equal(frozen.get_weights()[0], before)
        frozen.trainable = True
        sim.compile("sgd", loss="mse")
        sim.fit(np.random.RandomState(0).normal(size=(2, 2, 3)), 9 * y, verbose=0)
        assert np.abs(frozen.get_weights()[0] - before).max() > 0


def test_regularizers():
    """Those of weights are part of the loss; of those of activities a warning says that they are
    not.
    """
    with nengo.Network() as net:
        dense = keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer="ones",
            kernel_regularizer=keras.regularizers.L2(3),
        )
        nengo.Probe(nengo_dl.Layer(dense)(nengo.Node([1.0])))
    y = np.ones((2, 1, 1))
    assert fit(net, y, y) == [3.0]
    with net:
        nengo_dl.Layer(keras.layers.ActivityRegularization(l2=1))(net.all_nodes[0])
    with pytest.warns(UserWarning, match="is not part of the loss"):
        fit(net, y, y)


def test_half_precision():
    """A layer computes with its own policy, the network with its own."""
    with nengo.Network() as net:
        dense = keras.layers.Dense(
            2, kernel_initializer="ones", dtype=keras.DTypePolicy("mixed_float16")
        )
        probe = nengo.Probe(nengo_dl.Layer(dense)(nengo.Node([0.1, 0.2])))
    values = run(net, 2)[probe]
    np.testing.assert_allclose(values, float(np.float16(0.1) + np.float16(0.2)), rtol=1e-3)
    assert np.all(values == values.astype(np.float16))


class Listed(keras.layers.Layer):
    """Gets the time and the input in a list, and has weights that depend on its shapes."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[1][-1],), initializer="ones")

    def call(self, inputs, training=False):
        t, x = inputs
        return x * self.scale + t


class Separate(keras.layers.Layer):
    def call(self, t, x):
        return x + t


class CellWithTime(keras.layers.Layer):
    state_size = 2

    def call(self, inputs, states):
        t, x = inputs
        return x + t, [states[0] + x]


@pytest.mark.core
def test_layers_that_get_the_time():
    with nengo.Network() as net:
        x = nengo.Node([1.0, 2.0])
        probes = []
        for layer in (Listed(), Separate(), Listed, CellWithTime()):
            node = nengo_dl.TensorNode(layer, shape_in=(2,))
            nengo.Connection(x, node, synapse=None)
            probes.append(nengo.Probe(node))
        probes.append(nengo.Probe(nengo_dl.Layer(Listed())(x, pass_time=True)))
    data = run(net, 2)
    for probe in probes:
        np.testing.assert_allclose(data[probe], [[[1.001, 2.001], [1.002, 2.002]]] * 2, rtol=1e-6)
    with nengo.Network(), pytest.raises(ValidationError, match=r"list \[t, x\].*pass_time=False"):
        nengo_dl.TensorNode(keras.layers.Dense(3), shape_in=(2,))


def test_arguments_of_the_tensor_node():
    def double(x):
        return 2 * x

    with nengo.Network():
        a = nengo.Node([0.0, 0.0])
        given = {"label": "mine", "shape_out": (2,)}
        for layer in (double, keras.layers.Dense(2), keras.layers.Activation("relu")):
            node = nengo_dl.Layer(layer)(a, **given)
            assert (node.label, node.shape_out) == ("mine", (2,))
        assert nengo_dl.tensor_layer(a, double, **given).label == "mine"
        dense = nengo_dl.Layer(keras.layers.Dense)(a, units=2, label="mine")
        assert (dense.label, dense.shape_out) == ("mine", (2,))
        assert isinstance(nengo_dl.Layer(nengo.LIF)(a).ensemble.neuron_type, nengo.LIF)
    assert "'double'" in str(nengo_dl.Layer(double))
    with pytest.raises(ValidationError, match="expected a Keras layer, a function.*got 5"):
        nengo_dl.Layer(5)


@pytest.mark.core
def test_the_connection_to_a_layer_is_not_trained():
    """Unless it is asked for, in whichever network around it."""

    def n_trained(asked, settings):
        with nengo.Network(seed=0) as net:
            if settings is not None:
                nengo_dl.configure_settings(**settings)
            a, ens = nengo.Node(np.ones(3)), nengo.Ensemble(20, 2)
            with nengo.Network():
                inner_x, inner_conn = nengo_dl.Layer(keras.layers.Dense(2))(ens, return_conn=True)
            x, conn = nengo_dl.Layer(nengo.RectifiedLinear())(
                a, transform=np.ones((4, 3)), return_conn=True
            )
            nengo.Probe(inner_x), nengo.Probe(x)
            if asked:
                net.config[conn].trainable = net.config[inner_conn].trainable = True
        with nengo_dl.Simulator(net, progress_bar=False) as sim:
            return sum(int(np.prod(w.shape)) for w in sim.keras_model.trainable_weights)

    own = 6 + 4 + 20  # the layer; biases of the rectified linear neurons; of the ensemble
    weights = 12 + 40
    assert n_trained(False, None) == own
    assert n_trained(False, {"trainable": True}) == own
    assert n_trained(True, None) == own + weights
    assert n_trained(True, {"trainable": None}) == own + weights
