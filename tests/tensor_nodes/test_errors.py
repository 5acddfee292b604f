"""What is wrong with a TensorNode is said in terms of the node, with what was got and expected."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import SimulationError, ValidationError

import nengo_dl


@pytest.fixture(autouse=True)
def net():
    with nengo.Network() as net:
        yield net


def node(function, **kwargs):
    arguments = {"shape_in": (3,), "pass_time": False, "label": "mine", **kwargs}
    return nengo_dl.TensorNode(function, **arguments)


CONSTRUCTION = {
    "shape": (lambda x: x[:, :2], {"shape_out": (5,)}, [r"\(2,\)", r"shape_out is \(5,\)"]),
    "no minibatch": (lambda x: ops.sum(x), {}, [r"shape \(\)", "minibatch as its first axis"]),
    "integers": (lambda x: ops.cast(x, "int32"), {}, ["int32", "floating point", "ops.cast"]),
    "booleans": (lambda x: x > 0, {}, ["bool", "floating point"]),
    "None": (lambda x: None, {}, ["returned None", "expected a tensor"]),
    "array": (lambda x: np.ones((1, 3)), {}, ["ndarray", "expected a tensor"]),
    "empty": (lambda x: [], {}, ["empty list"]),
    "text": (lambda x: "text", {}, ["str .'text'.", "expected a tensor"]),
    "raises": (lambda x: x.nothing, {}, ["AttributeError", "nothing", "give shape_out"]),
    "too many arguments": (lambda x: x, {"pass_time": True}, [r"takes \(x\)", r"\(t, x\)"]),
    "too few arguments": (lambda t, x: x, {}, [r"takes \(t, x\)", r"called with \(x\)"]),
    "no input": (lambda t, x: x, {"shape_in": None, "pass_time": True}, [r"with \(t\)"]),
    "no argument": (lambda: 1, {"shape_in": None}, ["without arguments", "give shape_in"]),
    "three inputs": (lambda x, y: x, {"shape_in": [(1,)] * 3}, [r"takes \(x, y\)", "too many"]),
    "several outputs": (
        lambda x: [x, x],
        {"shape_out": (6,)},
        [r"\[\(3,\), \(3,\)\]", r"shape_out is \(6,\)"],
    ),
}


@pytest.mark.core
@pytest.mark.parametrize("name", CONSTRUCTION)
def test_functions(name):
    function, kwargs, texts = CONSTRUCTION[name]
    with pytest.raises(ValidationError) as caught:
        tensor_node = node(function, **kwargs)
        pytest.fail(f"made {tensor_node}, {tensor_node.shape_out}")
    for text in ["TensorNode 'mine'", "test_errors.py", *texts]:
        caught.match(text)


RUNNING = {
    "shape": (lambda x: x[:, : x.shape[0]], (2,), [r"\(4, 3\)", r"\(4, 2\)"]),
    "structure": (lambda x: x if x.shape[0] == 4 else [x, x], [(3,)] * 2, ["one tensor"]),
    "not a tensor": (lambda x: None if x.shape[0] == 4 else x, (3,), ["None", "a tensor"]),
    "raises": (lambda x: x.no if x.shape[0] == 4 else x, (3,), ["AttributeError", "no attribute"]),
}


@pytest.mark.parametrize("name", RUNNING)
def test_functions_that_differ_by_minibatch(net, name):
    """What cannot be known before the size of the minibatch is."""
    function, shape_out, texts = RUNNING[name]
    node(function, shape_out=shape_out)
    nengo.Probe(net.nodes[0])
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        with pytest.raises(SimulationError) as caught:
            sim.run_steps(1)
        for text in ["TensorNode 'mine'", *texts]:
            caught.match(text)


class NeedsArguments(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()


class BadCell(keras.layers.Layer):
    state_size = 2

    def call(self, inputs, states):
        return inputs


class OtherState(keras.layers.Layer):
    state_size = 2

    def call(self, inputs, states):
        return inputs, [states[0][:, :1]]


LAYERS = {
    "shape": (lambda: keras.layers.Conv2D(2, 3), {}, ["Conv2D", r"shape_in=\(3,\)", "ndim=4"]),
    "too small": (
        lambda: keras.layers.Conv2D(2, 3, name="small"),
        {"shape_in": (2, 2, 1)},
        ["small", r"shape_in=\(2, 2, 1\)"],
    ),
    "time": (lambda: keras.layers.Dense(2), {"pass_time": True}, ["pass_time=False"]),
    "one input": (lambda: keras.layers.Add(), {}, ["Add", "list of inputs"]),
    "inputs that differ": (
        lambda: keras.layers.Add(),
        {"shape_in": [(2,), (3,)]},
        ["Add", r"\[\(2,\), \(3,\)\]"],
    ),
    "output": (lambda: keras.layers.Dense(2), {"shape_out": (4,)}, [r"\(2,\)", r"\(4,\)"]),
    "class": (lambda: NeedsArguments, {}, ["units", "give an instance"]),
    "not a cell": (BadCell, {}, ["state_size", r"\(output, state\)"]),
    "state": (OtherState, {}, [r"\[\(1,\)\]", r"\[\(2,\)\]"]),
    "backwards": (lambda: keras.layers.GRU(2, go_backwards=True), {}, ["backwards", "n_steps"]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    make, kwargs, texts = LAYERS[name]
    with pytest.raises(ValidationError) as caught:
        node(make(), **kwargs)
    for text in ["TensorNode 'mine'", *texts]:
        caught.match(text)


def test_code_of_another_backend(net):
    """It is said which backend runs and how to choose the other one, also where shape_out hides
    the mistake until the network runs.
    """
    if keras.backend.backend() == "tensorflow":
        jnp = pytest.importorskip("jax.numpy")
        other, function = "jax", lambda x: jnp.fft.fft(x).real
    else:
        tf = pytest.importorskip("tensorflow")
        other, function = "tensorflow", lambda x: tf.square(x)
    texts = ["TensorNode 'mine'", f"KERAS_BACKEND={other}", "keras.ops"]
    with pytest.raises(ValidationError) as caught:
        node(function)
    for text in texts:
        caught.match(text)
    nengo.Probe(node(function, shape_out=(3,)))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(SimulationError) as caught:
            sim.run_steps(1)
    for text in texts:
        caught.match(text)


def test_errors_in_training_name_the_node(net):
    inp = nengo.Node(np.zeros(3))
    dense = nengo_dl.Layer(keras.layers.Dense(3))(inp)
    function = node(RUNNING["raises"][0], shape_out=(3,))
    nengo.Connection(dense, function, synapse=None)
    nengo.Probe(function)
    with nengo_dl.Simulator(net, minibatch_size=4, progress_bar=False) as sim:
        sim.compile("sgd", loss="mse")
        with pytest.raises(
            (SimulationError, RuntimeError), match="TensorNode 'mine'.*no attribute"
        ):
            sim.fit(np.zeros((4, 1, 3)), np.zeros((4, 1, 3)), verbose=0)


@pytest.mark.parametrize("shape", [3, (0,), (2.5,), (None,), "ab", [(2,), (0,)], {"x": 3}], ids=str)
def test_shapes(shape):
    with pytest.raises(ValidationError, match="positive integers"):
        node(lambda x: x, shape_in=shape)


def test_other_arguments():
    with pytest.raises(ValidationError, match="expected a function.*got 3"):
        node(3)


def test_layer_calls():
    a, b = nengo.Node(np.zeros(2)), nengo.Node(np.zeros(3))
    with pytest.raises(
        ValidationError, match=r"shape_in is \(4,\), 4 values, but the input.*has 2"
    ):
        nengo_dl.Layer(ops.exp)(a, shape_in=(4,))
    with pytest.raises(ValidationError, match="list with 2 items"):
        nengo_dl.Layer(keras.layers.Concatenate())([a, b], shape_in=(2,))
    with pytest.raises(ValidationError, match=r"dict with keys \['a', 'b'\]"):
        nengo_dl.Layer(lambda x: x["a"])({"a": a, "b": b}, transform={"a": 2})
    with pytest.raises(ValidationError, match="takes one input, got a list of 2"):
        nengo_dl.Layer(nengo.LIF())([a, b])
    with pytest.raises(ValidationError, match="an instance already.*units"):
        nengo_dl.Layer(keras.layers.Dense(2))(a, units=3)
