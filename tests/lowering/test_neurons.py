"""Neuron types: Nengo's numbers, whatever is merged; and what stands for them in training."""

import nengo
import numpy as np
import pytest
from nengo.dists import Choice, Uniform

import nengo_dl
from nengo_dl import tuning
from nengo_dl.neurons import (
    ELU,
    GELU,
    IntegratedSpiking,
    LeakyReLU,
    SiLU,
    SoftLIFRate,
    SpikingLeakyReLU,
)
from oracle import assert_matches_nengo

RATE_TYPES = [
    nengo.RectifiedLinear(amplitude=0.5),
    nengo.Sigmoid(tau_ref=0.004),
    nengo.Tanh(),
    nengo.LIFRate(tau_rc=0.03, amplitude=0.3),
    nengo.AdaptiveLIFRate(tau_n=0.1, inc_n=0.05),
    SoftLIFRate(sigma=0.2),
    LeakyReLU(negative_slope=0.1),
    SiLU(amplitude=0.5),
    GELU(),
    GELU(approximate=True),
    ELU(alpha=0.7),
]
SPIKING_TYPES = [
    nengo.SpikingRectifiedLinear(amplitude=0.5),
    nengo.LIF(tau_rc=0.03, amplitude=0.3),
    nengo.LIF(min_voltage=-1),
    nengo.LIF(min_voltage=-np.inf, tau_ref=0.0005),
    nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.05, min_voltage=-1),
    nengo.Izhikevich(reset_recovery=6),
    nengo.RegularSpiking(nengo.LIFRate(), amplitude=0.5),
    nengo.RegularSpiking(nengo.Tanh()),
    nengo.StochasticSpiking(nengo.AdaptiveLIFRate()),
    nengo.StochasticSpiking(nengo.Tanh(), amplitude=0.5),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.Tanh(), amplitude=0.5),
    SpikingLeakyReLU(negative_slope=0.2),
    nengo.RegularSpiking(SiLU(), amplitude=0.5),
    IntegratedSpiking(nengo.RectifiedLinear()),
    IntegratedSpiking(nengo.Tanh(tau_ref=0.003), amplitude=0.3),
    IntegratedSpiking(GELU(), signed=False),
]
ALL_TYPES = RATE_TYPES + SPIKING_TYPES


def name(neuron_type):
    return str(neuron_type)


def ensemble(neuron_type, n_neurons=12, **kwargs):
    """An ensemble with currents on either side of the threshold."""
    rng = np.random.RandomState(n_neurons)
    base = getattr(neuron_type, "base_type", neuron_type)
    if isinstance(base, nengo.Sigmoid | nengo.Tanh | ELU | GELU | SiLU):
        gain, bias = rng.uniform(0.5, 2, n_neurons), rng.uniform(-1, 1, n_neurons)
    elif isinstance(base, nengo.RectifiedLinear):
        gain, bias = rng.uniform(50, 200, n_neurons), rng.uniform(-50, 100, n_neurons)
    else:
        gain, bias = rng.uniform(2, 10, n_neurons), rng.uniform(0, 5, n_neurons)
    return nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type, gain=gain, bias=bias, **kwargs)


def network_of(*neuron_types, sizes=(12,)):
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: np.sin(40 * t))
        for neuron_type in neuron_types:
            for size in sizes:
                ens = ensemble(neuron_type, size)
                nengo.Connection(stimulus, ens)
                for attribute in ens.neurons.probeable:
                    nengo.Probe(ens.neurons, attribute)
    return net


@pytest.mark.core
@pytest.mark.parametrize("neuron_type", ALL_TYPES, ids=name)
def test_matches_nengo(neuron_type):
    assert_matches_nengo(network_of(neuron_type), n_steps=100)


@pytest.mark.parametrize("neuron_type", ALL_TYPES, ids=name)
def test_minibatch(neuron_type):
    assert_matches_nengo(network_of(neuron_type), n_steps=30, minibatch_size=3)


@pytest.mark.core
def test_types_and_sizes_together():
    """All types in one network; ensembles of a type differ in size and parameters."""
    others = [
        nengo.LIF(tau_rc=0.05, tau_ref=0.001),
        nengo.AdaptiveLIF(tau_n=0.3),
        nengo.Izhikevich(tau_recovery=0.1),
        nengo.StochasticSpiking(nengo.LIFRate()),
        GELU(approximate=True, amplitude=0.1),
    ]
    assert_matches_nengo(network_of(*ALL_TYPES, *others, sizes=(3, 7)), n_steps=60)


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIF(initial_state={"voltage": Uniform(0.5, 3), "refractory_time": Choice([0.004])}),
        nengo.AdaptiveLIF(initial_state={"adaptation": Uniform(0, 1)}),
        nengo.Izhikevich(initial_state={"voltage": Choice([-60]), "recovery": Uniform(0, 5)}),
        nengo.RegularSpiking(nengo.LIFRate(), initial_state={"voltage": Choice([0.9])}),
        nengo.SpikingRectifiedLinear(initial_state={"voltage": np.linspace(0, 1, 12)}),
        IntegratedSpiking(
            SiLU(),
            amplitude=np.linspace(0.1, 1, 12),
            initial_state={"voltage": np.linspace(-1, 2, 12)},
        ),
    ],
    ids=name,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_state(neuron_type, dtype):
    """Also voltages that one step of float32 arithmetic could not reach."""
    atol = 1e-9 if dtype == "float64" else 1e-4
    assert_matches_nengo(network_of(neuron_type), n_steps=20, dtype=dtype, atol=atol)


@pytest.mark.parametrize("dt", [0.0005, 0.004])
def test_time_step(dt):
    assert_matches_nengo(network_of(*SPIKING_TYPES), n_steps=50, dt=dt)


@pytest.mark.parametrize(
    "neuron_type", [nengo.LIF(), nengo.LIF(tau_rc=0.002), nengo.AdaptiveLIF(inc_n=0.1)], ids=name
)
def test_single_precision(neuron_type):
    """A spike may fall on the other side of a step; the rates may not."""
    net = network_of(neuron_type, sizes=(50,))
    probe = net.probes[0]
    counts = []
    for sim_class in (nengo.Simulator, nengo_dl.Simulator):
        with sim_class(net) as sim:
            sim.run_steps(500)
            counts.append(np.count_nonzero(sim.data[probe], axis=0))
    assert np.sum(counts[0]) > 100
    assert np.max(np.abs(counts[0] - counts[1])) <= 1


@pytest.mark.core
@pytest.mark.parametrize("neuron_type", [nengo.LIF(), nengo.AdaptiveLIF(inc_n=0.1)], ids=name)
def test_many_neurons_in_single_precision(neuron_type, monkeypatch):
    """Many have a form of their own, which gives what few give."""
    net = network_of(neuron_type, sizes=(50,))
    with net:
        for attribute in ("voltage", "refractory_time"):
            nengo.Probe(net.all_ensembles[0].neurons, attribute)
    results = []
    for many in (1, 10**9):
        monkeypatch.setattr(tuning, "FUSED_NEURONS", many)
        with nengo_dl.Simulator(net) as sim:
            sim.run_steps(200)
            results.append([np.array(sim.data[probe]) for probe in net.probes])
    assert np.sum(results[0][0] > 0) > 50
    for many, few in zip(*results, strict=True):
        np.testing.assert_allclose(many, few, atol=2e-5 * np.max(np.abs(few)))


@pytest.mark.parametrize("many", [1, 10**9])
@pytest.mark.parametrize("tau_rc", [0.01, 0.02, 0.5])
def test_long_runs_in_double_precision(tau_rc, many, monkeypatch):
    """Spikes stay where they are, without transcendental functions too."""
    monkeypatch.setattr(tuning, "FUSED_NEURONS", many)
    neuron_types = nengo.LIF(tau_rc=tau_rc), nengo.LIF(tau_rc=tau_rc, min_voltage=-1)
    net = network_of(*neuron_types, nengo.AdaptiveLIF(tau_rc=tau_rc, inc_n=0.1), sizes=(50,))
    assert_matches_nengo(net, n_steps=2000, dtype="float64", atol=1e-9)


def run_twice(sim, probe, n_steps=20):
    runs = []
    for _ in range(2):
        sim.run_steps(n_steps)
        runs.append(np.array(sim.data[probe]))
        sim.reset()
    return runs


@pytest.mark.parametrize("random_type", [nengo.StochasticSpiking, nengo.PoissonSpiking])
class TestRandomSpikes:
    def network(self, random_type):
        with nengo.Network(seed=0) as net:
            ens = nengo.Ensemble(50, 1, neuron_type=random_type(nengo.LIFRate()))
            net.probe = nengo.Probe(ens.neurons)
        return net

    def test_reset_starts_again(self, random_type):
        net = self.network(random_type)
        with nengo_dl.Simulator(net) as sim:
            first, second = run_twice(sim, net.probe)
        assert np.any(first)
        assert np.array_equal(first, second)

    def test_items_differ(self, random_type):
        net = self.network(random_type)
        with nengo_dl.Simulator(net, minibatch_size=3) as sim:
            sim.run_steps(20)
            items = sim.data[net.probe]
        assert not np.array_equal(items[0], items[1])
        assert not np.array_equal(items[1], items[2])

    def test_chunks_go_on(self, random_type):
        net = self.network(random_type)
        with nengo_dl.Simulator(net) as sim:
            sim.run_steps(20)
            whole = np.array(sim.data[net.probe])
            sim.reset()
            for _ in range(4):
                sim.run_steps(5)
            assert np.array_equal(whole, sim.data[net.probe])

    def test_the_users_model_is_left_alone(self, random_type):
        net = self.network(random_type)
        model = nengo.builder.Model()
        model.build(net)
        results = []
        for _ in range(2):
            with nengo_dl.Simulator(None, model=model) as sim:
                sim.run_steps(10)
                results.append(np.array(sim.data[net.probe]))
        assert np.array_equal(*results)


# -- user-written types ----------------------------------------------------------------------------


class Leaky(nengo.neurons.NeuronType):
    """Unknown to nengo_dl."""

    state = {"level": Uniform(0, 1)}
    spiking = False

    def __init__(self, leak=0.1):
        super().__init__()
        self.leak = leak

    def gain_bias(self, max_rates, intercepts):
        return np.ones_like(max_rates), np.zeros_like(max_rates)

    def rates(self, x, gain, bias):
        return 100 * np.abs(self.current(x, gain, bias))

    def step(self, dt, J, output, level):
        level += self.leak * (np.abs(J) - level)
        output[...] = 100 * level


class Registered(Leaky):
    def step(self, dt, J, output, level):
        level += self.leak * (np.abs(J) - level)
        output[...] = 50 * level


class HalvedLIF(nengo.LIF):
    """A subclass that changes the maths of a known type."""

    def step(self, dt, J, output, **state):
        super().step(dt, 0.5 * J, output, **state)


class NamedLIF(nengo.LIF):
    """A subclass that does not."""


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize("cls", [Leaky, HalvedLIF, NamedLIF])
def test_user_written(cls, minibatch_size):
    assert_matches_nengo(network_of(cls(), cls(), sizes=(5, 4)), minibatch_size=minibatch_size)


def groups_of(net):
    with nengo_dl.Simulator(net) as sim:
        return str(sim.program)


def test_known_maths_runs_natively():
    assert nengo_dl.lowering.neurons.lowering_of(NamedLIF()).neuron_type is nengo.LIF
    assert nengo_dl.lowering.neurons.lowering_of(HalvedLIF()) is None


@pytest.mark.core
def test_registered_lowering():
    import keras.ops as ops

    calls = []

    @nengo_dl.register_neurons(Registered, ["leak"])
    def registered(context, J, level, leak):
        calls.append(J.shape)
        level = level + leak * (ops.abs(J) - level)
        return 50.0 * level, level

    assert_matches_nengo(network_of(Registered(), Registered(leak=0.3), sizes=(5, 4)))
    assert calls == [(1, 18)] * len(calls)  # all ensembles of the type at once
    assert calls


# -- training --------------------------------------------------------------------------------------

COUNTERPARTS = [
    (nengo.LIF(tau_rc=0.03, amplitude=0.3), nengo.LIFRate(tau_rc=0.03, amplitude=0.3)),
    (nengo.AdaptiveLIF(tau_n=0.1), nengo.AdaptiveLIFRate(tau_n=0.1)),
    (nengo.SpikingRectifiedLinear(amplitude=0.5), nengo.RectifiedLinear(amplitude=0.5)),
    (nengo.RegularSpiking(nengo.Tanh()), nengo.Tanh()),
    (nengo.StochasticSpiking(nengo.LIFRate()), nengo.LIFRate()),
    (nengo.PoissonSpiking(nengo.Sigmoid()), nengo.Sigmoid()),
    (SpikingLeakyReLU(negative_slope=0.2), LeakyReLU(negative_slope=0.2)),
]


def training_loss(neuron_type, target, **settings):
    """The loss that training starts with; none of the gradients may be infinite or NaN."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        node = nengo.Node([0])
        ens = ensemble(neuron_type)
        nengo.Connection(node, ens, synapse=None)
        probe = nengo.Probe(ens.neurons)
    x = np.linspace(-1, 1, 5)[None, :, None]
    with nengo_dl.Simulator(net, minibatch_size=1) as sim:
        sim.compile("sgd", loss="mse")
        history = sim.fit({node: x}, {probe: target(x)}, verbose=0)
        assert np.all(np.isfinite(sim.data[ens].bias))
        assert np.all(np.isfinite(sim.data[ens].scaled_encoders))
    return history.history["loss"][0]


def rates_of(neuron_type):
    """What the ensemble of `training_loss` gives in nengo.Simulator, as a function of its input."""

    def rates(x):
        with nengo.Network(seed=0) as net:
            node = nengo.Node(nengo.processes.PresentInput(x[0], 0.001))
            ens = ensemble(neuron_type)
            nengo.Connection(node, ens, synapse=None)
            probe = nengo.Probe(ens.neurons)
        with nengo.Simulator(net) as sim:
            sim.run_steps(x.shape[1])
            return sim.data[probe][None]

    return rates


@pytest.mark.core
@pytest.mark.parametrize(("spiking", "rate"), COUNTERPARTS, ids=lambda t: type(t).__name__)
def test_rates_stand_for_spikes_in_training(spiking, rate):
    scale = np.mean(np.square(rates_of(rate)(np.ones((1, 5, 1)))))
    assert training_loss(spiking, rates_of(rate)) < 1e-8 * scale


def test_smooth_rates_stand_for_spikes():
    smooth = SoftLIFRate(sigma=0.3)
    assert training_loss(nengo.LIF(), rates_of(smooth), lif_smoothing=0.3) < 1e-3
    assert training_loss(nengo.LIF(), rates_of(smooth)) > 1


@pytest.mark.parametrize("neuron_type", ALL_TYPES, ids=name)
def test_gradients_are_finite(neuron_type):
    training_loss(neuron_type, lambda x: np.zeros((1, 5, 12)))
