"""Products of large matrices, whose left one is transposed before."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime.backends import active, large_product
from nengo_dl.tuning import TRANSPOSED_COLUMNS as COLUMNS
from nengo_dl.tuning import TRANSPOSED_ROWS as ROWS
from nengo_dl.tuning import TRANSPOSED_TERMS as TERMS


@pytest.mark.core
def test_what_is_large():
    assert large_product.is_large(ROWS, TERMS, COLUMNS)
    assert not large_product.is_large(ROWS - 1, TERMS, COLUMNS)
    assert not large_product.is_large(ROWS, TERMS - 1, COLUMNS)
    assert not large_product.is_large(ROWS, TERMS, COLUMNS - 1)
    assert not large_product.is_large(None, TERMS, COLUMNS)


@pytest.mark.core
def test_value_and_gradients(monkeypatch):
    """A product with both gradients, against numpy's, with sizes that pass for large."""
    for name in ("ROWS", "TERMS", "COLUMNS"):
        monkeypatch.setattr(tuning, f"TRANSPOSED_{name}", 2)
    rng = np.random.RandomState(0)
    x, a, weights = (rng.normal(size=s).astype(np.float32) for s in ((5, 4), (4, 3), (5, 3)))
    transposed = []

    def stored(value):
        transposed.append(tuple(value.shape))
        return value

    product = keras.ops.convert_to_numpy(large_product.multiply(x, a, stored))
    np.testing.assert_allclose(product, x @ a, rtol=1e-5)

    def loss(tensors):
        transposed = map(keras.ops.transpose, tensors)
        return keras.ops.sum(large_product.multiply(*transposed, stored) * weights)

    tensors = [keras.ops.convert_to_tensor(values.T) for values in (x, a)]
    d_x, d_a = (np.transpose(gradient) for gradient in active().gradients(loss, tensors))
    assert set(transposed) == {(4, 5), (3, 5)}  # of x, and of what its gradient is computed from
    np.testing.assert_allclose(d_x, weights @ a.T, rtol=1e-5)
    np.testing.assert_allclose(d_a, x.T @ weights, rtol=1e-5)


def test_training_learns_the_same(monkeypatch):
    """Two layers, trained through all steps at once, with and without the transposition."""

    def weights_after_training():
        with nengo.Network(seed=0) as net:
            x = nengo.Node(np.zeros(6))
            hidden = nengo.Ensemble(5, 1, neuron_type=nengo.RectifiedLinear())
            out = nengo.Node(size_in=4)
            init = nengo_dl.dists.Glorot()
            first = nengo.Connection(x, hidden.neurons, transform=init, synapse=None)
            second = nengo.Connection(hidden.neurons, out, transform=init, synapse=None)
            probe = nengo.Probe(out)
        rng = np.random.RandomState(1)
        inputs, targets = rng.uniform(size=(16, 10, 6)), rng.uniform(size=(16, 10, 4))
        with nengo_dl.Simulator(net, minibatch_size=8, progress_bar=False) as sim:
            sim.compile(keras.optimizers.SGD(0.01), loss="mse")
            sim.fit({x: inputs}, {probe: targets}, epochs=2, shuffle=False, verbose=0)
            return [np.array(sim.data[conn].weights) for conn in (first, second)]

    expected = weights_after_training()
    # all steps of a minibatch are 80 rows: now they make a stage of their own, and are large
    monkeypatch.setattr("nengo_dl.compiler.distribute.HEAVY", 1)
    used = []
    multiply = large_product.multiply
    for name in ("ROWS", "TERMS", "COLUMNS"):
        monkeypatch.setattr(tuning, f"TRANSPOSED_{name}", 4)

    def counted(x, a, stored):
        used.append(large_product.is_large(*x.shape, a.shape[1]))
        return multiply(x, a, stored)

    monkeypatch.setattr(large_product, "multiply", counted)
    for weights, same in zip(weights_after_training(), expected, strict=True):
        np.testing.assert_allclose(weights, same, rtol=1e-5, atol=1e-6)
    assert any(used)
