"""Neuron types of nengo_loihi: its own where it is installed, else classes that do as it documents
in a module of its name.
"""

import sys
import types

import nengo
import numpy as np
import pytest

import nengo_dl
from oracle import assert_matches_nengo


class LoihiLIF(nengo.LIF):
    def step(self, dt, J, output, voltage, refractory_time):
        refractory_time -= dt
        decay = np.round(-np.expm1(-dt / self.tau_rc) * 4095) / 4095
        charges = refractory_time < dt / 2
        voltage[charges] += ((J - voltage) * decay)[charges]
        spiked = voltage > 1
        output[:] = spiked * (self.amplitude / dt)
        np.maximum(voltage, self.min_voltage, out=voltage)
        voltage[spiked] = 0
        refractory_time[spiked] = dt * (1 + np.round(self.tau_ref / dt))

    def rates(self, x, gain, bias, dt=0.001):
        J = self.current(x, gain, bias)
        decay = np.round(-np.expm1(-dt / self.tau_rc) * 4095) / 4095
        tau_rc = -dt / np.log1p(-decay)
        above = J > 1
        period = dt * np.round(self.tau_ref / dt) + tau_rc * np.log1p(1 / np.where(above, J - 1, 1))
        return np.where(above, self.amplitude / dt / np.ceil(period / dt), 0)


class LoihiSpikingRectifiedLinear(nengo.SpikingRectifiedLinear):
    def step(self, dt, J, output, voltage):
        voltage += J * dt
        spiked = voltage > 1
        output[:] = spiked * (self.amplitude / dt)
        np.maximum(voltage, 0, out=voltage)
        voltage[spiked] = 0

    def rates(self, x, gain, bias, dt=0.001):
        J = self.current(x, gain, bias)
        period = 1 / np.where(J > 0, J, 1) / dt
        return np.where(J > 0, self.amplitude / dt / np.ceil(period), 0)


@pytest.fixture
def loihi(monkeypatch):
    try:
        from nengo_loihi import neurons
    except ImportError:
        neurons = types.ModuleType("nengo_loihi.neurons")
        neurons.LoihiLIF = LoihiLIF
        neurons.LoihiSpikingRectifiedLinear = LoihiSpikingRectifiedLinear
        monkeypatch.setitem(sys.modules, "nengo_loihi.neurons", neurons)
    return neurons


@pytest.mark.core
def test_simulation(loihi):
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(lambda t: 3 * np.sin(40 * t))
        for neurons in (
            loihi.LoihiLIF(),
            loihi.LoihiLIF(tau_rc=0.033, tau_ref=0.0025, amplitude=0.3, min_voltage=-1),
            loihi.LoihiSpikingRectifiedLinear(),
            loihi.LoihiSpikingRectifiedLinear(amplitude=0.5),
        ):
            ens = nengo.Ensemble(20, 1, neuron_type=neurons, max_rates=nengo.dists.Choice([200]))
            nengo.Connection(stimulus, ens, synapse=None)
            nengo.Probe(ens.neurons)
    recorded = assert_matches_nengo(net, n_steps=150)
    assert all(np.any(data) for data in recorded.data)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        assert not any(op.on_host for op in kernels(sim))


def kernels(sim):
    from nengo_dl.compiler.kernel import is_wiring, kernel_for

    return [kernel_for(op) for op in sim.program.program.operators if not is_wiring(op)]


@pytest.mark.core
@pytest.mark.parametrize("smoothing", [None, 0.1])
def test_training_sees_their_rates(loihi, smoothing):
    """The forward pass has the stairs of the rates, the gradient does not."""
    current = np.linspace(-2, 2, 40)
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", lif_smoothing=smoothing)
        nengo_dl.configure_settings(learning_phase=True)
        probes = {}
        for neurons in (
            loihi.LoihiLIF(tau_ref=0.003),
            loihi.LoihiSpikingRectifiedLinear(amplitude=0.7),
        ):
            ens = nengo.Ensemble(40, 1, neuron_type=neurons, max_rates=nengo.dists.Choice([200]))
            nengo.Connection(nengo.Node(current), ens.neurons, synapse=None)
            probes[nengo.Probe(ens.neurons)] = current
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(1)
        for probe, added in probes.items():
            ens = probe.obj.ensemble
            total = sim.data[ens].bias + sim.data[ens].gain * added
            rates = ens.neuron_type.rates(np.zeros(1), np.ones(40), total)
            np.testing.assert_allclose(sim.data[probe][0], np.ravel(rates))
        sim.compile("sgd", loss="mse")
        before = [sim.data[probe.obj.ensemble].bias.copy() for probe in probes]
        sim.fit(None, [np.full((1, 1, 40), 1e3)] * 2, n_steps=1, verbose=0)
        for probe, bias in zip(probes, before, strict=True):
            change = sim.data[probe.obj.ensemble].bias - bias
            fires = sim.data[probe][0] > 0
            assert np.all(change[fires] > 0)


def test_a_subclass_with_another_step_is_another_type(loihi):
    class Other(loihi.LoihiLIF):
        def step(self, dt, J, output, voltage, refractory_time):
            output[:] = 7

    from nengo_dl.lowering.neurons import lowering_of

    assert lowering_of(loihi.LoihiLIF()) is not None
    assert lowering_of(Other()) is None


def test_a_type_by_name_needs_its_state():
    with pytest.raises(ValueError, match="which state it has"):
        nengo_dl.register_neurons("package.module:Name")
