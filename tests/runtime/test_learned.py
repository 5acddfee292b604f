"""What online learning rules learn outlives the state of neurons and synapses."""

import warnings

import keras
import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Operator
from nengo.builder.signal import Signal
from nengo.learning_rules import LearningRuleType

import nengo_dl

N_STEPS = 20


class Growing(LearningRuleType):
    """Weights that grow by how often it was told to, of which it counts."""

    modifies = "decoders"
    probeable = ("delta", "count")

    def __init__(self):
        super().__init__(1, size_in=0)


class SimGrowing(Operator):
    def __init__(self, delta, count):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [], [], [], [delta, count]

    def make_step(self, signals, dt, rng):
        delta, count = (signals[sig] for sig in self.updates)

        def step():
            count[...] += 1
            delta[...] = 1e-4 * count

        return step


@Builder.register(Growing)
def build_growing(model, rule_type, rule):
    count = Signal(np.zeros(1), name="count")
    model.add_op(SimGrowing(model.sig[rule]["delta"], count))
    model.sig[rule]["count"] = count


def compiled_rules():
    """PES, Voja, Oja and BCM; Oja and BCM each on a connection of its own, of full weights."""
    weights = nengo.solvers.LstsqL2(weights=True)
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.7])
        pre, post = nengo.Ensemble(8, 1), nengo.Ensemble(9, 1)
        nengo.Connection(node, pre, synapse=None)
        rules = [nengo.PES(1e-2), nengo.Voja(1e-2), nengo.Oja(1e-5), nengo.BCM(1e-7)]
        solvers = [nengo.solvers.LstsqL2(), nengo.solvers.LstsqL2(), weights, weights]
        connections = [
            nengo.Connection(pre, post, learning_rule_type=rule, solver=solver)
            for rule, solver in zip(rules, solvers, strict=True)
        ]
        nengo.Connection(node, connections[0].learning_rule, synapse=None)
        nengo.Probe(post.neurons)
        nengo.Probe(connections[0], "weights")
    return net, connections, post


def called_rules():
    """RLS, which keeps a matrix, and a rule of one's own, which keeps a number."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.7])
        pre, out = nengo.Ensemble(8, 1), nengo.Node(size_in=1)
        nengo.Connection(node, pre, synapse=None)
        rules = [nengo.RLS(1e-2), Growing()]
        connections = [nengo.Connection(pre, out, learning_rule_type=rule) for rule in rules]
        nengo.Connection(out, connections[0].learning_rule)
        inverse = nengo.Probe(connections[0].learning_rule, "inv_gamma")
        count = nengo.Probe(connections[1].learning_rule, "count")
        filtered = nengo.Probe(pre, synapse=0.1)
    return net, connections, (inverse, count, filtered)


def learned(sim, connections, post=None):
    values = [np.array(sim.data[conn].weights) for conn in connections]
    return values + ([] if post is None else [np.array(sim.data[post].scaled_encoders)])


def equal(first, second):
    return [np.array_equal(x, y) for x, y in zip(first, second, strict=True)]


@pytest.mark.core
def test_learns_on_from_a_fresh_state():
    """Each stateless run is that of Nengo with the weights that were learned before it."""
    net, connections, post = compiled_rules()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        built = learned(sim, connections, post)
        sim.run_steps(N_STEPS, stateful=False)
        once = learned(sim, connections, post)
        assert equal(built, once) == [False, True, False, False, False]  # Voja learns encoders
        assert sim.n_steps == 0
        sim.freeze_params(net)
        sim.run_steps(N_STEPS, stateful=False)
        recorded = [sim.data[probe][N_STEPS:] for probe in net.probes]
        twice = learned(sim, connections, post)
        assert equal(once, twice) == [False, True, False, False, False]
        np.testing.assert_array_equal(twice[0], recorded[1][-1])
        sim.reset(include_trainable=False)
        assert all(equal(twice, learned(sim, connections, post))) and sim.n_steps == 0
        with pytest.warns(DeprecationWarning):
            sim.soft_reset()
        assert all(equal(twice, learned(sim, connections, post)))
        sim.predict(n_steps=N_STEPS)
        predicted = learned(sim, connections, post)
        assert equal(twice, predicted) == [False, True, False, False, False]
        sim.reset()
        assert all(equal(built, learned(sim, connections, post)))
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(N_STEPS)
    for probe, values in zip(net.probes, recorded, strict=True):
        np.testing.assert_allclose(values, reference.data[probe], rtol=1e-9, atol=1e-9)


@pytest.mark.core
def test_what_a_rule_knows_stays_with_its_weights():
    net, connections, (inverse, count, filtered) = called_rules()
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        built = learned(sim, connections)
        sim.run_steps(N_STEPS, stateful=False)
        once = learned(sim, connections)
        assert equal(built, once) == [False, False]
        sim.run_steps(N_STEPS, stateful=False)
        assert equal(once, learned(sim, connections)) == [False, False]
        counts = sim.data[count][:, :, 0]
        np.testing.assert_array_equal(counts, np.tile(np.arange(1, 2 * N_STEPS + 1), (2, 1)))
        trace = np.trace(sim.data[inverse], axis1=2, axis2=3)
        assert np.all(np.diff(trace, axis=1) <= 0) and np.all(trace[:, -1] < 0.9 * trace[:, 0])
        values = sim.data[filtered]
        np.testing.assert_array_equal(values[:, :N_STEPS], values[:, N_STEPS:])
        sim.reset()
        sim.run_steps(1)
        np.testing.assert_array_equal(sim.data[count], np.ones((2, 1, 1)))


def with_pes(**settings):
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(**settings)
        node = nengo.Node([0.5])
        pre, out = nengo.Ensemble(10, 1, neuron_type=nengo.LIFRate()), nengo.Node(size_in=1)
        nengo.Connection(node, pre, synapse=None)
        conn = nengo.Connection(pre, out, learning_rule_type=nengo.PES(0.1))
        nengo.Connection(node, conn.learning_rule, synapse=None)
        nengo.Probe(out, label="out")
    return net, node, conn


@pytest.mark.core
def test_training_and_evaluation_learn_too_but_not_validation():
    net, node, conn = with_pes()
    rng = np.random.RandomState(0)
    x, y = rng.uniform(-1, 1, (2, N_STEPS, 1)), np.zeros((2, N_STEPS, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.compile(keras.optimizers.SGD(0.0), "mse")
        sim.run_steps(N_STEPS, data={node: x}, stateful=False)
        run = sim.data[conn].weights
        assert np.abs(run[0] - run[1]).max() > 1e-5
        for call in (
            lambda: sim.evaluate({node: x}, y, verbose=0),
            lambda: sim.fit({node: x}, y, verbose=0, shuffle=False, validation_data=(-x, y)),
        ):
            sim.reset()
            call()
            np.testing.assert_allclose(sim.data[conn].weights, run, rtol=1e-4, atol=1e-7)
            assert sim.n_steps == 0
        built = sim.model.params[conn].weights
        sim.reset()
        sim.check_gradients(atol=1, rtol=1)
        np.testing.assert_array_equal(sim.data[conn].weights, [built, built])


def test_batches_of_predict_learn_one_after_the_other():
    net, node, conn = with_pes(stateful=False)
    x = np.random.RandomState(0).uniform(-1, 1, (3, N_STEPS, 1))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.predict({node: x})
        together = sim.data[conn].weights
        sim.reset()
        for item in x:  # not stateful, as the settings say
            sim.run_steps(N_STEPS, data={node: item[None]})
        np.testing.assert_allclose(together, sim.data[conn].weights, rtol=1e-6)
        sim.reset()
        sim.predict({node: x}, callbacks=nengo_dl.callbacks.IsolateState(sim), stateful=True)
        np.testing.assert_allclose(together, sim.data[conn].weights, rtol=1e-6)


def test_nothing_is_kept_where_nothing_learns():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1)
        nengo.Connection(ens, ens)
        nengo.Probe(ens)
    with nengo_dl.Simulator(net, progress_bar=False) as sim, warnings.catch_warnings():
        warnings.simplefilter("error")
        before = sim._state
        sim.run_steps(3, stateful=False)
        assert sim._state is before
