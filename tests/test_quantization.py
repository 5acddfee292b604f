"""Weights of few bits."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ConfigError

import nengo_dl
from nengo_dl.quantization import Quantizer

X = np.random.RandomState(0).uniform(-1, 1, (40, 1, 4))


def make_network(neuron_type=None, seed=0, **settings):
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        net.config[nengo.Connection].synapse = None
        net.stimulus = nengo.Node(np.zeros(4), label="stimulus")
        ens = nengo.Ensemble(
            20,
            1,
            neuron_type=neuron_type or nengo.RectifiedLinear(),
            gain=nengo.dists.Choice([1]),
            bias=nengo.dists.Choice([1]),
        )
        out = nengo.Node(size_in=2)
        rng = np.random.RandomState(seed)  # the same weights whatever was tested before
        first, second = rng.normal(size=(20, 4)), rng.normal(size=(2, 20)) / 10
        net.first = nengo.Connection(net.stimulus, ens.neurons, transform=first)
        net.second = nengo.Connection(ens.neurons, out, transform=second)
        net.out = nengo.Probe(out)
    return net


def levels(weights):
    return len(np.unique(np.abs(weights)))


@pytest.mark.core
@pytest.mark.parametrize("step", [None, 0.1])
def test_quantizer(step):
    weights = np.random.RandomState(1).normal(size=(3, 5))
    quantizer = Quantizer(bits=4, step=step)
    integers, used = quantizer.integers(weights)
    assert np.abs(integers).max() == 7 and integers.dtype.kind == "i"
    assert used == (step or np.abs(weights).max() / 7)
    rounded = np.asarray(quantizer(keras.ops.convert_to_tensor(weights, dtype="float32")))
    np.testing.assert_allclose(rounded, integers * used, rtol=1e-5)
    inside = np.abs(weights) <= 7 * used
    assert np.abs(rounded - weights)[inside].max() <= used / 2 * (1 + 1e-5)


def test_quantizer_of_zeros():
    zeros = np.zeros((2, 2))
    np.testing.assert_array_equal(
        np.asarray(Quantizer(3)(keras.ops.convert_to_tensor(zeros, dtype="float32"))), 0
    )
    np.testing.assert_array_equal(Quantizer(3).integers(zeros)[0], 0)


@pytest.mark.core
def test_simulation_and_frozen_parameters():
    """What is computed with is what is frozen, and only of the chosen connection."""
    net = make_network()
    with net:
        nengo_dl.configure_settings(quantizer=None)
    net.config[net.first].quantizer = Quantizer(bits=3)
    before = [conn.transform.init for conn in (net.first, net.second)]
    with nengo_dl.Simulator(net, minibatch_size=40, progress_bar=False) as sim:
        result = sim.predict(X)[net.out][:, 0]
        np.testing.assert_array_equal(sim.data[net.second].weights, before[1])
        np.testing.assert_allclose(
            sim.data[net.first].weights, np.multiply(*Quantizer(3).integers(before[0])), rtol=1e-6
        )
        sim.freeze_params(net)
    assert levels(net.first.transform.init) == 4
    net.stimulus.output = nengo.processes.PresentInput(X[:, 0], 0.001)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(40)
    np.testing.assert_allclose(sim.data[net.out], result, atol=1e-9)


@pytest.mark.core
def test_training_with_rounded_weights():
    """Better than rounding afterwards, and the weights that are left have few values."""
    teacher = make_network(seed=1)
    with nengo_dl.Simulator(teacher, minibatch_size=40, progress_bar=False) as sim:
        y = sim.predict(X)[teacher.out]

    def trained(quantizer):
        net = make_network(quantizer=quantizer)
        keras.utils.set_random_seed(0)
        with nengo_dl.Simulator(net, minibatch_size=40, progress_bar=False, seed=0) as sim:
            sim.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
            sim.fit(X, y, epochs=150, verbose=0)
            sim.freeze_params(net)
        return net

    def loss(net):
        with nengo_dl.Simulator(net, minibatch_size=40, progress_bar=False) as sim:
            return np.mean((sim.predict(X)[net.out] - y) ** 2)

    exact = trained(None)
    for conn in (exact.first, exact.second):
        integers, step = Quantizer(3).integers(conn.transform.init)
        conn.transform = integers * step
    aware = trained(3)
    assert levels(aware.first.transform.init) <= 4 and levels(aware.second.transform.init) <= 4
    assert loss(aware) < 0.7 * loss(exact)


def test_saved_parameters(tmp_path):
    net = make_network(quantizer=2)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.save_params(tmp_path / "params")
    again = make_network()
    nengo_dl.load_params_into(again, tmp_path / "params")
    for conn in again.connections:
        assert levels(conn.transform.init) == 2


def test_errors():
    with pytest.raises(ValueError, match="bits from 2 to 16, got 1"):
        Quantizer(1)
    with pytest.raises(ValueError, match="step > 0, got -1"):
        Quantizer(step=-1)
    with pytest.raises(ConfigError, match="'quantizer' was given 'few'; expected a number of bits"):
        make_network(quantizer="few")
    with pytest.raises(ConfigError, match="'quantizer' was given 99; expected"):
        make_network(quantizer=99)
