"""Wrong input gives one clear sentence: the object, what was given, what is expected, what to
do.
"""

import nengo
import numpy as np
import pytest
from nengo.exceptions import NengoException, ValidationError

import nengo_dl
from runtime.networks import small, tutorial


@pytest.fixture(scope="module")
def model():
    return tutorial()


@pytest.fixture(scope="module")
def sim(model):
    with nengo_dl.Simulator(model.net, minibatch_size=2) as sim:
        yield sim


def message(call, *args, **kwargs):
    """The message of the error, of which the last line only is for the user."""
    with pytest.raises(NengoException) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def assert_says(text, *parts):
    for part in parts:
        assert str(part) in text, text


# -- the constructor -------------------------------------------------------------------------------


def test_nothing_to_run():
    text = message(nengo_dl.Simulator, None)
    assert_says(text, "network", "nothing to simulate", "neither a network nor a built model")


@pytest.mark.parametrize("network", ["net", 3, nengo.Network, [1]], ids=str)
def test_not_a_network(network):
    text = message(nengo_dl.Simulator, network)
    assert_says(text, "expected a nengo.Network", repr(network), type(network).__name__)


def test_dt_that_disagrees_with_the_model():
    model = nengo.builder.Model(dt=0.002)
    net, _, _ = small()
    text = message(nengo_dl.Simulator, net, dt=0.01, model=model)
    assert_says(text, "dt", "0.01", "0.002", "pass dt=0.002")


@pytest.mark.parametrize("dt", [0, -0.001, np.nan, np.inf, "fast"], ids=str)
def test_dt(dt):
    assert_says(message(nengo_dl.Simulator, small()[0], dt=dt), "dt", "positive", repr(dt))


@pytest.mark.parametrize("name", ["minibatch_size", "unroll_simulation"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "2", [2]], ids=str)
def test_counts(name, value):
    text = message(nengo_dl.Simulator, small()[0], **{name: value})
    assert_says(text, name, "integer of at least 1", repr(value))


@pytest.mark.parametrize("device", ["/gpu:99", "/tpu:0", "/cpu:7", "fastest", 3], ids=str)
def test_device(device):
    text = message(nengo_dl.Simulator, small()[0], device=device)
    assert_says(text, "device", repr(device), "/cpu:0")


def test_seed():
    assert_says(message(nengo_dl.Simulator, small()[0], seed="abc"), "seed", "'abc'", "integer")


def test_a_loop_without_a_synapse():
    with nengo.Network() as net:
        a, b = nengo.Ensemble(5, 1), nengo.Ensemble(5, 1)
        nengo.Connection(a, b, synapse=None)
        nengo.Connection(b, a, synapse=None)
    text = message(nengo_dl.Simulator, net)
    assert_says(
        text, "holds a cycle without delay", "more. Give a connection of the cycle a synapse"
    )


def test_an_empty_network_runs_as_in_nengo():
    with nengo_dl.Simulator(nengo.Network()) as sim:
        sim.run(0.01)
        assert sim.n_steps == 10
        assert sim.predict(n_steps=2) == {}


def test_failed_constructors_leave_nothing_open(recwarn):
    message(nengo_dl.Simulator, None)
    assert not recwarn.list


# -- running ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [0, -3, 1.5, "10"], ids=str)
def test_n_steps(sim, n_steps):
    text = message(sim.run_steps, n_steps)
    assert_says(text, "n_steps", "integer of at least 1", repr(n_steps))


def test_time(sim):
    assert_says(message(sim.run, -0.5), "time_in_seconds", "positive", "-0.5")


def test_no_number_of_steps(sim):
    for text in (message(sim.predict), message(sim.run_steps, None)):
        assert_says(text, "without data, give the number of steps")


# -- data ------------------------------------------------------------------------------------------


@pytest.fixture(params=["run_steps", "predict", "predict_on_batch"])
def run(request, sim):
    """Runs with data: (data, n_steps)."""

    def call(data, n_steps=5):
        if request.param == "run_steps":
            return sim.run_steps(n_steps, data=data)
        return getattr(sim, request.param)(data, n_steps)

    return call


def test_rank(run, model):
    for shape in ((5, 1), (2,), (2, 5, 1, 1), ()):
        text = message(run, {model.stimulus: np.zeros(shape)})
        assert_says(text, "stimulus", shape, "three dimensions", "(batch, n_steps, 1)")


def test_size(run, model):
    text = message(run, {model.stimulus: np.zeros((2, 5, 3))})
    assert_says(text, "stimulus", "3 values", (2, 5, 3), "(batch, n_steps, 1)")


def test_not_numbers(run, model):
    for value in ([[["a"]]], [[[1.0], [2.0, 3.0]]], [[[None]]], object()):
        text = message(run, {model.stimulus: value})
        assert_says(text, "stimulus", "numbers")


def test_unequal_steps(run, model):
    data = {model.stimulus: np.zeros((2, 5, 1)), model.bias: np.zeros((2, 6, 2))}
    text = message(run, data)
    assert_says(text, "different numbers of steps", "stimulus", "5", "6")


def test_steps_that_disagree(run, model):
    text = message(run, {model.stimulus: np.zeros((2, 5, 1))}, n_steps=7)
    assert_says(text, "data has 5 steps", "7 steps were asked for", "exactly the steps")


def test_no_steps_in_the_data(sim, model):
    text = message(sim.predict, {model.stimulus: np.zeros((2, 0, 1))})
    assert_says(text, "n_steps", "at least 1, got 0")


def test_batch_of_nothing(sim, model):
    text = message(sim.predict, {model.stimulus: np.zeros((0, 5, 1))})
    assert_says(text, "x", "no items")


def test_unequal_batches(sim, model):
    data = {model.stimulus: np.zeros((2, 5, 1)), model.bias: np.zeros((4, 5, 2))}
    assert_says(message(sim.predict, data), "different batch sizes", "[2, 4]")


@pytest.mark.parametrize("size", [1, 4])
def test_more_than_a_minibatch(sim, model, size):
    data = {model.stimulus: np.zeros((size, 5, 1))}
    text = message(sim.run_steps, 5, data=data)
    assert_says(text, "stimulus", f"batch size {size}", "expected 2", "minibatch_size")
    if size > 2:
        text = message(sim.predict_on_batch, data)
        assert_says(text, "stimulus", f"batch size {size}", "expected 2 at most", "minibatch_size")


def test_unknown_node(run, model):
    other = nengo.Node([0], label="stranger", add_to_container=False)
    assert_says(message(run, {other: np.zeros((2, 5, 1))}), "stranger", "'stimulus', 'node'")
    assert_says(message(run, {"nobody": np.zeros((2, 5, 1))}), "'nobody'", "'stimulus', 'node'")
    assert_says(message(run, {model.square: np.zeros((2, 5, 1))}), "Ensemble", "'stimulus'")
    assert_says(message(run, {model.in_probe: np.zeros((2, 5, 1))}), "Probe", "'stimulus'")


def test_node_with_inputs(run, model):
    (node,) = [node for node in model.net.all_nodes if node.size_in]
    text = message(run, {node: np.zeros((2, 5, 2))})
    assert_says(text, "size_in=2", "no data can be given", "add a Node without input")


def test_too_many_arrays(run):
    text = message(run, [np.zeros((2, 5, 1))] * 3)
    assert_says(text, "3 arrays were given", "2 Nodes", "at most one for each")


def test_too_few_arrays(sim):
    with pytest.warns(UserWarning, match="1 arrays were given for 2 Nodes"):
        sim.run_steps(5, data=[np.zeros((2, 5, 1))])


def test_nothing_is_recorded_after_a_wrong_call(sim, model):
    sim.reset()
    message(sim.run_steps, 5, data={model.stimulus: np.zeros((2, 4, 1))})
    assert sim.n_steps == 0
    assert sim.data[model.in_probe].shape == (2, 0, 1)


# -- looking ---------------------------------------------------------------------------------------


def test_names(sim, model):
    for obj in (model.square, "stimulus", None):
        assert_says(
            message(sim.get_name, obj), str(obj), "neither a Node without input nor a Probe"
        )


def test_unknown_objects_in_data(sim):
    with pytest.raises(KeyError, match="Node 'stranger'"):
        sim.data[nengo.Node([0], label="stranger", add_to_container=False)]
    other = small()[2][0]
    with pytest.raises((KeyError, ValidationError)):
        sim.data[other]
