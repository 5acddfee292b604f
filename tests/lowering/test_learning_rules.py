"""Learning rules: weights change as Nengo's do, for each item of a minibatch on its own."""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.learning_rules import LearningRuleType

import nengo_dl
from oracle import assert_matches_nengo


def stimulus(size=2):
    return nengo.Node(lambda t: np.sin(np.arange(1, size + 1) * 20 * t), size_out=size)


def decoder_network(rule, n_neurons=(20, 20), weights=False, part=slice(None)):
    """A connection between ensembles whose decoders (or weights) learn from an error."""
    with nengo.Network(seed=0) as net:
        net.stimulus = stimulus()
        pre = nengo.Ensemble(n_neurons[0], 2)
        post = nengo.Ensemble(n_neurons[1], 2)
        nengo.Connection(net.stimulus, pre)
        solver = nengo.solvers.LstsqL2(weights=weights)
        size = len(range(2)[part])
        conn = nengo.Connection(
            pre,
            post[part],
            function=lambda x: np.zeros(size),
            solver=solver,
            learning_rule_type=rule,
        )
        error = nengo.Node(size_in=size)
        nengo.Connection(post[part], error)
        nengo.Connection(net.stimulus[part], error, transform=-1)
        for learning_rule in np.atleast_1d(conn.learning_rule):
            nengo.Connection(error, learning_rule)
        net.conn = conn
        nengo.Probe(conn, "weights", sample_every=0.01)
        nengo.Probe(post, synapse=0.01)
    return net


def neuron_network(rule, sizes=(12, 9)):
    """A connection between neurons that learns from their activities."""
    with nengo.Network(seed=0) as net:
        pre, post = (nengo.Ensemble(n, 2) for n in sizes)
        nengo.Connection(stimulus(), pre)
        weights = np.random.RandomState(0).uniform(0, 1e-3, sizes[::-1])
        conn = nengo.Connection(
            pre.neurons, post.neurons, transform=weights, learning_rule_type=rule
        )
        nengo.Probe(conn, "weights")
        nengo.Probe(post.neurons)
        for learning_rule in np.atleast_1d(conn.learning_rule):
            for attribute in learning_rule.probeable:
                if attribute != "error":
                    nengo.Probe(learning_rule, attribute)
    return net


def voja_network(sizes=(15, 15), **kwargs):
    with nengo.Network(seed=0) as net:
        source = stimulus()
        for n in sizes:
            ens = nengo.Ensemble(n, 2, radius=1 + n / 100)
            rule = nengo.Voja(learning_rate=1e-1, **kwargs)
            conn = nengo.Connection(source, ens, learning_rule_type=rule)
            nengo.Connection(nengo.Node(lambda t: float(t > 0.02)), conn.learning_rule)
            nengo.Probe(ens, "scaled_encoders")
            nengo.Probe(ens)
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize(
    ("rule", "weights"),
    [(nengo.PES(1e-3), False), (nengo.PES(1e-3), True), (nengo.RLS(1e-3), False)],
    ids=str,
)
def test_decoders(rule, weights, minibatch_size):
    net = decoder_network(rule, weights=weights)
    assert_matches_nengo(net, n_steps=100, minibatch_size=minibatch_size)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize(
    "rule", [nengo.BCM(learning_rate=1e-8), nengo.Oja(learning_rate=1e-5, beta=0.5)], ids=str
)
def test_neurons(rule, minibatch_size):
    assert_matches_nengo(neuron_network(rule), n_steps=100, minibatch_size=minibatch_size)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
@pytest.mark.parametrize("post_synapse", [None, 0.005])
def test_voja(post_synapse, minibatch_size):
    net = voja_network((15, 15, 10), post_synapse=post_synapse)
    assert_matches_nengo(net, n_steps=100, minibatch_size=minibatch_size)


@pytest.mark.parametrize("part", [slice(1), slice(1, 2), slice(None, None, -1)], ids=str)
@pytest.mark.parametrize("rule", [nengo.PES(1e-3), nengo.RLS(1e-3)], ids=str)
def test_slices_of_decoded_connections(rule, part):
    assert_matches_nengo(decoder_network(rule, part=part), n_steps=60)


@pytest.mark.parametrize(
    "rules",
    [
        [nengo.BCM(learning_rate=1e-8), nengo.Oja(1e-5)],
        [nengo.Oja(1e-5), nengo.Oja(1e-6, pre_synapse=0.01)],
    ],
    ids=str,
)
def test_several_rules_on_neurons(rules):
    assert_matches_nengo(neuron_network(rules), n_steps=60)


def test_several_rules_on_decoders():
    net = decoder_network([nengo.PES(1e-3), nengo.PES(1e-4, pre_synapse=0.02)])
    assert_matches_nengo(net, n_steps=60)


def test_rules_of_one_shape_are_one_group():
    with nengo.Network(seed=0) as net:
        source = stimulus()
        for rate in (1e-3, 1e-4, 1e-5):
            pre, post = nengo.Ensemble(10, 2), nengo.Node(size_in=2)
            nengo.Connection(source, pre)
            conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(rate))
            nengo.Connection(source, conn.learning_rule)
            nengo.Probe(conn, "weights")
    assert_matches_nengo(net, n_steps=50)
    with nengo_dl.Simulator(net) as sim:
        groups = [line.split() for line in str(sim.program).splitlines()]
    assert [words[1] for words in groups if "SimPES" in words] == ["3"]


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_large_weights(minibatch_size):
    """Weights so many that the loop carries them as matrices; two connections in one group."""
    with nengo.Network(seed=0) as net:
        source = stimulus(8)
        for rate in (1e-3, 1e-4):
            pre, post = nengo.Ensemble(1100, 8), nengo.Node(size_in=8)
            nengo.Connection(source, pre)
            conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(rate))
            nengo.Connection(source, conn.learning_rule)
            nengo.Probe(conn, "weights", sample_every=0.01)
            nengo.Probe(post, synapse=0.01)
    assert_matches_nengo(net, n_steps=30, minibatch_size=minibatch_size)
    with nengo_dl.Simulator(net) as sim:
        assert sum(shape == (2, 8, 1100) for shape in sim._engine.chunks.carry.shapes) == 1


def test_items_learn_on_their_own():
    net = decoder_network(nengo.PES(1e-3))
    inputs = np.random.RandomState(0).uniform(-1, 1, (3, 1, 2)) * np.ones((1, 50, 1))
    with nengo_dl.Simulator(net, minibatch_size=3) as sim:
        before = sim.data[net.conn].weights
        sim.run_steps(50, data={net.stimulus: inputs})
        weights = sim.data[net.conn].weights
    assert before.shape == (3, 2, 20)
    assert np.all(before == before[:1])
    for i in range(3):
        with nengo_dl.Simulator(net) as sim:
            sim.run_steps(50, data={net.stimulus: inputs[i : i + 1]})
            alone = sim.data[net.conn].weights
        assert alone.shape == (2, 20)
        np.testing.assert_allclose(weights[i], alone, atol=1e-9)
        assert not np.allclose(weights[i], before[i])


@pytest.mark.slow
def test_communication_channel_for_five_seconds():
    """The decoders that PES ends with are Nengo's."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        source = nengo.Node(nengo.processes.WhiteSignal(5, high=5, seed=0), size_out=2)
        pre, post = nengo.Ensemble(100, 2), nengo.Ensemble(100, 2)
        error = nengo.Node(size_in=2)
        nengo.Connection(source, pre)
        conn = nengo.Connection(
            pre, post, function=lambda x: [0, 0], learning_rule_type=nengo.PES(1e-4)
        )
        nengo.Connection(post, error)
        nengo.Connection(source, error, transform=-1)
        nengo.Connection(error, conn.learning_rule)
        probe = nengo.Probe(conn, "weights", sample_every=0.1)
    results = []
    for sim_class in (nengo.Simulator, nengo_dl.Simulator):
        with sim_class(net) as sim:
            sim.run(5)
            results.append(sim.data[probe])
    assert np.max(np.abs(results[0])) > 1e-4
    np.testing.assert_allclose(*results, atol=1e-6)


# -- user-written rules ----------------------------------------------------------------------------


class Decay(LearningRuleType):
    """Unknown to nengo_dl: weights decay."""

    modifies = "weights"
    probeable = ("delta",)

    def __init__(self, learning_rate=0.5):
        super().__init__(learning_rate, size_in=0)


class SimDecay(Operator):
    def __init__(self, weights, delta, rate):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [weights], [delta]
        self.rate = rate

    def make_step(self, signals, dt, rng):
        weights, delta = signals[self.reads[0]], signals[self.updates[0]]

        def step():
            delta[...] = -self.rate * dt * weights

        return step


@pytest.fixture
def decay_rule():
    @Builder.register(Decay)
    def build_decay(model, decay, rule):
        model.add_op(
            SimDecay(
                model.sig[rule.connection]["weights"],
                model.sig[rule]["delta"],
                decay.learning_rate,
            )
        )
        model.sig[rule]["in"] = Signal(shape=(0,), name="no error")

    yield Decay()
    del Builder.builders[Decay]


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_user_written_rule(decay_rule, minibatch_size):
    net = neuron_network(decay_rule)
    recording = assert_matches_nengo(net, n_steps=50, minibatch_size=minibatch_size)
    weights = recording[net.probes[0]]
    assert np.all(weights[-1] < weights[0])
