"""Keras models of `nengo_dl.layers` as NIR, and what the errors advise."""

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl import Converter, layers

nir = pytest.importorskip("nir")

from nengo_dl.nir import from_nir, to_nir  # noqa: E402
from nir_conversion.simulate import record  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero encountered:RuntimeWarning:nengo")

STEPS, SIZE = 25, 3
X = np.random.RandomState(0).uniform(0, 3, (1, STEPS, SIZE)).astype("float32")


def network(*inside):
    """A model of the layers between two Dense ones, and what the converter makes of it."""
    keras.utils.set_random_seed(0)
    weights = keras.initializers.RandomNormal(0, 1.5, seed=0)
    dense = [keras.layers.Dense(n, kernel_initializer=weights) for n in (4, 2)]
    model = keras.Sequential([keras.Input((STEPS, SIZE)), dense[0], *inside, dense[1]])
    return model, Converter(model, temporal_model=True, allow_fallback=False)


def types(graph):
    return sorted({type(node).__name__ for node in graph.nodes.values()})


@pytest.mark.core
@pytest.mark.parametrize("floor", [-np.inf, np.full(4, -np.inf)])
def test_lif(floor):
    model, converter = network(layers.LIF(tau_ref=0, min_voltage=floor))
    expected = model.predict(X, verbose=0)[0]
    graph = to_nir(converter.net)
    assert "LIF" in types(graph)
    back = from_nir(graph)
    (node,) = [n for n in back.all_nodes if n.label.startswith("input")]
    node.output = nengo.processes.PresentInput(X[0], 0.001)
    (given,) = record(back, STEPS).values()
    assert np.ptp(expected) > 100
    np.testing.assert_allclose(given, expected, atol=1e-3)


@pytest.mark.core
@pytest.mark.parametrize("tau_rc", [0.02, [0.01, 0.02, 0.02, 0.03]])
def test_recurrent_lif(tau_rc):
    """A loop of weights, for one kind of neurons and for several."""
    weights = keras.initializers.RandomNormal(0, 0.6, seed=1)
    layer = layers.RecurrentLIF(
        tau_ref=0,
        min_voltage=-np.inf,
        tau_rc=tau_rc,
        use_bias=True,
        bias_initializer="ones",
        recurrent_initializer=weights,
    )
    model, converter = network(layer)
    expected = model.predict(X, verbose=0)[0]
    back = from_nir(to_nir(converter.net))
    (node,) = [n for n in back.all_nodes if n.label.startswith("input")]
    node.output = nengo.processes.PresentInput(X[0], 0.001)
    (given,) = record(back, STEPS).values()
    layer.cell.recurrent_kernel.assign(np.zeros((4, 4)))
    assert np.abs(model.predict(X, verbose=0)[0] - expected).max() > 100
    np.testing.assert_allclose(given, expected, atol=1e-3)


def test_floor_of_the_voltage_in_files(tmp_path):
    model, _ = network(layers.LIF(min_voltage=-np.inf))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="min_voltage was given -inf, which training cannot"):
        network(layers.LIF(min_voltage=-np.inf, trainable_attributes="min_voltage"))
    with pytest.raises(ValueError, match="min_voltage was given inf; expected a number"):
        layers.LIF(min_voltage=np.inf)


def test_advice_for_lif():
    """Each error names an argument of the layer; with both there is none."""
    arguments = {}
    for name, value in [("tau_ref", 0), ("min_voltage", -np.inf)]:
        with pytest.raises(ValidationError, match=rf"LIF\({name}=") as error:
            to_nir(network(layers.LIF(**arguments))[1].net)
        assert f"{name}={'-np.inf' if value else 0})" in str(error.value)
        arguments[name] = value
    to_nir(network(layers.LIF(**arguments))[1].net)


def test_trained_neurons():
    """Time constants and thresholds that differ between units are nodes of their own."""
    names = ["tau_rc", "threshold"]
    model, _ = network(layers.LIF(tau_ref=0, min_voltage=-np.inf, trainable_attributes=names))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
    model.fit(X, np.ones((1, STEPS, 2)), verbose=0)
    tau = model.layers[1].attribute("tau_rc")
    graph = to_nir(Converter(model, temporal_model=True, allow_fallback=False).net)
    written = np.concatenate([n.tau for n in graph.nodes.values() if isinstance(n, nir.LIF)])
    assert np.ptp(tau) > 0
    np.testing.assert_allclose(sorted(written), sorted(tau), rtol=1e-6)


@pytest.mark.parametrize("make", [layers.SpikingActivation, layers.AdaptiveLIF])
def test_advice_for_other_neurons(make):
    layer = make("relu") if make is layers.SpikingActivation else make()
    converter = network(layer)[1]
    with pytest.raises(ValidationError, match=r"LIF\(tau_ref=0, min_voltage=-np.inf"):
        to_nir(converter.net)
    advised = layers.LIF(tau_ref=0, min_voltage=-np.inf)
    assert "LIF" in types(to_nir(network(advised)[1].net))
    if make is layers.SpikingActivation:
        with pytest.warns(UserWarning, match="the NIR graph has"):
            assert "IF" in types(to_nir(converter.net, strict=False))


@pytest.mark.core
@pytest.mark.parametrize("make", [layers.Lowpass, layers.Alpha])
def test_filters(make):
    """Trained time constants; levels that were trained too are what NIR has not."""
    model, converter = network(make(0.01))
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    model.fit(X, np.ones((1, STEPS, 2)), verbose=0)
    converter = Converter(model, temporal_model=True, allow_fallback=False)
    with pytest.raises(ValidationError, match="trainable_attributes='tau'"):
        to_nir(converter.net)
    model, _ = network(make(0.01, trainable_attributes="tau"))
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    model.fit(X, np.ones((1, STEPS, 2)), verbose=0)
    tau = model.layers[1].attribute("tau")
    graph = to_nir(Converter(model, temporal_model=True, allow_fallback=False).net)
    written = [n.tau for n in graph.nodes.values() if isinstance(n, nir.LI)]
    assert np.ptp(tau) > 0
    np.testing.assert_allclose(sorted(set(np.concatenate(written))), np.unique(tau), rtol=1e-6)
