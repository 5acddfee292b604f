"""What `sim.signals` shows, and what comes of setting it."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed

import nengo_dl

N = 30


def network():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        still = {"voltage": nengo.dists.Choice([0])}
        net.config[nengo.Ensemble].neuron_type = nengo.LIF(initial_state=still)
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        net.a = nengo.Ensemble(N, 1)
        net.b = nengo.Ensemble(N, 1)
        nengo.Connection(stimulus, net.a)
        net.conn = nengo.Connection(
            net.a, net.b, learning_rule_type=nengo.PES(), solver=nengo.solvers.LstsqL2(reg=0.2)
        )
        error = nengo.Node(size_in=1)
        nengo.Connection(net.b, error)
        nengo.Connection(error, net.conn.learning_rule)
        nengo.Probe(net.a.neurons)
        nengo.Probe(net.b.neurons, "voltage")
        nengo.Probe(net.b, synapse=0.01)
        nengo.Probe(net.conn, "weights")
    return net


def both(net, **kwargs):
    return (
        nengo.Simulator(net, optimize=False, progress_bar=False),
        nengo_dl.Simulator(net, progress_bar=False, **kwargs),
    )


def assert_alike(net, expected, sim):
    for probe in net.all_probes:
        np.testing.assert_allclose(sim.data[probe], expected.data[probe], rtol=0, atol=1e-9)


def silence(sim, net):
    """As programs do that take neurons out of a network."""
    bias = sim.signals[sim.model.sig[net.b.neurons]["bias"]]
    bias.setflags(write=True)
    bias[: N // 2] = -1000


def cut(sim, net):
    encoders = sim.signals[sim.model.sig[net.b]["encoders"]]
    encoders.setflags(write=True)
    encoders[::3, :] = 0


def charge(sim, net):
    voltage = sim.model.sig[net.b.neurons]["voltage"]
    sim.signals[voltage] = np.linspace(0, 1, N)


def pause(sim, net):
    sim.signals[sim.model.sig[net.b.neurons]["refractory_time"]][3:7] = 0.02


def halve(sim, net):
    weights = sim.signals[sim.model.sig[net.conn]["weights"]]
    weights *= 0.5


@pytest.mark.core
@pytest.mark.parametrize("change", [silence, cut, charge, pause, halve])
def test_as_in_nengo(change):
    net = network()
    expected, sim = both(net)
    with expected, sim:
        for simulator in (expected, sim):
            simulator.run_steps(40)
            change(simulator, net)
            simulator.run_steps(60)
        assert_alike(net, expected, sim)


@pytest.mark.core
def test_values_are_set_and_reset():
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sig = sim.model.sig[net.a.neurons]
        bias = sim.signals[sig["bias"]].copy()
        sim.signals[sig["bias"]] = 3.0
        np.testing.assert_array_equal(sim.signals[sig["bias"]], np.full(N, 3.0))
        np.testing.assert_array_equal(sim.data[net.a].bias, np.full(N, 3.0))
        sim.signals[sig["voltage"]][:3] = [0.1, 0.2, 0.3]
        np.testing.assert_allclose(sim.signals[sig["voltage"]][:4], [0.1, 0.2, 0.3, 0])
        sim.signals[sig["voltage"]] += 0.25
        np.testing.assert_allclose(sim.signals[sig["voltage"]][2:4], [0.55, 0.25])
        sim.signals[sig["voltage"]].fill(0.5)
        assert np.all(sim.signals[sig["voltage"]] == 0.5)
        part = sim.signals[sig["voltage"]][5:8]
        part[0] = 0.75
        assert sim.signals[sig["voltage"]][5] == 0.75
        np.add.at(part, [1, 1], -0.125)
        assert sim.signals[sig["voltage"]][6] == 0.25
        sim.reset()
        np.testing.assert_array_equal(sim.signals[sig["bias"]], bias)
        assert not sim.signals[sig["voltage"]].any()


@pytest.mark.core
def test_copies_and_results_are_arrays_of_their_own():
    net = network()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        voltage = sim.model.sig[net.a.neurons]["voltage"]
        value = sim.signals[voltage]
        for other in (value.copy(), value + 0, np.array(value), value[[1, 2]], value.astype(float)):
            other[...] = 0.5
        assert type(value + 0) is np.ndarray
        assert not sim.signals[voltage].any()
        # what is kept changes only where it is written
        sim.run_steps(10)
        value[0] = 0.5
        present = sim.signals[voltage]
        assert present[0] == 0.5
        assert np.count_nonzero(present) > 1


@pytest.mark.core
def test_minibatch():
    net = network()
    with nengo_dl.Simulator(net, minibatch_size=3, progress_bar=False) as sim:
        sig = sim.model.sig[net.a.neurons]
        sim.signals[sig["bias"]][..., :5] = -1000
        sim.signals[sig["voltage"]][1] = 0.5
        assert sim.signals[sig["voltage"]][:, 0].tolist() == [0, 0.5, 0]
        sim.run_steps(50)
        spikes = sim.data[net.all_probes[0]]
        assert not spikes[..., :5].any() and spikes[..., 5:].any()


@pytest.mark.core
def test_what_cannot_be_set():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=None)
        net.config[nengo.Ensemble].trainable = False
        net.config[nengo.Connection].trainable = False
        a = nengo.Ensemble(N, 1, gain=np.ones(N), bias=np.zeros(N))
        late = nengo.Node(lambda t: setting() if t > 0.003 else None, size_out=0)
        nengo.Connection(nengo.Node([1.0, 2.0]), a.neurons, transform=np.ones((N, 2)))
        probe = nengo.Probe(a.neurons)
    assert late.size_in == 0
    sim = nengo_dl.Simulator(net, progress_bar=False)
    sig = sim.model.sig[a.neurons]

    def setting():
        sim.signals[sig["voltage"]] = 0

    bias = sim.signals[sig["bias"]]
    with pytest.raises(SimulationError, match="was simplified for the value"):
        bias[:] = 1
    assert not bias.any()
    with pytest.raises(SimulationError, match="below their threshold"):
        sim.signals[sig["voltage"]] = 1.5
    with pytest.raises(SimulationError, match="time of a simulation"):
        sim.signals[sim.model.time] = 0
    with pytest.raises(KeyError, match="no value between steps"):
        sim.signals[sig["in"]] = 0
    with pytest.raises(SimulationError, match="during a run"):
        sim.run_steps(10)
    sim.reset()
    assert sim.data[probe].shape == (0, N)
    sim.close()
    with pytest.raises(SimulatorClosed):
        sim.signals[sig["voltage"]] = 0


@pytest.mark.core
@pytest.mark.parametrize("how", ["trainable", "simplifications"])
def test_what_was_simplified_can_be_set_as_the_error_says(how):
    with nengo.Network(seed=0) as net:
        if how == "simplifications":
            nengo_dl.configure_settings(simplifications=[], trainable=None)
        else:
            nengo_dl.configure_settings(trainable=None)
        net.config[nengo.Ensemble].trainable = how == "trainable"
        neurons = nengo.Ensemble(N, 1, gain=np.ones(N), bias=np.zeros(N)).neurons
        probe = nengo.Probe(neurons)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(20)
        assert not sim.data[probe].any()
        sim.signals[sim.model.sig[neurons]["bias"]][3] = 10
        sim.run_steps(20)
        assert np.flatnonzero(sim.data[probe].any(axis=0)).tolist() == [3]


class Count(nengo.builder.Operator):
    """Adds up, in a signal without axes."""

    def __init__(self, total, step):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [step], [total]

    def make_step(self, signals, dt, rng):
        total, step = signals[self.updates[0]], signals[self.reads[0]]

        def count():
            total[...] += step

        return count


@pytest.mark.core
def test_scalars():
    model = nengo.builder.Model()
    total = nengo.builder.Signal(np.array(0.0), name="total")
    step = nengo.builder.Signal(np.array(2.0), name="step", readonly=True)
    model.add_op(Count(total, step))
    with nengo_dl.Simulator(nengo.Network(), model=model, progress_bar=False) as sim:
        sim.run_steps(3)
        assert sim.signals[total] == 6
        sim.signals[total] = 100.0
        sim.run_steps(2)
        assert sim.signals[total] == 104
        assert sim.signals[total].shape == ()
