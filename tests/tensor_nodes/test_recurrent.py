"""Recurrent layers and cells: the network carries their state from step to step."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops

import nengo_dl
from tensor_nodes.running import run


class Leaky(keras.layers.Layer):
    """A cell of a user, that starts at 1."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    @property
    def state_size(self):
        return self.units

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, self.units))]

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")

    def call(self, inputs, states):
        level = 0.9 * states[0] + ops.matmul(inputs, self.w)
        return 2 * level, [level]


class Counter(keras.layers.Layer):
    """A cell with a single state and no initial state of its own."""

    state_size = 1

    def call(self, inputs, states):
        return states[0] + 1, [states[0] + 1]


def stacked():
    cells = [keras.layers.GRUCell(3), keras.layers.LSTMCell(2)]
    return keras.layers.StackedRNNCells(cells)


LAYERS = {
    "SimpleRNN": (lambda: keras.layers.SimpleRNN(3), None),
    "LSTM": (lambda: keras.layers.LSTM(3), None),
    "GRUCell": (lambda: keras.layers.GRUCell(3), lambda cell: cell),
    "stacked": (stacked, lambda cell: cell),
    "custom": (lambda: Leaky(3), lambda cell: cell),
}


@pytest.mark.parametrize("name", LAYERS)
def test_same_as_in_keras(name):
    """Step by step what a Keras RNN gives for the whole sequence, in simulation and prediction."""
    make, _ = LAYERS[name]
    keras.utils.set_random_seed(0)
    layer = make()
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(4))
        probe = nengo.Probe(nengo_dl.Layer(layer)(inp))
    x = np.random.RandomState(0).normal(size=(2, 7, 4))
    cell = getattr(layer, "cell", layer)
    sequence = keras.layers.RNN(cell, return_sequences=True)
    # float32 rounds by 6e-8 in each of the steps, relative to sums of up to 10
    expected = ops.convert_to_numpy(sequence(x.astype(np.float32)))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict({inp: x})[probe], expected, rtol=1e-6, atol=1e-6)
        # in two runs, each going on where the one before ended
        sim.run_steps(3, data={inp: x[:, :3]})
        sim.run_steps(4, data={inp: x[:, 3:]})
        np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-6, atol=1e-6)
        sim.reset(include_trainable=False)
        sim.run_steps(3, data={inp: x[:, :3]})
        np.testing.assert_allclose(sim.data[probe], expected[:, :3], atol=1e-6)


@pytest.mark.core
def test_trains_as_in_keras():
    """The same gradient through time: after an update the same weights."""
    x = np.random.RandomState(0).normal(size=(2, 6, 3)).astype(np.float32)
    y = np.ones((2, 6, 4), np.float32)
    layer = keras.layers.LSTM(4, return_sequences=True)
    with nengo.Network() as net:
        nengo.Probe(nengo_dl.Layer(layer)(nengo.Node(np.zeros(3))))
    weights = layer.get_weights()
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.5), loss="mse")
        sim.fit(x, y, verbose=0)
    ours = layer.get_weights()
    layer.set_weights(weights)
    model = keras.Sequential([keras.Input((6, 3)), layer])
    model.compile(keras.optimizers.SGD(0.5), loss="mse")
    model.train_on_batch(x, y)
    for ours_now, theirs in zip(ours, layer.get_weights(), strict=True):
        np.testing.assert_allclose(ours_now, theirs, atol=1e-6)


def test_whole_sequence_in_a_step():
    """With an axis of time in shape_in the layer sees a whole sequence, each step anew."""
    layer = keras.layers.GRU(2)
    x = np.random.RandomState(0).normal(size=12)
    with nengo.Network() as net:
        probe = nengo.Probe(nengo_dl.Layer(layer)(nengo.Node(x), shape_in=(4, 3)))
    expected = ops.convert_to_numpy(layer(x.reshape(1, 4, 3).astype(np.float32)))
    np.testing.assert_allclose(run(net, 2)[probe], np.tile(expected, (2, 2, 1)), atol=1e-6)


def test_convolutional_recurrent_layer():
    layer = keras.layers.ConvLSTM1D(2, 3)
    with nengo.Network() as net:
        inp = nengo.Node(np.zeros(10))
        tensor_node = nengo_dl.Layer(layer)(inp, shape_in=(5, 2))
        probe = nengo.Probe(tensor_node)
    assert tensor_node.shape_out == (3, 2)
    x = np.random.RandomState(0).normal(size=(2, 3, 10)).astype(np.float32)
    expected = ops.convert_to_numpy(layer(x.reshape(2, 3, 5, 2))).reshape(2, 6)
    np.testing.assert_allclose(run(net, 3, data={inp: x})[probe][:, -1], expected, atol=1e-6)


def test_state_without_initial_state():
    with nengo.Network() as net:
        probe = nengo.Probe(nengo_dl.Layer(Counter())(nengo.Node([0.0])))
    np.testing.assert_array_equal(run(net, 3)[probe][0, :, 0], [1, 2, 3])


def test_dropout_in_cells():
    """In training each step drops other values, and nothing of one call is left for the next."""
    cell = keras.layers.SimpleRNNCell(
        20, dropout=0.5, recurrent_initializer="zeros", kernel_initializer="ones", activation=None
    )
    with nengo.Network() as net:
        nengo_dl.configure_settings(learning_phase=True)
        nengo.Probe(nengo_dl.Layer(cell)(nengo.Node(np.ones(40))))
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), loss="mse", metrics=[spread])
        y = np.zeros((3, 8, 20))
        for _ in range(2):
            logs = sim.fit(None, y, verbose=0).history
            # variance over steps and items of the sum of 40 values 0 or 2: 40
            assert 10 < logs["probe_spread"][0] < 90


def spread(y, outputs):
    return ops.var(outputs[:, :, 0])
