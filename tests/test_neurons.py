"""The neuron types in Nengo's own simulator."""

import nengo
import numpy as np
import pytest

from nengo_dl.neurons import LeakyReLU, SoftLIFRate, SpikingLeakyReLU

TYPES = [
    SoftLIFRate(),
    SoftLIFRate(sigma=0.1, tau_rc=0.03, tau_ref=0.003, amplitude=0.01),
    LeakyReLU(),
    LeakyReLU(negative_slope=0.1, amplitude=2),
    SpikingLeakyReLU(),
    SpikingLeakyReLU(negative_slope=0.5, amplitude=0.1),
]


@pytest.mark.parametrize("neuron_type", TYPES, ids=repr)
def test_rates_are_what_is_simulated(neuron_type):
    n = 30
    with nengo.Network(seed=0) as net:
        inp = nengo.Node([0.4])
        rates = nengo.dists.Uniform(100, 200)
        ens = nengo.Ensemble(n, 1, neuron_type=neuron_type, max_rates=rates)
        nengo.Connection(inp, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run(1)
        simulated = np.mean(sim.data[probe], axis=0)
        x = sim.data[ens].encoders @ [0.4]
        rates = neuron_type.rates(x[None], sim.data[ens].gain, sim.data[ens].bias)[0]
    if neuron_type.spiking:
        # the voltage starts between 0 and 1, so up to two spikes from the first negative one
        np.testing.assert_allclose(simulated, rates, atol=2.01 * neuron_type.amplitude)
        assert rates.min() < 0 < rates.max()
    else:
        np.testing.assert_allclose(simulated, rates, rtol=1e-10)


@pytest.mark.parametrize("neuron_type", TYPES, ids=repr)
def test_gain_and_bias_give_the_rates_and_intercepts(neuron_type):
    # as in Nengo's own types, the amplitude is not part of the maximum rates
    max_rates, intercepts = np.linspace(100, 200, 5), np.linspace(-0.8, 0.8, 5)
    gain, bias = neuron_type.gain_bias(max_rates, intercepts)
    back = neuron_type.max_rates_intercepts(gain, bias)
    np.testing.assert_allclose(back, [max_rates, intercepts], rtol=1e-6, atol=1e-9)
    if not isinstance(neuron_type, SoftLIFRate):
        rates = neuron_type.rates(np.ones((1, 5)), gain, bias)[0]
        np.testing.assert_allclose(rates, max_rates * neuron_type.amplitude, rtol=1e-9)


def test_soft_lif():
    J = np.linspace(-30, 30, 6001)

    def rates(neuron_type):
        return neuron_type.rates(J[:, None], np.ones(1), np.zeros(1))[:, 0]

    hard, soft = rates(nengo.LIFRate()), rates(SoftLIFRate(sigma=1e-3))
    assert np.max(np.abs(hard - soft)[np.abs(J - 1) > 0.5]) < 0.2
    assert np.all(np.isfinite(soft))
    for sigma in (0.1, 1.0):
        smooth = rates(SoftLIFRate(sigma=sigma))
        slope = np.gradient(smooth, J)
        assert np.all(np.diff(smooth) >= 0)
        # the slope of LIFRate jumps to infinity at the threshold, this one does not jump
        assert np.max(np.abs(np.diff(slope))) < 0.1 * np.max(slope)


def test_leaky():
    J = np.array([[-2.0], [-1.0], [0.0], [3.0]])
    for neuron_type in (LeakyReLU(0.25, amplitude=2), SpikingLeakyReLU(0.25, amplitude=2)):
        np.testing.assert_allclose(neuron_type.rates(J, 1, 0), [[-1], [-0.5], [0], [6]])
    output, voltage = np.zeros(1), np.array([0.0])
    spikes = []
    for _ in range(10):
        SpikingLeakyReLU(0.5).step(dt=0.1, J=np.array([-4.0]), output=output, voltage=voltage)
        spikes.append(output[0])
    # half of -4 Hz in steps of 0.1 s
    np.testing.assert_allclose(spikes, [0, 0, 0, 0, -10] * 2)


def test_errors():
    with pytest.raises(nengo.exceptions.ValidationError):
        SoftLIFRate(sigma=0)
    assert SoftLIFRate(sigma=0.5) == SoftLIFRate(sigma=0.5) != SoftLIFRate(sigma=0.6)
    assert "sigma" in repr(SoftLIFRate(sigma=0.5))
