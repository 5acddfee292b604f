"""The example of a Legendre memory unit in several ways."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.demo import legendre


def test_memory_holds_the_window():
    """The Legendre polynomials with the memory as coefficients give the input of the window."""
    order, theta = 8, 50.0
    a, b = legendre.memory_matrices(order, theta)
    u = np.sin(np.arange(200) / 15)
    m = np.zeros(order)
    for value in u:
        m = a @ m + b[:, 0] * value
    for delay in (5, 20, 40):
        polynomials = [np.polynomial.Legendre.basis(i)(2 * delay / theta - 1) for i in range(order)]
        assert np.dot(polynomials, m) == pytest.approx(np.sin((199 - delay) / 15), abs=0.05)


def test_the_same_of_nengo_objects_and_as_a_cell():
    size = legendre.Size(order=4, theta=6.0, units=5)
    nets = {unit: legendre.make_network(unit, size) for unit in ("Nengo objects", "Keras cell")}
    x, _ = legendre.examples(3)
    found = []
    weights = {}
    for unit, net in nets.items():
        hidden = net.all_connections[-1].pre_obj
        with net:
            probe = nengo.Probe(hidden)
        with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
            if unit == "Keras cell":
                cell = hidden.tensor_func
                for name, value in weights.items():
                    getattr(cell, name).assign(value.T)
            else:
                for conn in net.all_connections:
                    if conn.label in ("e_x", "e_h", "e_m", "w_x", "w_h", "w_m"):
                        weights[conn.label] = sim.data[conn].weights
            found.append(sim.predict(x)[probe])
    assert len(weights) == 6
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize("unit", ["Nengo objects", "Keras cell", "keras_lmu"])
def test_learns_a_delay(unit):
    if unit not in legendre.UNITS:
        pytest.skip("keras_lmu is not installed")
    before, after = legendre.train(unit, epochs=6, n=400)
    assert after < 0.3 < before


def test_trained_in_a_keras_model():
    """The unit of Nengo objects as a layer of a Keras model."""
    net = legendre.make_network("Nengo objects")
    x, y = legendre.examples(100)
    model = keras.Sequential([keras.Input(x.shape[1:]), nengo_dl.NengoLayer(net)])
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    losses = model.fit(x, y, batch_size=20, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
