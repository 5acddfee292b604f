"""The layers of nengo_dl in Nengo networks: the same output, step by step."""

import keras
import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import Converter, layers

STEPS, UNITS = 40, 3

WEIGHTS = {"recurrent_initializer": keras.initializers.RandomNormal(0, 0.5, seed=0)}
LAYERS = {
    "spiking": lambda: layers.SpikingActivation("relu"),
    "lif": lambda: layers.LIF(tau_rc=0.015, threshold=[0.5, 1.0, 2.0]),
    "lifs": lambda: layers.LIF(tau_rc=[0.015, 0.02, 0.015], amplitude=[1.0, 2.0, 1.0]),
    "adaptive": lambda: layers.AdaptiveLIF(tau_n=0.05),
    "recurrent": lambda: layers.RecurrentLIF(
        threshold=[0.5, 1.0, 2.0], amplitude=0.5, use_bias=True, bias_initializer="ones", **WEIGHTS
    ),
    "kinds": lambda: layers.RecurrentAdaptiveLIF(
        tau_n=0.05, inc_n=0.1, tau_rc=[0.01, 0.02, 0.03], amplitude=[0.1, 0.2, 0.1], **WEIGHTS
    ),
    "lowpass": lambda: layers.Lowpass([0.01, 0.02, 0.01]),
    "alpha": lambda: layers.Alpha(0.01),
    "memory": lambda: layers.LegendreMemory(4, 0.02, return_sequences=True),
    "last": lambda: layers.LegendreMemory(4, 0.02),
}


@pytest.mark.core
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_same_output(make):
    x = np.random.RandomState(0).uniform(-1, 4, (1, STEPS, UNITS)).astype("float32")
    if make is LAYERS["spiking"]:
        x = 100 * x
    model = keras.Sequential([keras.Input((STEPS, UNITS)), make()])
    expected = model.predict(x, verbose=0)
    converter = Converter(model, temporal_model=True, allow_fallback=False)
    (node,), (probe,) = converter.inputs.values(), converter.outputs.values()
    with nengo_dl.Simulator(converter.net, minibatch_size=1, progress_bar=False) as sim:
        given = sim.predict({node: x})[probe]
    given = given if expected.ndim == 3 else given[:, -1]
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(given, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.core
@pytest.mark.parametrize("make", [layers.Lowpass, layers.Alpha])
def test_trained_filters(make):
    """Time constants and levels that differ between units, also in nengo.Simulator."""
    x = np.random.RandomState(0).uniform(-1, 1, (1, STEPS, UNITS)).astype("float32")
    model = keras.Sequential([keras.Input((STEPS, UNITS)), make(0.02, initial_level=[0, 1, 0])])
    model.compile(optimizer=keras.optimizers.SGD(3.0), loss="mse")
    model.fit(x, x + 1, verbose=0)
    expected = model.predict(x, verbose=0)
    assert np.all(model.layers[0].attribute("initial_level"))
    converter = Converter(model, temporal_model=True, allow_fallback=False)
    (node,), (probe,) = converter.inputs.values(), converter.outputs.values()
    with nengo_dl.Simulator(converter.net, minibatch_size=1, progress_bar=False) as sim:
        np.testing.assert_allclose(sim.predict({node: x})[probe], expected, atol=1e-5)
        sim.reset()
        np.testing.assert_allclose(sim.predict({node: x})[probe], expected, atol=1e-5)
    with converter.net:
        source = nengo.Node(nengo.processes.PresentInput(x[0], 0.001))
        nengo.Connection(source, node, synapse=None)
    with nengo.Simulator(converter.net, progress_bar=False) as sim:
        sim.run_steps(STEPS)
        np.testing.assert_allclose(sim.data[probe], expected[0], atol=1e-5)


def test_objects_are_nengos():
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layers.LIF(), layers.Alpha(0.01)])
    net = Converter(model, temporal_model=True, allow_fallback=False).net
    assert [type(ens.neuron_type) for ens in net.all_ensembles] == [nengo.LIF]
    assert any(isinstance(node.output, nengo.Alpha) for node in net.all_nodes)
    assert not any(isinstance(node, nengo_dl.TensorNode) for node in net.all_nodes)


def test_what_has_no_equivalent():
    for layer, reason in [
        (layers.Lowpass(0.01, time_major=True), "time_major=True has no equivalent"),
        (layers.SpikingActivation("softplus"), "'softplus' has no neuron type"),
    ]:
        model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
        with pytest.raises(TypeError, match=reason):
            Converter(model, temporal_model=True, allow_fallback=False)
