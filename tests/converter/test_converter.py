"""The converter's interface, and whole models."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from converter import table
from nengo_dl import Converter
from nengo_dl.converter import LayerConverter, base

L = keras.layers


def small_model(**kwargs):
    model = keras.Sequential(
        [
            keras.Input((4,), name="image"),
            L.Dense(5, activation="relu", name="hidden", **kwargs),
            L.Dense(3, name="out"),
        ]
    )
    table.randomize(model)
    return model


# -- finding objects -------------------------------------------------------------------------------


def test_objects_by_tensor_layer_and_name():
    model = small_model()
    converter = Converter(model)
    hidden, out = model.layers
    assert converter.model is model
    assert converter.inputs[model.inputs[0]] is converter.inputs["image"]
    assert converter.outputs[out] is converter.outputs[model.outputs[0]]
    assert converter.layers[hidden] == converter.layers[hidden.output] == converter.layers["hidden"]
    assert isinstance(converter.layers[hidden].ensemble.neuron_type, nengo.RectifiedLinear)
    assert [t.name for t in converter.outputs] == [model.outputs[0].name]
    with pytest.raises(KeyError, match="'nothing' is no output.*'out'"):
        converter.outputs["nothing"]


def test_lists_of_keys():
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    a = L.Dense(2, name="a")(x)
    b = L.Dense(2, name="b")(L.Add()([x, y]))
    converter = Converter(keras.Model({"x": x, "y": y}, [a, b]))
    model = converter.model
    both = [converter.inputs["x"], converter.inputs["y"]]
    assert converter.inputs[model.inputs] == both
    assert converter.inputs[model.input] == dict(zip("xy", both, strict=True))
    assert converter.outputs[tuple(model.outputs)] == [converter.outputs[k] for k in "ab"]
    assert converter.layers[[a]] is converter.layers["a"]
    assert [x] in converter.inputs and [a] not in converter.inputs
    with pytest.raises(KeyError, match="'a' is no input"):
        converter.inputs[[x, "a"]]


def test_layers_that_are_called_twice_are_found_by_tensor():
    x = keras.Input((4,))
    layer = L.Dense(4, name="twice")
    a = layer(x)
    b = layer(a)
    converter = Converter(keras.Model(x, b), inference_only=True)
    assert converter.layers[a] is not converter.layers[b]
    with pytest.raises(KeyError, match="'twice' has 2 outputs"):
        converter.layers[layer]


@pytest.mark.core
def test_several_inputs_and_outputs_in_one_model():
    x, y = keras.Input((3,), name="x"), keras.Input((2, 2), name="y")
    a = L.Dense(4, activation="tanh", name="a")(L.Concatenate()([x, L.Flatten()(y)]))
    b = L.Dense(2, name="b")(a)
    model = keras.Model({"x": x, "y": y}, [a, b])
    converter = Converter(model, allow_fallback=False)
    rng = np.random.RandomState(0)
    arrays = {"y": rng.rand(4, 2, 2), "x": rng.rand(4, 3)}
    assert converter.verify(inputs=arrays)
    expected = model(arrays)
    with nengo_dl.Simulator(converter.net, minibatch_size=4, progress_bar=False) as sim:
        data = {converter.inputs[k]: v.reshape(4, 1, -1) for k, v in arrays.items()}
        output = sim.predict(data)
    for layer, value in zip("ab", expected, strict=True):
        np.testing.assert_allclose(output[converter.outputs[layer]][:, 0], value, atol=1e-6)


# -- a part of a larger network --------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("simulator", [nengo.Simulator, nengo_dl.Simulator])
def test_a_part_of_a_larger_network(simulator):
    model = small_model()
    x = np.array([0.3, -0.7, 0.2, 0.9])
    with nengo.Network(seed=0) as network:
        stimulus = nengo.Node(x)
        converter = Converter(model)
        assert converter.verify()
        nengo.Connection(stimulus, converter.inputs["image"], synapse=None)
        total = nengo.Node(size_in=1)
        nengo.Connection(converter.layers["out"], total, transform=[[1, 1, 1]], synapse=None)
        probe = nengo.Probe(total)
    assert converter.net in network.networks
    with simulator(network, progress_bar=False) as sim:
        sim.run_steps(1)
        expected = keras.ops.convert_to_numpy(model(x[None]))[0]
        np.testing.assert_allclose(sim.data[converter.outputs["out"]][0], expected, atol=1e-5)
        np.testing.assert_allclose(sim.data[probe][0], [np.sum(expected)], atol=1e-5)
    if simulator is nengo_dl.Simulator:
        with nengo_dl.Simulator(network, progress_bar=False) as sim:
            with pytest.raises(ValidationError, match="takes its input from connections"):
                sim.run_steps(1, data={converter.inputs["image"]: np.ones((1, 1, 4))})


@pytest.mark.core
@pytest.mark.parametrize("simulator", [nengo.Simulator, nengo_dl.Simulator])
def test_inputs_take_an_output(simulator):
    model = small_model()
    converter = Converter(model)
    node, probe = converter.inputs[model.inputs], converter.outputs[model.outputs]
    with converter.net:
        nengo_dl.configure_settings(jit_compile=False)  # for a few steps
    x = np.array([[0.3, -0.7, 0.2, 0.9], [1, 2, -3, 0.5]])
    outputs = [
        (x[1], x[[1, 1, 1, 1]]),
        (lambda t: x[int(t > 0.0025)], x[[0, 0, 1, 1]]),
        (nengo.processes.PresentInput(x.reshape(2, 2, 2), 0.002), x[[0, 0, 1, 1]]),
        (None, np.zeros((4, 4))),
    ]
    for output, given in outputs:
        node.output = output
        assert (node.size_in, node.size_out) == (4 if output is None else 0, 4)
        with simulator(converter.net, progress_bar=False) as sim:
            sim.run_steps(4)
            expected = keras.ops.convert_to_numpy(model(given))
            np.testing.assert_allclose(sim.data[probe], expected, atol=1e-5)
    if simulator is nengo_dl.Simulator:
        node.output = x[0]
        with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
            sim.run_steps(1, data={node: x[1][None, None]})
            expected = keras.ops.convert_to_numpy(model(x[1:]))
            np.testing.assert_allclose(sim.data[probe], expected, atol=1e-5)
        assert converter.verify()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.ones(3), "3 values; expected 4"),
        (lambda t: [1, 2], "2 values; expected 4"),
        (lambda t: None, "0 values; expected 4"),
        (lambda t, x: x, "exactly 1 argument"),
        (nengo.processes.PresentInput(np.ones((2, 7)), 0.1), "7 values; expected 4"),
        ("text", "Invalid node output type"),
    ],
)
def test_outputs_that_do_not_fit_an_input(output, message):
    node = nengo_dl.InputNode(4, add_to_container=False)
    with pytest.raises(ValidationError, match=message):
        node.output = output
    assert node.output is None and (node.size_in, node.size_out) == (4, 4)
    node.output = nengo.processes.WhiteSignal(1, 10)
    assert (node.size_in, node.size_out) == (0, 4)


def test_one_array_of_data_is_for_the_input():
    """The Node from which biases come is none."""
    converter = Converter(small_model())
    with nengo_dl.Simulator(converter.net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(optimizer="sgd", loss="mse")
        history = sim.fit(np.ones((4, 1, 4)), np.zeros((4, 1, 3)), epochs=2)
    assert history.history["loss"][1] < history.history["loss"][0]


# -- training --------------------------------------------------------------------------------------


def test_regularizers_are_in_the_loss():
    model = small_model(kernel_regularizer=keras.regularizers.L2(0.3))
    converter = Converter(model)
    x, y = np.ones((2, 4), dtype=np.float32), np.zeros((2, 3), dtype=np.float32)
    model.compile(loss="mse")
    expected = model.evaluate(x, y, verbose=0)
    with nengo_dl.Simulator(converter.net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(loss="mse")
        loss = sim.evaluate(x[:, None], y[:, None])["loss"]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert 0.3 * np.sum(np.square(model.layers[0].get_weights()[0])) > 0.1 * expected


def test_layers_that_are_not_trainable_stay():
    model = small_model()
    model.layers[0].trainable = False
    converter = Converter(model)
    with nengo_dl.Simulator(converter.net, minibatch_size=1, progress_bar=False) as sim:
        sizes = sorted(np.prod(w.shape) for w in sim.keras_model.trainable_weights)
    assert sum(sizes) == 5 * 3 + 3
    assert converter.verify(training=True)


def test_the_model_is_left_as_it_was():
    model = small_model()
    model.compile(optimizer="adam", loss="mae")
    before = [w.copy() for w in model.get_weights()]
    Converter(model).verify(training=True)
    assert model.loss == "mae"
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# -- verification ----------------------------------------------------------------------------------


def test_verify_names_the_first_layer_that_differs():
    model = small_model()
    converter = Converter(model)
    (kernel,) = [c for c in converter.net.all_connections if c.label == "hidden.kernel"]
    weights = np.array(kernel.transform.init)
    weights[0, 0] += 0.1
    kernel.transform = nengo.Dense(weights.shape, init=weights)
    with pytest.raises(ValidationError, match="layer 'hidden' differs from Keras's: by up to"):
        converter.verify()
    assert converter.net.probes == list(converter.outputs.values())


def test_verify_names_the_layer_that_trains_differently():
    model = small_model()
    converter = Converter(model)
    (kernel,) = [c for c in converter.net.all_connections if c.label == "out.kernel"]
    converter.net.config[kernel].trainable = False
    assert converter.verify()
    with pytest.raises(ValidationError, match="layer 'out' differs.* after a step of training"):
        converter.verify(training=True)


# -- fallback --------------------------------------------------------------------------------------


def fallback_model():
    x = keras.Input((6, 4))
    a = L.LSTM(4, return_sequences=True, name="lstm")(x)
    b = L.MultiHeadAttention(2, 3, name="attention")(a, a)
    c = L.Multiply(name="product")([a, b])
    d = L.GRU(3, name="gru")(c)
    e = L.Dense(4, activation="mish", name="mish")(d)
    model = keras.Model(x, L.UnitNormalization(name="unit")(e))
    table.randomize(model)
    return model


def test_layers_without_an_equivalent_become_tensor_nodes():
    model = fallback_model()
    with pytest.warns(UserWarning, match="6 layers became or contain TensorNodes") as warned:
        converter = Converter(model)
    messages = [str(w.message) for w in warned if "TensorNodes" in str(w.message)]
    assert len(messages) == 1
    names = ["lstm", "attention", "product", "gru", "mish", "unit"]
    assert list(converter.fallbacks) == names
    assert all(name in messages[0] for name in names)
    assert converter.verify(training=True)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (L.Dense(3, activation="mish", name="d"), "layer 'd' .Dense.*activation 'mish' has no"),
        (L.Dense(3, activation=lambda x: x**2, name="d"), "layer 'd'.*no neuron type"),
        (L.UnitNormalization(name="u"), "layer 'u' .*no equivalent of UnitNormalization"),
        (L.BatchNormalization(name="b"), "layer 'b'.*inference_only=True"),
        (L.Dropout(0.5, name="o"), "layer 'o'.*inference_only=True"),
        (
            L.Dense(3, kernel_constraint=keras.constraints.NonNeg(), name="d"),
            "kernel_constraint.*inference_only=True",
        ),
    ],
)
def test_without_fallback_the_error_names_layer_and_reason(layer, message):
    model = keras.Sequential([keras.Input((4,)), layer])
    with pytest.raises(TypeError, match=message):
        Converter(model, allow_fallback=False)


def test_shared_gains_of_a_normalization_need_a_word():
    model = keras.Sequential([keras.Input((3, 4)), L.LayerNormalization(name="norm")])
    with pytest.raises(TypeError, match="layer 'norm'.*shared by several positions.*inference_on"):
        Converter(model, allow_fallback=False)


def test_shared_weights_stay_shared_in_tensor_nodes():
    x = keras.Input((4,))
    layer = L.Dense(4, activation="tanh", name="twice")
    model = keras.Model(x, layer(layer(x)))
    with pytest.raises(TypeError, match="2 calls share its weights.*split_shared_weights"):
        Converter(model, allow_fallback=False)
    with pytest.warns(UserWarning, match="2 calls share its weights"):
        converter = Converter(model)
    assert converter.verify(training=True)
    split = Converter(model, allow_fallback=False, split_shared_weights=True)
    assert split.verify()
    with pytest.raises(ValidationError, match="after a step of training"):
        split.verify(training=True)


@pytest.mark.core
def test_cells_of_recurrent_layers_step_with_the_network():
    x = keras.Input((5, 3))
    y = L.LSTM(4, return_sequences=True)(x)
    y = L.UnitNormalization()(y)
    model = keras.Model(x, L.GRU(2)(L.Dense(3)(L.LayerNormalization()(y))))
    table.randomize(model)
    with pytest.warns(UserWarning, match="3 layers became or contain TensorNodes"):
        converter = Converter(model, temporal_model=True)
    assert converter.verify(training=True)


def test_what_needs_all_steps_at_once_is_refused():
    model = keras.Sequential([keras.Input((5, 3)), L.Conv1D(2, 3, name="conv")])
    with pytest.raises(TypeError, match="layer 'conv'.*all time steps at once"):
        Converter(model, temporal_model=True)


def test_shapes_that_stay_need_no_steps():
    x = keras.Input((5, 3))
    model = keras.Model(x, L.Dense(2)(L.Reshape((5, 3))(x)))
    assert Converter(model, temporal_model=True, allow_fallback=False).verify()


# -- models that cannot be converted ---------------------------------------------------------------


def test_models_without_known_layers_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    for model, message in [
        (keras.Sequential([L.Dense(3)]), "is not built.*keras.Input"),
        (Own(), "computes its output in Python code"),
        (L.Dense(3), "expected a Keras model, got Dense"),
        (keras.Sequential([keras.Input((None, 3)), L.Dense(2)]), r"shape \(None, None, 3\)"),
    ]:
        with pytest.raises(ValidationError, match=message):
            Converter(model)
    masked = keras.Sequential([keras.Input((5, 3)), L.Masking(name="mask"), L.LSTM(2)])
    with pytest.raises(TypeError, match="'mask'.*it has a mask"):
        Converter(masked)


def test_time_may_have_any_length():
    model = keras.Sequential([keras.Input((None, 3)), L.SimpleRNN(2, return_sequences=True)])
    assert Converter(model, allow_fallback=False, temporal_model=True).verify()


# -- converters of one's own -----------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))


class Doubling(keras.layers.Layer):
    """Twice its input."""

    def call(self, x):
        return 2 * x


def test_a_converter_of_ones_own(registry):
    model = keras.Sequential([keras.Input((3,)), Doubling(name="twice"), L.Dense(2)])
    with pytest.raises(TypeError, match="no equivalent of Doubling"):
        Converter(model, allow_fallback=False)

    @Converter.register(Doubling)
    class ConvertDoubling(LayerConverter):
        def convert(self, node_id):
            assert self.input_shape(node_id) == self.output_shape(node_id) == (3,)
            output = self.add_nengo_obj(node_id)
            self.add_connection(node_id, output, transform=2, trainable=False)
            return output

    converter = Converter(model, allow_fallback=False)
    assert converter.verify(training=True)


@pytest.mark.core
def test_converters_name_activations_as_they_like(registry):
    spellings = ["relu", keras.ops.relu, keras.activations.relu, L.ReLU(), L.Activation("relu")]

    class Rectified(L.Layer):
        def call(self, x):
            return keras.ops.relu(x)

    @Converter.register(Rectified)
    class ConvertRectified(LayerConverter):
        def convert(self, node_id):
            output = self.add_nengo_obj(node_id, activation=spellings[node_id])
            self.add_connection(node_id, output)
            return output

    layers = [Rectified() for _ in spellings]
    model = keras.Sequential([keras.Input((3,)), *layers])
    for swaps, neurons in ({}, nengo.RectifiedLinear()), ({"relu": nengo.LIF()}, nengo.LIF()):
        converter = Converter(model, swap_activations=swaps)
        assert [e.neuron_type for e in converter.net.ensembles] == [neurons] * len(layers)


def test_a_subclass_that_computes_something_else_is_not_its_base():
    class Other(L.Dense):
        def call(self, x):
            return super().call(x) + 1

    class Same(L.Dense):
        pass

    x = keras.Input((3,))
    assert Converter(keras.Model(x, Same(2)(x)), allow_fallback=False).verify()
    with pytest.raises(TypeError, match="no equivalent of Other"):
        Converter(keras.Model(x, Other(2)(x)), allow_fallback=False)


# -- a whole architecture --------------------------------------------------------------------------


def mobile_net():
    """Depthwise separable convolutions as in MobileNet, small."""

    def block(x, filters, strides):
        x = L.ZeroPadding2D(((0, 1), (0, 1)))(x) if strides == 2 else x
        padding = "valid" if strides == 2 else "same"
        x = L.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False)(x)
        x = L.ReLU(6.0)(L.BatchNormalization()(x))
        x = L.Conv2D(filters, 1, padding="same", use_bias=False)(x)
        return L.ReLU(6.0)(L.BatchNormalization()(x))

    x = keras.Input((16, 16, 3))
    y = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    y = L.ReLU(6.0)(L.BatchNormalization()(y))
    for filters, strides in ((16, 1), (24, 2), (24, 1)):
        y = block(y, filters, strides)
    y = L.GlobalAveragePooling2D(keepdims=True)(y)
    y = L.Dropout(0.2)(y)
    y = L.Reshape((10,))(L.Conv2D(10, 1)(y))
    model = keras.Model(x, y)
    table.randomize(model)
    return model


def test_a_mobile_net():
    model = mobile_net()
    converter = Converter(model, allow_fallback=False, inference_only=True)
    assert converter.verify()
    with pytest.raises(TypeError, match="inference_only"):
        Converter(model, allow_fallback=False)
