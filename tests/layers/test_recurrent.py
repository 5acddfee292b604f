"""Recurrent LIF layers: Nengo's spikes, gradients that last, files, and training."""

import keras
import nengo
import numpy as np
import pytest

from layers.reference import values
from nengo_dl import Converter, layers, surrogates
from nengo_dl.runtime import backends

STEPS, UNITS = 100, 12
LAYERS = {
    "lif": (layers.RecurrentLIF, nengo.LIF, {"tau_rc": 0.015, "tau_ref": 0.001}),
    "adaptive": (
        layers.RecurrentAdaptiveLIF,
        nengo.AdaptiveLIF,
        {"tau_n": 0.1, "inc_n": 0.02, "tau_ref": 0},
    ),
}


def in_nengo(neuron_type, currents, kernel, bias):
    """Spikes of an ensemble whose neurons are connected among themselves."""
    tau_rc, amplitude = neuron_type.tau_rc, neuron_type.amplitude
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(nengo.processes.PresentInput(currents, 0.001), size_out=UNITS)
        ens = nengo.Ensemble(
            UNITS, 1, neuron_type=neuron_type, gain=np.full(UNITS, 2.0), bias=np.full(UNITS, bias)
        )
        nengo.Connection(stimulus, ens.neurons, synapse=None, transform=0.5)
        nengo.Connection(
            ens.neurons,
            ens.neurons,
            synapse=0,  # the spikes of the step before
            transform=0.5 * tau_rc / amplitude * kernel.T,
        )
        probe = nengo.Probe(ens.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(len(currents))
        return sim.data[probe]


@pytest.mark.core
@pytest.mark.parametrize("name", LAYERS)
def test_spikes_are_those_of_nengo(float64, name):
    make, neuron_type, parameters = LAYERS[name]
    parameters = {**parameters, "amplitude": 0.5}
    currents = np.random.RandomState(0).uniform(-2, 4, (STEPS, UNITS))
    layer = make(
        **parameters,
        threshold=0.5,
        use_bias=True,
        bias_initializer=keras.initializers.Constant(0.3),
        recurrent_initializer=keras.initializers.RandomNormal(0, 0.3, seed=0),
        dtype="float64",
    )
    given = values(layer(currents[None] / 2))[0]
    neurons = neuron_type(**parameters, initial_state={"voltage": nengo.dists.Choice([0])})
    kernel = values(layer.cell.recurrent_kernel)
    expected = in_nengo(neurons, currents, kernel, bias=0.3)
    assert 0.02 < np.mean(expected > 0) < 0.5
    assert np.any(in_nengo(neurons, currents, 0 * kernel, bias=0.3) != expected)
    np.testing.assert_allclose(given, expected)


@pytest.mark.core
def test_converted_in_nengo(float64):
    """The network of the Converter, in nengo.Simulator, trained attributes included."""
    layer = layers.RecurrentLIF(
        tau_rc=np.linspace(0.01, 0.03, UNITS), amplitude=np.linspace(0.1, 1, UNITS), use_bias=True
    )
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    x = np.random.RandomState(0).uniform(-2, 5, (1, STEPS, UNITS))
    layer.cell.bias.assign(np.linspace(0, 1, UNITS))
    expected = model.predict(x, verbose=0)[0]
    converter = Converter(model, temporal_model=True, allow_fallback=False)
    (node,), (probe,) = converter.inputs.values(), converter.outputs.values()
    with converter.net:
        source = nengo.Node(nengo.processes.PresentInput(x[0], 0.001))
        nengo.Connection(source, node, synapse=None)
    with np.errstate(divide="ignore"):  # Nengo asks for the rates at the threshold
        sim = nengo.Simulator(converter.net, progress_bar=False)
    with sim:
        sim.run_steps(STEPS)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(sim.data[probe], expected)


def gradients(layer, x):
    """Of what the last 20 outputs are after, for the currents."""
    layer.build(x.shape)
    direction = np.random.RandomState(1).randn(len(x), 1, x.shape[-1]).astype("float32")
    (gradient,) = backends.active().gradients(
        lambda tensors: keras.ops.sum(direction * layer(*tensors, training=True)[:, -20:]),
        [keras.ops.convert_to_tensor(x)],
    )
    return values(gradient)


@pytest.mark.core
def test_gradients_live():
    """Over 200 steps they stay within two orders of magnitude, whatever weights are drawn."""
    rng, (batch, steps, units) = np.random.RandomState(0), (4, 200, 128)

    def ratio(layer, mean=1.2, constant=0.6, changing=1.3):
        x = mean + constant * rng.randn(batch, 1, units) + changing * rng.randn(batch, steps, units)
        norms = np.linalg.norm(gradients(layer, x.astype("float32")), axis=-1).mean(axis=0)
        return norms[:10].mean() / norms[180:190].mean()

    keras.utils.set_random_seed(0)
    layer = layers.RecurrentLIF()
    assert 0.01 < ratio(layer) < 100
    assert 0.01 < ratio(layer, mean=0.5, constant=2.0, changing=0.5) < 100
    kernel = values(layer.cell.recurrent_kernel)
    np.testing.assert_allclose(kernel @ kernel.T, 0.25 * np.eye(units), atol=1e-6)

    def other(factor, surrogate):
        """As the default, but for its weights and its surrogate."""
        layer = layers.RecurrentLIF(surrogate=surrogate, recurrent_initializer="zeros")
        layer.build((None, steps, units))
        layer.cell.recurrent_kernel.assign(factor * kernel)
        return layer

    assert ratio(layers.LIF()) < 1e-4
    assert ratio(other(1.0, "fast_sigmoid")) < 1e-4
    assert ratio(other(2.0, surrogates.fast_sigmoid(2.0))) > 1e4


def test_surrogate_in_a_configuration():
    layer = layers.RecurrentLIF()
    copied = layers.RecurrentLIF.from_config(layer.get_config())
    assert copied.cell.surrogate == layer.cell.surrogate == surrogates.fast_sigmoid(4.0)


def test_rates_in_training():
    """Without a surrogate training has rates, which excite each other as spikes do on average."""
    layer = layers.RecurrentLIF(surrogate=None, recurrent_initializer="zeros")
    alone = values(layer(np.full((1, 50, 2), 2.0), training=True))
    layer.cell.recurrent_kernel.assign([[0.0, 0.2], [0.0, 0.0]])
    given = values(layer(np.full((1, 50, 2), 2.0), training=True))[0, -1]
    assert given[0] == alone[0, -1, 0]
    current = 2.0 + 0.02 * 0.2 * given[0]
    expected = nengo.LIFRate().rates([current], np.ones(1), np.zeros(1))
    np.testing.assert_allclose(given[1], expected[0, 0], rtol=1e-5)


@pytest.mark.core
def test_delay_lines():
    """A spike moves through its line, and not into the next one; the others hear of it."""
    lines = layers.DelayLines(lines=2, length=4, seed=0)
    layer = layers.RecurrentLIF(tau_rc=0.005, tau_ref=0, recurrent_initializer=lines)
    currents = np.zeros((1, 10, 11), dtype="float32")
    currents[0, [0, 2], lines.first] = 6.0
    given = values(layer(currents))[0, :, :8] > 0
    expected = [(k + 4 * line, k + 2 * line) for line in range(2) for k in range(4)]
    np.testing.assert_array_equal(np.argwhere(given.T), sorted((n, t) for n, t in expected))
    kernel = values(layer.cell.recurrent_kernel)
    assert np.all(kernel[:, 8:] != 0) and np.count_nonzero(kernel[:, :8]) == 6
    copied = layers.RecurrentLIF.from_config(layer.get_config())
    copied.build(currents.shape)
    np.testing.assert_array_equal(values(copied.cell.recurrent_kernel), kernel)


def test_wrong_delay_lines():
    with pytest.raises(ValueError, match="lines was given 0; expected a positive integer"):
        layers.DelayLines(0, 4)
    layer = layers.RecurrentLIF(recurrent_initializer=layers.DelayLines(2, 4))
    with pytest.raises(ValueError, match=r"of shape \(7, 7\); expected .* at least 8 neurons"):
        layer.build((None, 10, 7))


@pytest.mark.core
def test_delay_lines_last_in_training():
    """The surrogate reaches their first neurons and those outside of the lines, and no others."""
    lines = layers.DelayLines(lines=2, length=5, seed=0)
    neurons = layers.RecurrentLIF(
        tau_rc=0.005, tau_ref=0, surrogate=surrogates.triangle(0.25), recurrent_initializer=lines
    )
    driven = [*lines.first, *range(10, 20)]
    currents = np.zeros((8, 10, 20), dtype="float32")
    currents[..., driven] = np.random.RandomState(0).uniform(0, 8, (8, 10, len(driven)))
    reached = np.any(gradients(neurons, currents), axis=(0, 1))
    np.testing.assert_array_equal(np.flatnonzero(reached), driven)
