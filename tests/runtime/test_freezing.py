"""Live parameters written into Nengo objects: any Nengo simulator gives the same."""

import warnings

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulatorClosed, ValidationError

import nengo_dl
from runtime.parameter_networks import (
    N_STEPS,
    assert_equal,
    change_parameters,
    mixed,
    recorded,
)


def frozen_output(net, change=change_parameters):
    """What the changed network gives; its parameters are frozen."""
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change(sim)
        sim.run_steps(N_STEPS)
        sim.freeze_params(net)
        return [sim.data[probe] for probe in net.all_probes]


@pytest.mark.core
@pytest.mark.parametrize("seed", [0, None])
def test_spiking_network_gives_the_same_in_nengo(seed):
    net = mixed(seed, nengo.SpikingRectifiedLinear())
    untrained = recorded(nengo.Simulator, net)
    expected = frozen_output(net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_equal(recorded(nengo.Simulator, net), expected)
    assert np.abs(untrained[0] - expected[0]).max() > 1e-3


def test_rate_network_gives_the_same_rebuilt_here():
    net = mixed(0, nengo.LIFRate())
    expected = frozen_output(net)
    assert_equal(recorded(nengo_dl.Simulator, net), expected)
    assert_equal(recorded(nengo.Simulator, net), expected)


def test_freezing_leaves_seeds_alone_where_the_network_has_one():
    net = mixed(0)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.freeze_params([net.ensembles[0], net.networks])
    assert all(ens.seed is None for ens in net.all_ensembles)
    assert isinstance(net.ensembles[0].encoders, np.ndarray)
    assert isinstance(net.networks[0].ensembles[0].encoders, np.ndarray)
    assert not isinstance(net.ensembles[1].encoders, np.ndarray)


def test_untouched_parameters_are_exactly_those_that_nengo_built():
    net = mixed(0, dtype="float32")
    with net:
        nengo_dl.configure_settings(build="nengo")  # ours gives decoders that differ in rounding
    with nengo.Simulator(net, progress_bar=False) as reference:
        built = {obj: reference.data[obj] for obj in (*net.all_ensembles, *net.all_connections)}
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.freeze_params(net)
    with nengo.Simulator(net, progress_bar=False) as frozen:
        for ens in net.all_ensembles:
            for name in ("encoders", "scaled_encoders", "bias", "gain"):
                np.testing.assert_array_equal(
                    getattr(frozen.data[ens], name), getattr(built[ens], name)
                )
        for conn in net.connections:
            before, after = built[conn].weights, frozen.data[conn].weights
            if conn.transform.__class__ is nengo.Sparse:
                before, after = before.toarray(), after.toarray()
            np.testing.assert_array_equal(after, before)


def learning():
    with nengo.Network(seed=3) as net:
        nengo_dl.configure_settings(dtype="float64")
        stimulus = nengo.Node(lambda t: [np.sin(20 * t), np.cos(20 * t)])
        pre = nengo.Ensemble(15, 2, label="pre")
        post = nengo.Ensemble(10, 2, radius=1.2, label="post")
        other = nengo.Ensemble(8, 2)
        nengo.Connection(stimulus, pre)
        pes = nengo.Connection(
            pre,
            post,
            function=lambda x: [x[0], x[0], x[1]],
            transform=[[1, 0, 0], [0, 0.5, 1]],
            learning_rule_type=nengo.PES(learning_rate=1e-3),
        )
        nengo.Connection(stimulus, pes.learning_rule)
        full = nengo.Connection(
            pre,
            other,
            solver=nengo.solvers.LstsqL2(weights=True),
            learning_rule_type=[nengo.Oja(learning_rate=1e-6), nengo.BCM(learning_rate=1e-9)],
        )
        voja = nengo.Connection(
            pre, post, synapse=None, learning_rule_type=nengo.Voja(learning_rate=0.05)
        )
        neurons = nengo.Connection(
            pre.neurons,
            other.neurons,
            transform=np.full((8, 15), 1e-3),
            learning_rule_type=nengo.PES(learning_rate=1e-3),
        )
        nengo.Connection(stimulus, neurons.learning_rule)
        nengo.Probe(post, synapse=0.01)
        nengo.Probe(other.neurons)
    return net, [pes, full, neurons], [post, voja]


def test_learned_weights():
    net, connections, (post, _) = learning()
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        built = [sim.data[conn].weights.copy() for conn in connections]
        encoders = sim.data[post].scaled_encoders.copy()
        sim.run_steps(N_STEPS)
        learned = [sim.data[conn].weights.copy() for conn in connections]
        learned_encoders = sim.data[post].scaled_encoders.copy()
        sim.freeze_params(net)
    assert all(np.abs(x - y).max() > 0 for x, y in zip(built, learned, strict=True))
    assert np.abs(learned_encoders - encoders).max() > 1e-3
    with nengo.Simulator(net, progress_bar=False) as reference:
        for conn, weights in zip(connections, learned, strict=True):
            np.testing.assert_allclose(reference.data[conn].weights, weights, rtol=1e-12)
        np.testing.assert_allclose(
            reference.data[post].scaled_encoders, learned_encoders, rtol=1e-12
        )
        reference.run_steps(N_STEPS)
        expected = [reference.data[probe] for probe in net.all_probes]
    assert_equal(recorded(nengo_dl.Simulator, net), expected)


def test_weights_learned_by_each_item_need_a_choice():
    net, (pes, _, _), _ = learning()
    stimulus = net.nodes[0]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False) as sim:
        sim.run_steps(5, data={stimulus: np.random.RandomState(0).uniform(-1, 1, (2, 5, 2))})
        with pytest.raises(ValidationError, match="2 items.*differ; choose.*item=0 to item=1"):
            sim.freeze_params(net)
        with pytest.raises(ValidationError, match="no item 2"):
            sim.get_nengo_params(pes, item=2)
        assert pes.solver == nengo.solvers.LstsqL2()  # nothing was written
        weights = sim.data[pes].weights
        assert weights.shape == (2, 2, 15)
        for item in range(2):
            values = sim.get_nengo_params(pes, item=item)["solver"].values
            np.testing.assert_array_equal(values.T, weights[item])
        sim.freeze_params(net, item=1)
    np.testing.assert_array_equal(pes.solver.values.T, weights[1])


def test_errors():
    net = mixed()
    with nengo.Network():
        stranger = nengo.Ensemble(5, 1, label="stranger")
    sim = nengo_dl.Simulator(net, progress_bar=False)
    with sim:
        with pytest.raises(ValidationError, match="stranger.*not in the simulated network"):
            sim.freeze_params([net.ensembles[0], stranger])
        with pytest.raises(ValidationError, match="expected an Ensemble.*got 3 of type int"):
            sim.freeze_params(3)
        assert not isinstance(net.ensembles[0].encoders, np.ndarray)
    with pytest.raises(SimulatorClosed):
        sim.freeze_params(net)


def with_gain_zero():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64")
        ens = nengo.Ensemble(4, 1, gain=[1, 0, 1, 1], bias=np.ones(4), label="flat")
        ens.neuron_type = nengo.RectifiedLinear()
        nengo.Connection(nengo.Node([1]), ens)
        nengo.Probe(ens.neurons)
    return net, ens


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Nengo divides by the gain
def test_encoders_of_neurons_with_gain_zero():
    net, ens = with_gain_zero()
    expected = frozen_output(net, lambda sim: None)
    np.testing.assert_array_equal(ens.gain, [1, 0, 1, 1])
    assert_equal(recorded(nengo.Simulator, net), expected)
    net, ens = with_gain_zero()
    expected = frozen_output(net, lambda sim: change_parameters(sim, add=1))
    assert np.all(ens.gain > 0)
    assert_equal(recorded(nengo.Simulator, net), expected)
    # what goes into the neurons is multiplied by their gain, which therefore stays
    net, ens = with_gain_zero()
    with net:
        nengo.Connection(net.nodes[0], ens.neurons, transform=np.ones((4, 1)))
    with pytest.raises(ValidationError, match="flat.*gain 0"):
        frozen_output(net, lambda sim: change_parameters(sim, add=1))


def test_gain_stays_where_it_does_more_than_scale_encoders():
    """Nengo multiplies with it what goes into neurons, and Voja's encoders grow towards it."""
    with nengo.Network(seed=1) as net:
        nengo_dl.configure_settings(dtype="float64")
        node = nengo.Node([0.8])
        into_neurons = nengo.Ensemble(8, 1, radius=2, label="into neurons")
        voja = nengo.Ensemble(8, 1, label="voja", intercepts=nengo.dists.Uniform(-1, 0))
        free = nengo.Ensemble(8, 1)
        nengo.Connection(node, into_neurons.neurons[2:5], transform=np.ones((3, 1)))
        for ens in net.ensembles:
            nengo.Connection(node, ens, synapse=None)
            nengo.Probe(ens.neurons)
        net.connections[2].learning_rule_type = nengo.Voja(learning_rate=0.5, post_synapse=None)
    with nengo.Simulator(net, progress_bar=False) as reference:
        built = [reference.data[ens].gain for ens in net.ensembles]
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change_parameters(sim)
        sim.run_steps(N_STEPS)
        data = [sim.data[ens] for ens in net.ensembles]
        sim.freeze_params(net)
        sim.reset(include_trainable=False)
        sim.run_steps(N_STEPS)
        expected = [sim.data[probe] for probe in net.probes]
    assert_equal(recorded(nengo.Simulator, net), expected)
    np.testing.assert_array_equal(into_neurons.gain, built[0])
    np.testing.assert_array_equal(voja.gain, built[1])
    assert np.all(free.gain != built[2])
    for ens, told in zip(net.ensembles, data, strict=True):
        assert np.abs(np.linalg.norm(told.encoders, axis=1) - 1).max() < 1e-12
        product = ens.gain[:, None] * ens.encoders / ens.radius
        np.testing.assert_allclose(product, told.scaled_encoders, rtol=1e-12)
    np.testing.assert_array_equal(data[2].gain, free.gain)


def test_what_is_frozen_can_be_copied_and_pickled():
    import pickle

    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(10, 2), nengo.Ensemble(12, 1)
        nengo.Connection(a, b, function=lambda x: x[0], solver=nengo.solvers.LstsqL2(weights=True))
        nengo.Connection(a, b, function=np.abs, transform=[[1, 2]])
        nengo.Probe(b.neurons)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        sim.freeze_params(net)
    solver, function = net.connections[0].solver, net.connections[1].function
    assert pickle.loads(pickle.dumps(solver)) == solver
    assert pickle.loads(pickle.dumps(function))(np.zeros(2)).shape == (1,)
    assert_equal(recorded(nengo.Simulator, net.copy()), recorded(nengo.Simulator, net))
