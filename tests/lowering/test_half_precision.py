"""Products in half precision, with everything else in single precision."""

import keras
import nengo
import numpy as np
import pytest
from keras import ops
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.lowering.convolution import ConvolutionKernel, TransposedConvolutionKernel
from nengo_dl.runtime.backends import active

TYPES = ["bfloat16", "float16"]
ROWS, COLUMNS, N_STEPS = 17, 20, 4


def rounded(values, dtype):
    """Numbers in half precision, as doubles."""
    half = ops.cast(ops.convert_to_tensor(np.float32(values)), dtype)
    return np.float64(ops.convert_to_numpy(ops.cast(half, "float32")))


def simulated(net, n_steps=N_STEPS, dtype=None, **kwargs):
    """What the probes of a network have recorded."""
    if dtype is not None:
        with net:
            nengo_dl.configure_settings(dtype=dtype)
    with nengo_dl.Simulator(net, progress_bar=False, **kwargs) as sim:
        sim.run_steps(n_steps)
        return [sim.data[probe] for probe in net.all_probes]


def values(*shape):
    return np.random.RandomState(0).normal(size=shape)


def products(weights):
    """Vectors that change from step to step, times matrices."""
    with nengo.Network() as net:
        for matrix in weights:
            rows, columns = matrix.shape
            vector = nengo.Node(lambda t, n=columns: np.cos(np.arange(n) + 500 * t))
            out = nengo.Node(size_in=rows)
            nengo.Connection(vector, out, transform=matrix, synapse=None)
            nengo.Probe(out)
    return net


@pytest.mark.core
@pytest.mark.parametrize("half", TYPES)
@pytest.mark.parametrize(("n", "minibatch_size"), [(1, None), (3, 2)])
def test_operands_are_rounded_and_sums_are_not(half, n, minibatch_size):
    weights = values(n, ROWS, COLUMNS)
    results = simulated(products(weights), dtype=f"mixed_{half}", minibatch_size=minibatch_size)
    times = 0.001 * np.arange(1, N_STEPS + 1)[:, None]
    x = np.cos(np.arange(COLUMNS) + 500 * times)
    for found, matrix in zip(results, weights, strict=True):
        assert found.dtype == np.float32
        product = rounded(x, half) @ rounded(matrix, half).T
        np.testing.assert_allclose(found, np.broadcast_to(product, found.shape), atol=1e-5)
        assert np.abs(product - x @ matrix.T).max() > 1e-3


@pytest.mark.core
def test_small_matrices_and_all_else_stay_in_single_precision():
    """Neurons, filters, learned weights and products of few rows or columns: to the last bit."""

    def network():
        net = products([values(15, 30), values(30, 15), values(1, 40)])
        with net:
            ens = nengo.Ensemble(40, 15, neuron_type=nengo.AdaptiveLIF(), seed=0)
            nengo.Connection(net.all_nodes[0], ens[:10], transform=values(10, 30))
            nengo.Probe(ens.neurons)
            nengo.Probe(ens.neurons, "voltage")
            error, out = nengo.Node(np.ones(20)), nengo.Node(size_in=20)
            learned = nengo.Connection(
                ens, out, function=lambda x: np.zeros(20), learning_rule_type=nengo.PES(), seed=2
            )
            nengo.Connection(error, learned.learning_rule)
            nengo.Probe(out, synapse=0.01)
        return net

    mixed = simulated(network(), 20, "mixed_bfloat16")
    for found, expected in zip(mixed, simulated(network(), 20), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.core
@pytest.mark.parametrize("half", TYPES)
def test_spikes_are_exact(half):
    """1000 is a number in half precision, and so are eighths: nothing is lost but by large sums."""

    def network():
        with nengo.Network(seed=0) as net:
            ens = nengo.Ensemble(30, 1, max_rates=nengo.dists.Choice([400]))
            out = nengo.Node(size_in=16)
            weights = np.random.RandomState(0).randint(-100, 100, size=(16, 30)) / 8
            nengo.Connection(ens.neurons, out, transform=weights, synapse=None)
            nengo.Probe(out)
        return net

    (found,) = simulated(network(), 30, f"mixed_{half}")
    (expected,) = simulated(network(), 30, "float64")
    assert len(np.unique(expected)) > 100
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dt", [0.001, 1e-5])
def test_spikes_that_half_precision_does_not_hold(dt):
    with nengo.Network() as net:
        nengo_dl.configure_settings(dtype="mixed_float16")
        nengo.Ensemble(2, 1, neuron_type=nengo.LIF())
        nengo.Ensemble(2, 1, neuron_type=nengo.LIFRate())
    if dt == 0.001:
        nengo_dl.Simulator(net, dt=dt, progress_bar=False).close()
        return
    with pytest.raises(ValidationError, match=r"spike of LIF\(\) is 100000.*'mixed_bfloat16'"):
        nengo_dl.Simulator(net, dt=dt, progress_bar=False)


@pytest.mark.core
@pytest.mark.parametrize("half", TYPES)
def test_gradients_are_products_in_half_precision_too(half):
    """Of several matrices at once."""
    x, a, upstream = (values(3, *s).astype(np.float32) for s in ((5, 4), (4, 3), (5, 3)))

    def loss(tensors):
        return ops.sum(active().matmul(*tensors, half=half) * upstream)

    gradients = active().gradients(loss, [ops.convert_to_tensor(v) for v in (x, a)])
    x, a, upstream = (rounded(v, half) for v in (x, a, upstream))
    expected = upstream @ np.swapaxes(a, -1, -2), np.swapaxes(x, -1, -2) @ upstream
    for gradient, value in zip(gradients, expected, strict=True):
        assert keras.backend.standardize_dtype(gradient.dtype) == "float32"
        np.testing.assert_allclose(gradient, value, rtol=1e-5, atol=1e-5)


@pytest.mark.core
@pytest.mark.parametrize("half", TYPES)
def test_the_device_multiplies_half_precision(half):
    """What XLA is given: in the product and both gradients the operands are in half precision, and
    the result is not.
    """
    shapes = (5, 4), (4, 3)

    def gradients(x, a):
        def loss(tensors):
            return ops.sum(active().matmul(*tensors, half=half) ** 2)

        return active().gradients(loss, [x, a])

    assert _types_of_products(gradients, shapes) == [(half, half, "float32")] * 3


def _types_of_products(function, shapes):
    if keras.backend.backend() == "jax":
        import jax

        specs = [jax.ShapeDtypeStruct(shape, "float32") for shape in shapes]
        text = jax.jit(function).lower(*specs).as_text()
        names = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
        lines = [line.split(" : ")[-1] for line in text.splitlines() if "dot_general" in line]
        types = [[part.split("x")[-1] for part in line.split("tensor<")[1:]] for line in lines]
        return [tuple(names[name.split(">")[0]] for name in line) for line in types]
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, "float32") for shape in shapes]
    traced = tf.function(function, jit_compile=True, autograph=False)
    operations = traced.get_concrete_function(*specs).graph.get_operations()
    products = [op for op in operations if "MatMul" in op.type]
    return [tuple(t.dtype.name for t in (*op.inputs, *op.outputs)) for op in products]


@pytest.mark.core
def test_training(tmp_path):
    """Two layers: parameters are in single precision, the loss is scaled, and what was learned is
    kept.
    """

    def network():
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(dtype="mixed_float16", surrogate="fast_sigmoid")
            net.input = nengo.Node(np.zeros(COLUMNS))
            x = net.input
            for size in (ROWS, 16):
                layer = nengo.Ensemble(size, 1, max_rates=nengo.dists.Choice([200])).neurons
                init = nengo_dl.dists.He()
                nengo.Connection(x, layer, transform=init, synapse=0.005)
                x = layer
            net.probe = nengo.Probe(x, synapse=0.01)
        return net

    net = network()
    rng = np.random.RandomState(0)
    x, y = rng.uniform(-1, 1, (16, 20, COLUMNS)), rng.uniform(0, 60, (16, 20, 16))
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.02), loss="mse")
        assert isinstance(sim.keras_model.optimizer, keras.optimizers.LossScaleOptimizer)
        losses = sim.fit({net.input: x}, {net.probe: y}, epochs=8, verbose=0).history["loss"]
        assert losses[-1] < 0.9 * losses[0]
        assert {v.dtype for v in sim.keras_model.variables} <= {"float32", "int32"}
        predicted = sim.predict({net.input: x})[net.probe]
        assert predicted.dtype == np.float32
        sim.save_params(tmp_path / "params")
        sim.freeze_params(net)
    other = network()
    with nengo_dl.Simulator(other, minibatch_size=8, progress_bar=False) as sim:
        sim.load_params(tmp_path / "params.npz")
        np.testing.assert_allclose(sim.predict({other.input: x})[other.probe], predicted, rtol=1e-5)
    with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict({net.input: x})[net.probe], predicted, rtol=1e-5)


@pytest.mark.core
def test_the_policy_of_keras_is_followed_where_it_is_asked_for():
    weights = values(1, ROWS, COLUMNS)
    (single,) = simulated(products(weights))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        (same,) = simulated(products(weights))
        (mixed,) = simulated(products(weights), dtype=keras.config.dtype_policy())
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(same, single)
    np.testing.assert_array_equal(mixed, simulated(products(weights), dtype="mixed_bfloat16")[0])
    assert np.abs(mixed - single).max() > 1e-3


def test_gradients_can_be_checked():
    net = products([values(ROWS, COLUMNS)])
    with net:
        nengo_dl.configure_settings(dtype="mixed_bfloat16")
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.check_gradients()
        sim.compile("sgd", loss="mse")
        assert not isinstance(sim.keras_model.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize(
    ("kind", "half"), [("Convolution", "bfloat16"), ("ConvolutionTranspose", "float16")]
)
def test_convolutions_and_their_gradients(kind, half):
    """They are those in single precision of rounded values."""
    transform = getattr(nengo.transforms, kind)(5, (4, 4, 2), kernel_size=(3, 3), padding="same")
    is_plain = kind == "Convolution"
    function = (ConvolutionKernel if is_plain else TransposedConvolutionKernel)().function(
        transform
    )
    in_half = active().half_convolution(function, half)
    if keras.backend.backend() != "jax":
        assert in_half is function
        return
    given = [values(3, 3, 2, 5), values(2, 4, 4, 2), values(2, *transform.output_shape.shape)]

    def loss(function, upstream):
        return lambda tensors: ops.sum(function(*tensors) * upstream)

    *operands, upstream = (ops.convert_to_tensor(np.float32(v)) for v in given)
    found = [in_half(*operands), *active().gradients(loss(in_half, upstream), operands)]
    *operands, upstream = (ops.convert_to_tensor(np.float32(rounded(v, half))) for v in given)
    expected = [function(*operands), *active().gradients(loss(function, upstream), operands)]
    for value, same in zip(found, expected, strict=True):
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        np.testing.assert_allclose(value, same, atol=1e-5)


def test_large_kernels_of_networks_are_rounded():
    results = {}
    for dtype in ("float32", "mixed_bfloat16"):
        with nengo.Network(seed=0) as net:
            image = nengo.Node(values(32))
            for n_filters in (15, 16):
                conv = nengo.Convolution(n_filters, (4, 4, 2), kernel_size=(3, 3))
                out = nengo.Node(size_in=conv.size_out)
                nengo.Connection(image, out, transform=conv, synapse=None, seed=0)
                nengo.Probe(out)
        results[dtype] = simulated(net, 1, dtype)
    (small, large), (same, changed) = results.values()
    np.testing.assert_array_equal(small, same)
    assert np.any(large != changed) == (keras.backend.backend() == "jax")
