"""Calls and arguments of earlier versions, each with a warning that says what to write now."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ConfigError, ValidationError

import nengo_dl
from training.conftest import arrays, model, simulator  # noqa: F401  (fixtures)

N_STEPS = 3


@pytest.fixture(scope="module")
def sim(model):  # noqa: F811
    with simulator(model, unroll_simulation=2) as sim:
        yield sim


def errors(sim, model, arrays):  # noqa: F811
    """Mean squared error of each probe."""
    outputs = sim.predict(list(arrays[:2]))
    return [
        np.mean((outputs[probe] - target) ** 2)
        for probe, target in zip((model.first, model.second), arrays[2:], strict=True)
    ]


def test_calls_of_version_2(model, arrays):  # noqa: F811
    left, right, first, second = arrays
    data = {model.left: left, model.right: right, model.first: first, model.second: second}
    with simulator(model) as sim:
        a, b = errors(sim, model, arrays)

        def loss(objective=None):
            with pytest.warns(DeprecationWarning, match="compile and Simulator.evaluate"):
                return sim.loss(data, objective=objective)

        def asymmetric(outputs, targets):
            return ops.mean(outputs - 2 * ops.cast(targets, outputs.dtype))

        assert loss() == pytest.approx(a + b, rel=1e-5)
        assert loss({model.first: nengo_dl.obj.mse}) == pytest.approx(a, rel=1e-5)
        assert loss({model.second: "mse"}) == pytest.approx(b, rel=1e-5)
        outputs = sim.predict([left, right])
        expected = np.mean(outputs[model.first] - 2 * first)
        assert loss({model.first: asymmetric}) == pytest.approx(expected, rel=1e-4)
        objective = {model.first: nengo_dl.obj.mse, model.second: nengo_dl.obj.mse}
        with pytest.warns(DeprecationWarning, match="compile and Simulator.fit"):
            sim.train(data, keras.optimizers.SGD(0.01), n_epochs=3, objective=objective)
        assert loss() < a + b


def test_version_2_without_inputs():
    with nengo.Network(seed=0) as net:
        ens, out = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear()), nengo.Node(size_in=1)
        nengo.Connection(ens.neurons, out, transform=np.zeros((1, 5)), synapse=None)
        probe = nengo.Probe(out)
    data = {probe: np.ones((1, 2, 1))}
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.warns(DeprecationWarning):
            assert sim.loss(data) == pytest.approx(1)
        with pytest.warns(DeprecationWarning):
            sim.train(data, keras.optimizers.SGD(1e-6), n_epochs=5)
        with pytest.warns(DeprecationWarning):
            assert sim.loss(data) < 1


def test_calls_of_version_1():
    with nengo.Network(seed=0) as net:
        node, out = nengo.Node([0.0]), nengo.Node(size_in=1)
        nengo.Connection(node, out, transform=np.zeros((1, 1)), synapse=None)
        probe = nengo.Probe(out)
    x, y = {node: np.ones((1, 2, 1))}, {probe: np.ones((1, 2, 1))}
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        with pytest.warns(DeprecationWarning, match="compile and Simulator.evaluate"):
            assert sim.loss(x, y, "mse") == pytest.approx(1)
        with pytest.warns(DeprecationWarning) as caught:
            sim.train(x, y, keras.optimizers.SGD(0.1), n_epochs=5, summaries=["loss"])
        places = {str(w.message): w.filename for w in caught}
        (ignored,) = (text for text in places if "summaries of train is ignored" in text)
        (older,) = (text for text in places if "use Simulator.compile and Simulator.fit" in text)
        assert places[ignored] == places[older] == __file__
        with pytest.warns(DeprecationWarning):
            assert sim.loss(x, y) < 1
        with pytest.warns(DeprecationWarning, match="input_feeds is deprecated, use data"):
            sim.run_steps(2, input_feeds={node: np.ones((1, 2, 1))})
        assert sim.data[probe][-1] > 0.1
        with pytest.warns(DeprecationWarning, match="profile"):
            sim.step(profile=True)


def test_optimizers_of_tensorflow_1(model):  # noqa: F811
    tf = pytest.importorskip("tensorflow")
    with simulator(model) as sim:
        with pytest.raises(ValidationError, match="AdamOptimizer is an .* of TensorFlow 1; use"):
            sim.compile(tf.compat.v1.train.AdamOptimizer(0.1), loss="mse")


def test_data_for_biases_of_converted_models():
    x = keras.Input((3,))
    converter = nengo_dl.Converter(keras.Model(x, keras.layers.Dense(2, name="dense")(x)))
    data = {**{converter.inputs[x]: np.ones((1, 1, 3))}, "dense.0.bias": np.ones((1, 2, 1))}
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        with pytest.warns(UserWarning, match="'dense.0.bias' is ignored: biases are part of"):
            sim.predict({**data, "n_steps": np.ones((1, 1))})
        sim.compile(loss="mse")
        (probe,) = converter.outputs.values()
        with pytest.warns(UserWarning, match="ignored"):
            result = sim.evaluate(data, {probe: np.ones((1, 1, 2))}, verbose=0)
    assert list(result) == ["loss", "probe_loss"]


def test_soft_reset(sim, model):  # noqa: F811
    sim.run_steps(N_STEPS)
    with pytest.warns(DeprecationWarning, match="use Simulator.reset"):
        sim.soft_reset()
    assert sim.n_steps == 0
    assert sim.data[model.first].shape[1] == N_STEPS
    sim.reset()


def test_attributes(sim, model):  # noqa: F811
    (ens,) = model.net.ensembles
    conn = model.net.connections[-1]
    with pytest.warns(DeprecationWarning, match="use Simulator.unroll_simulation"):
        assert sim.unroll == 2
    with pytest.warns(DeprecationWarning, match=r"use sim.data\[ensemble\].bias"):
        found = sim.data.get_params((ens, "encoders"), (ens.neurons, "bias"), (conn, "weights"))
    expected = [sim.data[ens].encoders, sim.data[ens].bias, sim.data[conn].weights]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(DeprecationWarning, match="obj of .*get_name.*use node_or_probe"):
        assert sim.get_name(obj=model.first) == "first"


def test_parameters_of_neurons(sim, model):  # noqa: F811
    (ens,) = model.net.ensembles
    params = sim.get_nengo_params(ens.neurons)
    np.testing.assert_array_equal(params["bias"], sim.data[ens].bias)
    with nengo.Network() as net:
        neurons = ens.neuron_type
        copied = nengo.Ensemble(ens.n_neurons, ens.dimensions, neuron_type=neurons, **params)
    with nengo.Simulator(net, progress_bar=False) as other:
        np.testing.assert_allclose(other.data[copied].bias, sim.data[ens].bias)
    with pytest.raises(ValidationError, match="Nodes have no parameters.*get_weights"):
        sim.get_nengo_params(model.left)


def test_files(sim, model, tmp_path):  # noqa: F811
    path = tmp_path / "params"
    sim.run_steps(N_STEPS)
    with pytest.warns(DeprecationWarning, match="include_non_trainable of .*use include_state"):
        sim.save_params(path, include_non_trainable=True)
    sim.reset()
    with pytest.warns(DeprecationWarning, match="include_non_trainable of .*use include_state"):
        sim.load_params(path, include_non_trainable=True)
    assert sim.n_steps == N_STEPS
    with pytest.raises(TypeError, match="both include_state and include_non_trainable"):
        sim.save_params(path, include_state=True, include_non_trainable=True)
    sim.reset()


def test_sizes_of_tensor_nodes():
    with nengo.Network(), pytest.warns(DeprecationWarning, match="use shape_(in|out)"):
        node = nengo_dl.TensorNode(ops.exp, size_in=3, size_out=3, pass_time=False)
        assert (node.shape_in, node.shape_out) == ((3,), (3,))
        assert nengo_dl.TensorNode(lambda t: ops.stack([t, t]), size_in=0).size_out == 2


@pytest.mark.parametrize("dtype", ["float16", np.float16, "bfloat16"])
def test_half_precision_is_refused_with_a_reason(dtype):
    with (
        nengo.Network(),
        pytest.raises(ConfigError, match="expected one of 'float32'.*lost to rounding"),
    ):
        nengo_dl.configure_settings(dtype=dtype)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is about tf.random")
def test_tf_random_is_seeded_by_the_simulator():
    import tensorflow as tf

    def noise(t):
        return tf.random.normal((1, 2)) + tf.random.uniform((1, 2)) + 0 * t

    with nengo.Network() as net:
        probe = nengo.Probe(nengo_dl.TensorNode(noise))
    found = {}
    for name, seed in {"first": 0, "again": 0, "other": 1}.items():
        with nengo_dl.Simulator(net, seed=seed, progress_bar=False) as sim:
            sim.run_steps(N_STEPS)
            found[name] = sim.data[probe].copy()
            if name == "first":
                sim.reset()
                sim.run_steps(N_STEPS)
                np.testing.assert_array_equal(sim.data[probe], found["first"])
    np.testing.assert_array_equal(found["first"], found["again"])
    assert not np.any(found["first"] == found["other"])


def test_arguments_of_older_simulators():
    with nengo.Network() as net:
        nengo.Probe(nengo.Node([1.0]))
    with (
        pytest.warns(DeprecationWarning, match="step_blocks of Simulator is ignored: any number"),
        nengo_dl.Simulator(net, step_blocks=10, progress_bar=False) as sim,
    ):
        sim.run_steps(3)
    with (
        pytest.warns(DeprecationWarning, match="keras.callbacks.TensorBoard") as caught,
        nengo_dl.Simulator(net, tensorboard="logs", progress_bar=False),
    ):
        assert caught[0].filename == __file__
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        nengo_dl.Simulator(net, steps=10)


def test_arguments_at_the_places_that_nengo_has_for_them():
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node([1.0]))
    bar = nengo.utils.progress.NoProgressBar()
    with nengo_dl.Simulator(net, 0.002, 3, None, False, True) as sim:
        assert sim.device is None and sim.progress_bar is False and sim.optimize is True
        sim.run(0.01, False)
        sim.run(0.01, bar, stateful=True)
        assert sim.data[probe].shape == (10, 1)
        with pytest.raises(ValidationError, match="give progress_bar by name"):
            sim.run_steps(5, False)
    with nengo_dl.Simulator(net, 0.001, None, None, bar) as sim:
        assert sim.progress_bar is bar
