"""Functions of tensors as TensorNodes."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import SimulationError

import nengo_dl
from tensor_nodes.running import fit, run


@pytest.mark.core
def test_arguments():
    """Of the time, of the time and an input, of an input; with shapes."""
    with nengo.Network() as net:
        node = nengo.Node([0.5, -0.1, 0.2, 0.3])
        nodes = [
            nengo_dl.TensorNode(lambda t: ops.stack([t, 2 * t])),
            nengo_dl.TensorNode(lambda t: ops.reshape(t, (1, 1))),
            nengo_dl.TensorNode(lambda t, x: t + x, shape_in=(4,)),
            nengo_dl.TensorNode(lambda x: 2 * x, shape_in=(4,), shape_out=(4,), pass_time=False),
            nengo_dl.TensorNode(
                lambda x: ops.transpose(x, (0, 2, 1)), shape_in=(1, 4), pass_time=False
            ),
            nengo_dl.TensorNode(ops.exp, shape_in=(4,), shape_out=(4,), pass_time=False),
        ]
        for tensor_node in nodes[2:]:
            nengo.Connection(node, tensor_node, synapse=None)
        probes = [nengo.Probe(tensor_node) for tensor_node in nodes]
    assert [n.shape_out for n in nodes] == [(2,), (1,), (4,), (4,), (4, 1), (4,)]
    assert nodes[4].shape_in == (1, 4) and nodes[0].shape_in is None
    data = run(net, 3)
    t = np.arange(1, 4)[:, None] * 0.001
    x = np.array([[0.5, -0.1, 0.2, 0.3]])
    ones = np.ones((3, 1))
    expected = [t * [1, 2], t, t + x, 2 * x * ones, x * ones, np.exp(x) * ones]
    for probe, values in zip(probes, expected, strict=True):
        assert data[probe].shape == (2, *values.shape)
        np.testing.assert_allclose(data[probe], np.stack([values] * 2), rtol=1e-6)


def test_float64():
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="float64")
        tensor_node = nengo_dl.TensorNode(lambda t, x: ops.exp(x) * t, shape_in=(2,))
        nengo.Connection(nengo.Node([0.1, 0.2]), tensor_node, synapse=None)
        probe = nengo.Probe(tensor_node)
    t = np.arange(1, 4)[:, None] * 0.001
    np.testing.assert_allclose(run(net, 3)[probe][0], np.exp([0.1, 0.2]) * t, rtol=1e-14)


def test_several_inputs_and_outputs():
    """In lists and dicts, and as separate arguments where the function takes several."""
    with nengo.Network() as net:
        a, b = nengo.Node([1.0, 2.0]), nengo.Node([10.0, 20.0, 30.0])
        both = nengo_dl.TensorNode(
            lambda t, x: [x[0] + t, x[1] - x[0][:, :1]],
            shape_in=[(2,), (3,)],
            shape_out=[(2,), (3,)],
        )
        apart = nengo_dl.TensorNode(
            lambda u, v: {"sum": u[:, :1] + v, "u": u}, shape_in=[(2,), (3,)], pass_time=False
        )
        named = nengo_dl.TensorNode(
            lambda x: x["v"] * x["u"][:, :1], shape_in={"u": (2,), "v": (3,)}, pass_time=False
        )
        for tensor_node in (both, apart):
            nengo.Connection(a, tensor_node.inputs[0], synapse=None)
            nengo.Connection(b, tensor_node.inputs[1], synapse=None)
        nengo.Connection(a, named.inputs["u"], synapse=None)
        nengo.Connection(b, named.inputs["v"], synapse=None)
        targets = [*both.outputs, *apart.outputs.values(), named]
        probes = [nengo.Probe(target) for target in targets]
    assert apart.shape_out == {"sum": (3,), "u": (2,)} and both.shape_in == [(2,), (3,)]
    data = run(net, 1)
    expected = [[1.001, 2.001], [9, 19, 29], [11, 21, 31], [1, 2], [10, 20, 30]]
    for probe, values in zip(probes, expected, strict=True):
        np.testing.assert_allclose(data[probe][1, 0], values, rtol=1e-6)


def test_layer_with_lists_and_slices():
    """Objects in a list, slices of objects, and the parts of a result as inputs again."""
    with nengo.Network() as net:
        a = nengo.Node([1.0, 2.0, 3.0])
        ens = nengo.Ensemble(5, 2)
        parts = nengo_dl.Layer(lambda u, v: [u, 2 * v])([a[:2], a[2:]])
        joined, conns = nengo_dl.Layer(keras.layers.Concatenate())(
            [*parts, ens.neurons[1:3], ens], return_conn=True
        )
        scaled = nengo_dl.Layer(lambda x, y, factor: factor * (x + y))(
            [a, parts[1]], transform=[None, np.ones((3, 1))], factor=3
        )
        first, second = nengo.Probe(joined), nengo.Probe(scaled)
    assert joined.size_in == 2 + 1 + 2 + 2 and len(conns) == 4
    data = run(net, 1)
    np.testing.assert_allclose(data[first][0, 0, :3], [1, 2, 6])
    np.testing.assert_allclose(data[second][0, 0], [21, 24, 27])


@pytest.mark.core
def test_layers_that_a_function_calls_are_trained():
    """Keras layers that a function closes over train, and random layers draw new numbers each
    step.
    """
    dense, dropout = keras.layers.Dense(3), keras.layers.Dropout(0.5, seed=1)
    with nengo.Network() as net:
        nengo_dl.configure_settings(learning_phase=True)
        node = nengo.Node(np.ones(8))
        nengo_dl.Layer(lambda x: dense(x))(node)
        noisy = nengo_dl.Layer(lambda x: dropout(x, training=True))(node)
        out = nengo_dl.Layer(lambda x: dense(x))(node)
        probe, noise = nengo.Probe(out), nengo.Probe(noisy)
    before = dense.get_weights()[0]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.run_steps(4)
        np.testing.assert_allclose(sim.data[probe][0, 0], before.sum(axis=0), rtol=1e-5)
        steps = sim.data[noise].reshape(8, 8)
        assert len(np.unique(steps, axis=0)) > 4
        sim.compile(keras.optimizers.SGD(0.1), loss={probe: "mse"})
        sim.fit(None, {probe: np.ones((2, 1, 3))}, n_steps=1, verbose=0)
    assert np.abs(dense.get_weights()[0] - before).max() > 1e-3


def test_gradient_passes():
    """What lies behind a function is trained through it."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0])
        middle = nengo.Node(size_in=1)
        conn = nengo.Connection(node, middle, transform=2.0, synapse=None)
        nengo.Probe(nengo_dl.Layer(ops.square)(middle))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.01), loss="mse")
        sim.fit(None, np.zeros((1, 1, 1)), n_steps=1, verbose=0)
        # d (w^2)^2 / dw = 4 w^3
        np.testing.assert_allclose(sim.data[conn].weights, 2 - 0.01 * 32, rtol=1e-5)


def test_neuron_type_and_older_form():
    with nengo.Network(seed=0) as net:
        node = nengo.Node([1.0, -1.0])
        neurons = nengo_dl.Layer(nengo.RectifiedLinear())(node, gain=[1, 1], bias=[1, 1])
        exp, conn = nengo_dl.tensor_layer(
            node, ops.exp, transform=np.eye(2), synapse=0.1, return_conn=True
        )
        probe = nengo.Probe(neurons)
    assert isinstance(neurons, nengo.ensemble.Neurons)
    assert isinstance(exp, nengo_dl.TensorNode) and conn.synapse == nengo.Lowpass(0.1)
    np.testing.assert_allclose(run(net, 2)[probe][0, 1], [2, 0])


def test_only_here():
    """Other simulators say that they cannot run it."""
    with nengo.Network() as net:
        nengo_dl.TensorNode(lambda t: t, label="mine")
    with pytest.raises(nengo.exceptions.SimulationError, match="mine.*only nengo_dl"):
        with nengo.Simulator(net) as sim:
            sim.step()


def test_fit_function_of_two():
    """A bilinear form of two trained inputs."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node(np.zeros(3)), nengo.Node(np.zeros(3))
        left = nengo_dl.Layer(keras.layers.Dense(4))(a)
        right = nengo_dl.Layer(keras.layers.Dense(4))(b)
        product = nengo_dl.Layer(lambda x, y: ops.sum(x * y, axis=-1, keepdims=True))([left, right])
        nengo.Probe(product)
    x = [rng.normal(size=(64, 1, 3)) for _ in range(2)]
    y = np.sum(x[0] * x[1], axis=-1, keepdims=True)
    losses = fit(net, x, y, keras.optimizers.Adam(0.03), minibatch_size=16, epochs=25)
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.core
def test_functions_of_time_return_the_minibatch_first():
    """As all others; what has no axis for it is the same for each item."""
    items = np.arange(2.0)[:, None]

    def different(t):
        return t + ops.convert_to_tensor(items, dtype=t.dtype)

    with nengo.Network() as net:
        nodes = [
            nengo_dl.TensorNode(lambda t: t * ops.ones((1, 2))),
            nengo_dl.TensorNode(lambda t: t * ops.ones((2, 3))),
            nengo_dl.TensorNode(different),
            nengo_dl.TensorNode(lambda t: t * ops.ones((2, 3, 4))),
            nengo_dl.TensorNode(lambda t: ops.stack([t, t, t])),
            nengo_dl.TensorNode(lambda t: t * ops.ones((2, 3)), shape_out=(2, 3)),
        ]
        probes = [nengo.Probe(node) for node in nodes]
    shapes = [(2,), (3,), (1,), (3, 4), (3,), (2, 3)]
    assert [node.shape_out for node in nodes] == shapes
    data = run(net, 2)
    time = np.array([0.001, 0.002])[None, :, None]
    for k, (probe, shape) in enumerate(zip(probes, shapes, strict=True)):
        expected = time + items[:, None] if k == 2 else time * np.ones((2, 1, np.prod(shape)))
        np.testing.assert_allclose(data[probe], expected, rtol=1e-6)


def test_functions_of_time_for_another_minibatch():
    with nengo.Network() as net:
        nengo.Probe(nengo_dl.TensorNode(lambda t: t * ops.ones((3, 2))))
    with pytest.raises(SimulationError, match=r"\(3, 2\); expected \(2, 2\).*shape_out=\(3, 2\)"):
        run(net, 1)
