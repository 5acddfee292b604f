"""What was compiled for one simulator is used by others of the same structure, and by no others."""

import functools
import weakref

import keras
import nengo
import numpy as np
import pytest
from nengo.dists import Uniform

import nengo_dl
from nengo_dl.runtime.backends.shared_functions import SharedFunctions, chunk_functions
from nengo_dl.runtime.step.fingerprint import NoFingerprint, fingerprint
from oracle import assert_matches_nengo

pytestmark = pytest.mark.usefixtures("nothing_compiled")


def network(
    seed=0,
    neurons=None,
    tau=0.005,
    probe_tau=0.01,
    n=10,
    frequency=8.0,
    gain=1.0,
    sample_every=None,
):
    """A Node, two ensembles and two Probes."""
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Ensemble].neuron_type = neurons or nengo.LIF()
        stimulus = nengo.Node(lambda t: np.sin(frequency * t))
        a, b = nengo.Ensemble(n, 1), nengo.Ensemble(10, 1)
        nengo.Connection(stimulus, a, synapse=None)
        nengo.Connection(a, b, function=np.square, synapse=tau)
        nengo.Connection(b, b, transform=gain, synapse=0.1)
        net.p = nengo.Probe(b, synapse=probe_tau, sample_every=sample_every)
        nengo.Probe(a.neurons)
    return net


def traced(net, n_steps=40, dtype="float64", **kwargs):
    """How often a new simulator of a network traces a step."""
    with net:
        nengo_dl.configure_settings(dtype=dtype)
    with nengo_dl.Simulator(net, **kwargs) as sim:
        sim.run_steps(n_steps)
        return sim._engine.chunks.n_traces


@pytest.mark.core
@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"frequency": 3.0},
        {"gain": 0.5, "seed": 3},
        {"neurons": nengo.LIF(), "seed": 4},
    ],
    ids=["seed", "function of a Node", "weights", "another neuron type that is equal"],
)
def test_same_structure_is_compiled_once(other):
    assert traced(network()) == 1
    assert traced(network(**other)) == 0
    assert_matches_nengo(network(**other), n_steps=60)
    assert len(chunk_functions) == 1


@pytest.mark.core
@pytest.mark.parametrize(
    "other",
    [
        {"neurons": nengo.LIF(tau_rc=0.03)},
        {"neurons": nengo.LIF(tau_ref=0.001)},
        {"neurons": nengo.LIF(amplitude=0.5)},
        {"neurons": nengo.LIF(min_voltage=-1)},
        {"neurons": nengo.LIF(initial_state={"voltage": Uniform(0, 1.5)})},
        {"neurons": nengo.AdaptiveLIF()},
        {"neurons": nengo.RectifiedLinear()},
        {"tau": None},
        {"tau": nengo.Alpha(0.005)},
        {"n": 11},
    ],
    ids=str,
)
def test_another_structure_is_compiled_anew(other):
    """Each differs in one number or type from what was compiled before it."""
    assert traced(network()) == 1
    assert_matches_nengo(network(**other), n_steps=60)
    assert len(chunk_functions) == 2


@pytest.mark.core
@pytest.mark.parametrize(
    "kwargs",
    [{"dt": 0.002}, {"minibatch_size": 2}, {"unroll_simulation": 2}, {"dtype": "float32"}],
    ids=str,
)
def test_other_settings_are_compiled_anew(kwargs):
    assert traced(network()) == 1
    assert traced(network(), **kwargs) > 0
    if "dtype" not in kwargs:
        assert_matches_nengo(network(), **kwargs)


@pytest.mark.core
def test_data_for_each_item_is_compiled_anew():
    net = network()
    traced(net, minibatch_size=2)
    node = net.nodes[0]
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        assert sim.run_steps(40) is None and sim._engine.chunks.n_traces == 0
        sim.run_steps(40, data={node: np.arange(80.0).reshape(2, 40, 1)})
        assert sim._engine.chunks.n_traces == 1


@pytest.mark.core
def test_trained_values_are_those_of_each_simulator():
    """Weights that change are arguments, too."""
    net = network()
    with nengo_dl.Simulator(net, seed=0) as sim:
        sim.run_steps(20)
        before = sim.data[net.p].copy()
        sim.keras_model.set_weights([0.5 * w for w in sim.keras_model.get_weights()])
        sim.reset(include_trainable=False)
        sim.run_steps(20)
        assert not np.allclose(before, sim.data[net.p])
    with nengo_dl.Simulator(net, seed=0) as again:
        again.run_steps(20)
        np.testing.assert_array_equal(again.data[net.p], before)
        assert again._engine.chunks.n_traces == 0


@pytest.mark.core
def test_what_is_the_users_is_not_shared():
    """Keras layers, and Python code that draws numbers for compiled neurons."""
    for net in (_with_layer(), _with_python(neurons=nengo.PoissonSpiking(nengo.LIFRate()))):
        with nengo_dl.Simulator(net) as sim:
            sim.run_steps(3)
    assert len(chunk_functions) == 0


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [1, 2])
def test_pieces_between_calls_of_python_are_compiled_once(minibatch_size):
    """Of each network its own functions are called, and none of what they were compiled for is
    kept.
    """

    def run(net):
        return assert_matches_nengo(net, n_steps=30, minibatch_size=minibatch_size)

    run(_with_python())
    n_functions = len(chunk_functions)
    assert n_functions == 2  # what does not change, and a turn
    run(_with_python(function=lambda t, x: np.cos(40 * t) - 0.5 * x, seed=1))
    run(_with_python(neurons=nengo.LIF(), seed=2))
    assert len(chunk_functions) == n_functions
    run(_with_python(neurons=nengo.LIF(tau_rc=0.05)))
    run(_with_python(tau=0.02, n=6))
    assert len(chunk_functions) == 3 * n_functions
    sim = nengo_dl.Simulator(_with_python())
    sim.run_steps(2)
    seen = [weakref.ref(o) for o in (sim, sim._engine, sim._engine.lowered, sim.keras_model)]
    sim.close()
    del sim
    assert [ref() for ref in seen] == [None] * len(seen)


def _with_layer():
    with nengo.Network(seed=0) as net:
        x = nengo.Node([1.0, 2.0])
        nengo.Probe(nengo_dl.Layer(keras.layers.Dense(2))(x))
    return net


def _with_python(function=lambda t, x: x + 1, seed=0, neurons=None, tau=0.005, n=5):
    with nengo.Network(seed=seed) as net:
        a = nengo.Ensemble(n, 1, neuron_type=neurons or nengo.LIF())
        b = nengo.Node(function, size_in=1)
        nengo.Connection(a, b, synapse=tau)
        nengo.Connection(b, a)
        nengo.Probe(b)
        nengo.Probe(a.neurons)
    return net


@pytest.mark.core
def test_short_runs_are_compiled_once():
    assert traced(network(), n_steps=3) == 1
    n_functions = len(chunk_functions)
    assert traced(network(seed=1), n_steps=4) == 0
    assert len(chunk_functions) == n_functions
    assert_matches_nengo(network(seed=1), n_steps=4)


@pytest.mark.core
@pytest.mark.parametrize("n_steps", [1, 40])
def test_simulators_are_forgotten(n_steps):
    """What is kept holds on to nothing of the simulator that it was compiled for."""
    net = network()
    sim = nengo_dl.Simulator(net)
    sim.run_steps(n_steps)
    seen = [weakref.ref(o) for o in (sim, sim._engine, sim._engine.lowered, sim.keras_model)]
    sim.close()
    del sim
    assert len(chunk_functions) > 0
    assert [ref() for ref in seen] == [None] * len(seen)


def test_the_least_used_goes_first():
    functions = SharedFunctions(most=2)
    made = []

    def get(key):
        return functions.get(key, lambda: made.append(key) or key)

    assert [get(k) for k in "abac"] == list("abac")
    assert made == list("abc") and len(functions) == 2
    get("a")
    assert made == list("abc")
    get("b")
    assert made == list("abcb")


# -- fingerprints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        lambda: (1, 2.0, "x", None, [True, b"y"], {"a": slice(1, None)}, range(3)),
        lambda: np.arange(6.0).reshape(2, 3),
        lambda: functools.partial(np.add, 1, out=None),
        lambda: nengo_dl.surrogates.fast_sigmoid(10.0),
        lambda: nengo.LIF(tau_rc=0.03),
        lambda: (np.float32, np.dtype("int8"), keras.ops.matmul, nengo.LIF),
    ],
)
def test_equal_values_have_equal_fingerprints(same):
    assert fingerprint(same()) == fingerprint(same())


@pytest.mark.parametrize(
    "one, other",
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ((1, 2), [1, 2]),
        ((1, (2, 3)), ((1, 2), 3)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(4), np.zeros(4, dtype="float32")),
        (np.float64(1), 1.0),
        (nengo_dl.surrogates.fast_sigmoid(1.0), nengo_dl.surrogates.fast_sigmoid(2.0)),
        (nengo_dl.surrogates.fast_sigmoid(1.0), nengo_dl.surrogates.arctan(1.0)),
        (nengo.LIF(tau_rc=0.03), nengo.LIF(tau_rc=0.02)),
        (nengo.LIF(), nengo.LIFRate()),
        (functools.partial(np.add, 1), functools.partial(np.add, 2)),
    ],
)
def test_different_values_have_different_fingerprints(one, other):
    assert fingerprint(one) != fingerprint(other)


def test_a_value_that_contains_itself():
    def circle(n):
        values = [n]
        values.append(values)
        return values

    assert fingerprint(circle(1)) == fingerprint(circle(1)) != fingerprint(circle(2))


class _Own:
    pass


@pytest.mark.parametrize(
    "value",
    [lambda x: x, _Own(), _Own, np.array([None]), iter([1]), functools.partial(lambda: 1)],
)
def test_what_is_not_known_has_no_fingerprint(value):
    with pytest.raises(NoFingerprint):
        fingerprint([1, value])
