"""The neuron types in Nengo itself: what they compute there is what the lowerings have to match."""

import copy
import pickle

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError
from nengo.neurons import RectifiedLinear

from nengo_dl.neurons import (
    ELU,
    GELU,
    IntegratedSpiking,
    LeakyReLU,
    SiLU,
    SoftLIFRate,
    SpikingLeakyReLU,
)

TYPES = [
    SoftLIFRate(),
    SoftLIFRate(sigma=0.02, tau_rc=0.03, tau_ref=0.001, amplitude=0.5),
    LeakyReLU(),
    LeakyReLU(negative_slope=0.1, amplitude=2),
    SpikingLeakyReLU(),
    SpikingLeakyReLU(negative_slope=0.5, amplitude=0.01),
    SiLU(),
    GELU(amplitude=2),
    GELU(approximate=True),
    ELU(alpha=0.5),
    IntegratedSpiking(RectifiedLinear(), amplitude=0.5),
    IntegratedSpiking(ELU(), amplitude=2),
]


def stepped(neurons, J, dt=0.001, n_steps=1, **state):
    """Outputs of all steps, of shape (n_steps, len(J))."""
    J = np.asarray(J, dtype=float)
    output = np.zeros_like(J)
    outputs = []
    for _ in range(n_steps):
        neurons.step(dt, J, output, **state)
        outputs.append(output.copy())
    return np.array(outputs)


def slope(neurons, J, difference=1e-6):
    low, high = stepped(neurons, [J - difference, J + difference])[0]
    return (high - low) / (2 * difference)


# -- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("neurons", TYPES, ids=repr)
def test_they_are_frozen_values(neurons):
    assert eval(repr(neurons)) == neurons
    for twin in (copy.deepcopy(neurons), pickle.loads(pickle.dumps(neurons))):
        assert twin == neurons
        assert hash(twin) == hash(neurons)
    assert neurons not in [other for other in TYPES if other is not neurons]
    with pytest.raises(ValidationError):
        neurons.amplitude = 3


@pytest.mark.parametrize("neurons", TYPES, ids=repr)
def test_gain_bias_and_max_rates_intercepts_are_inverse(neurons):
    max_rates = np.array([50.0, 100.0, 200.0, 390.0])
    intercepts = np.array([-0.9, 0.0, 0.3, 0.8])
    gain, bias = neurons.gain_bias(max_rates, intercepts)
    again = neurons.max_rates_intercepts(gain, bias)
    np.testing.assert_allclose(again, [max_rates, intercepts], atol=1e-9)


@pytest.mark.parametrize("neurons", TYPES, ids=repr)
def test_tuning_curves_are_the_simulated_rates(neurons):
    """The ensemble's tuning curves against what a probe sees after running it at each point."""
    points = np.linspace(-1, 1, 9)[:, None]
    with nengo.Network(seed=1) as net:
        ens = nengo.Ensemble(
            30, 1, neuron_type=neurons, max_rates=nengo.dists.Uniform(50, 300), seed=1
        )
        stimulus = nengo.Node(points[0])
        nengo.Connection(stimulus, ens, synapse=None)
        p = nengo.Probe(ens.neurons)

    n_steps = 2000 if neurons.spiking else 1
    for point in points:
        stimulus.output = point
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(n_steps + 1)
        expected = neurons.rates(
            point * sim.data[ens].encoders.T, sim.data[ens].gain, sim.data[ens].bias
        )[0]
        # over the time of the run a spiking neuron is off by less than two spikes
        tolerance = neurons.amplitude * 2 / (n_steps * sim.dt) if neurons.spiking else 1e-9
        np.testing.assert_allclose(sim.data[p][1:].mean(axis=0), expected, atol=tolerance)


@pytest.mark.parametrize("neurons", TYPES, ids=repr)
def test_decoders_represent_a_value_and_a_function(neurons):
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node([0])
        ens = nengo.Ensemble(80, 1, neuron_type=neurons)
        nengo.Connection(stimulus, ens, synapse=None)
        square = nengo.Node(size_in=1)
        nengo.Connection(ens, square, function=np.square, synapse=None)
        p_value, p_square = nengo.Probe(ens), nengo.Probe(square)
    for x in (-0.9, -0.4, 0.0, 0.6):
        stimulus.output = [x]
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(1000 if neurons.spiking else 2)
        np.testing.assert_allclose(np.mean(sim.data[p_value][1:]), x, atol=0.05)
        np.testing.assert_allclose(np.mean(sim.data[p_square][1:]), x**2, atol=0.05)


@pytest.mark.parametrize("cls", [SoftLIFRate, LeakyReLU, SpikingLeakyReLU])
def test_an_amplitude_has_to_be_positive(cls):
    with pytest.raises(ValidationError, match="amplitude"):
        cls(amplitude=0)


# -- SoftLIFRate -----------------------------------------------------------------------------------


def test_soft_lif_is_the_published_function():
    J = np.linspace(-3, 8, 45)
    sigma, tau_rc, tau_ref, amplitude = 0.7, 0.03, 0.001, 2.0
    j = sigma * np.log(1 + np.exp((J - 1) / sigma))
    expected = amplitude / (tau_ref + tau_rc * np.log(1 + 1 / j))
    neurons = SoftLIFRate(sigma, tau_rc, tau_ref, amplitude)
    np.testing.assert_allclose(stepped(neurons, J)[0], expected, rtol=1e-12)


def test_soft_lif_tends_to_lif_rate():
    J = np.concatenate([np.linspace(-5, 0.9, 20), np.linspace(1.1, 20, 20)])
    hard = stepped(nengo.LIFRate(), J)[0]
    errors = [np.max(np.abs(stepped(SoftLIFRate(s), J)[0] - hard)) for s in (0.1, 0.01, 0.001)]
    assert errors[0] > errors[1] > errors[2]
    np.testing.assert_allclose(stepped(SoftLIFRate(1e-5), J)[0], hard, atol=0.01)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sigma", [1e-3, 0.02, 1.0, 50.0])
def test_soft_lif_is_safe_for_all_currents(sigma):
    J = np.concatenate([-np.logspace(300, -300, 601), [0], np.logspace(-300, 300, 601)])
    rates = stepped(SoftLIFRate(sigma), J)[0]
    assert np.all(np.isfinite(rates))
    assert np.all(rates >= 0)
    assert np.all(np.diff(rates) >= 0)
    np.testing.assert_allclose(rates[-1], 1 / 0.002)


def test_soft_lif_has_no_seam():
    """The two formulas, for small and other exponents, meet."""
    sigma = 0.5
    J = 1 + sigma * np.linspace(-37.001, -36.999, 201)
    rates = stepped(SoftLIFRate(sigma), J)[0]
    np.testing.assert_allclose(np.diff(rates), np.mean(np.diff(rates)), rtol=1e-3)
    # at a current this far below, the rate of LIFRate is 0 and has no slope
    neurons = SoftLIFRate(sigma)
    assert slope(neurons, 1.0) > 0
    np.testing.assert_allclose(slope(neurons, 1 - 1e-4), slope(neurons, 1 + 1e-4), rtol=1e-3)


def test_soft_lif_has_the_gains_and_biases_of_lif():
    max_rates, intercepts = np.array([100.0, 200, 400]), np.array([-0.5, 0, 0.9])
    gain, bias = SoftLIFRate().gain_bias(max_rates, intercepts)
    np.testing.assert_array_equal([gain, bias], nengo.LIF().gain_bias(max_rates, intercepts))
    # which is right for maximum rates well above the threshold
    np.testing.assert_allclose(np.diag(SoftLIFRate(0.1).rates(np.ones(3), gain, bias)), max_rates)


def test_soft_lif_without_a_refractory_period():
    assert np.all(np.isfinite(stepped(SoftLIFRate(tau_ref=0), [-10.0, 1.0, 100.0])))


@pytest.mark.parametrize("sigma", [0, -1])
def test_soft_lif_needs_a_positive_sigma(sigma):
    with pytest.raises(ValidationError, match="sigma"):
        SoftLIFRate(sigma=sigma)


# -- leaky -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("negative_slope", [0, 0.3, 1, 2])
def test_leaky_relu(negative_slope):
    J = np.array([-20.0, -0.5, 0, 0.5, 20])
    neurons = LeakyReLU(negative_slope, amplitude=3)
    expected = 3 * np.array([-20 * negative_slope, -0.5 * negative_slope, 0, 0.5, 20])
    np.testing.assert_allclose(stepped(neurons, J)[0], expected)
    np.testing.assert_allclose(neurons.rates(J, [2.0], [1.0])[-1], 3 * 41)
    if negative_slope == 0:
        np.testing.assert_array_equal(
            stepped(neurons, J), stepped(nengo.RectifiedLinear(amplitude=3), J)
        )


def test_positive_currents_spike_as_in_spiking_rectified_linear():
    J = np.array([0, 1.0, 55.5, 2500.0])
    voltages = [np.full(4, 0.25), np.full(4, 0.25)]
    np.testing.assert_array_equal(
        stepped(SpikingLeakyReLU(amplitude=0.5), J, n_steps=300, voltage=voltages[0]),
        stepped(nengo.SpikingRectifiedLinear(amplitude=0.5), J, n_steps=300, voltage=voltages[1]),
    )
    np.testing.assert_array_equal(*voltages)


def test_negative_currents_spike_negatively():
    J = np.array([-100.0, -2500.0, 2500.0])
    voltage = np.zeros(3)
    outputs = stepped(
        SpikingLeakyReLU(negative_slope=0.5, amplitude=0.1), J, n_steps=8, voltage=voltage
    )
    spikes = outputs * 0.001 / 0.1
    np.testing.assert_allclose(spikes[:, 0], 0)  # 50 Hz: the first after 20 steps
    np.testing.assert_allclose(spikes[:, 1], [-1, -1, -1, -2, -1, -1, -1, -2])  # 1250 Hz
    np.testing.assert_allclose(spikes[:, 2], [2, 3, 2, 3, 2, 3, 2, 3])
    np.testing.assert_allclose(voltage, [-0.4, 0, 0], atol=1e-12)


def test_the_voltage_stays_within_a_spike_of_zero():
    rng = np.random.RandomState(0)
    voltage, output = np.zeros(50), np.zeros(50)
    charge, spikes = voltage.copy(), np.zeros(50)
    for _ in range(200):
        J = rng.uniform(-3000, 3000, size=50)
        SpikingLeakyReLU().step(0.001, J, output, voltage)
        charge += np.where(J < 0, 0.3 * J, J) * 0.001
        spikes += output * 0.001
        assert np.all(np.abs(voltage) < 1)
    np.testing.assert_allclose(spikes + voltage, charge)


def test_the_voltage_can_be_given_and_probed():
    initial = {"voltage": nengo.dists.Choice([-0.5])}
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            3,
            1,
            neuron_type=SpikingLeakyReLU(initial_state=initial),
            gain=np.ones(3),
            bias=np.full(3, -100.0),
        )
        p = nengo.Probe(ens.neurons, "voltage")
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(3)
    np.testing.assert_allclose(sim.data[p][:, 0], [-0.53, -0.56, -0.59])
    with pytest.raises(ValidationError, match="voltage"):
        LeakyReLU(initial_state=initial)


@pytest.mark.parametrize("cls", [LeakyReLU, SpikingLeakyReLU])
def test_a_negative_slope_is_not_negative(cls):
    with pytest.raises(ValidationError, match="negative_slope"):
        cls(negative_slope=-0.1)


def test_what_they_tell_other_code():
    assert not (SoftLIFRate.negative or SoftLIFRate.spiking or LeakyReLU.spiking)
    assert LeakyReLU.negative and SpikingLeakyReLU.negative and SpikingLeakyReLU.spiking
    assert nengo.RegularSpiking(LeakyReLU()).negative
