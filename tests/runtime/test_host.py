"""Python functions inside the simulation: their errors, their state, and what they may return."""

import traceback

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl.compiler.nengo_order import nengo_order
from nengo_dl.runtime.inputs import host
from runtime.networks import reference


class MyError(Exception):
    pass


def fails_at(step):
    """A function that gives its number of calls, and raises instead of giving ``step``."""
    calls = []

    def my_function(t, *x):
        calls.append(t)
        if len(calls) == step:
            raise MyError("out of cheese")
        return len(calls)

    return my_function


def network_with(function, has_input, label="my node"):
    with nengo.Network(seed=0) as net:
        ramp = nengo.Node(lambda t: t)
        node = nengo.Node(function, size_in=int(has_input), size_out=1, label=label)
        if has_input:
            nengo.Connection(ramp, node, synapse=None)
        ensemble = nengo.Ensemble(5, 1)
        nengo.Connection(node, ensemble, transform=0.01)
        probes = [nengo.Probe(p, **kw) for p, kw in ((ramp, {}), (node, {}), (ensemble, {}))]
    return net, node, probes


@pytest.mark.core
@pytest.mark.parametrize("has_input", [True, False], ids=["in the loop", "ahead"])
def test_a_function_that_raises(has_input):
    net, node, probes = network_with(fails_at(8), has_input)
    expected = reference(network_with(fails_at(0), has_input)[0], 20)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(4)
        with pytest.raises(MyError, match="out of cheese") as caught:
            sim.run_steps(50)
        text = "".join(traceback.format_exception(caught.value))
        assert "in my_function" in text
        assert "my node" in text
        assert "step 8" in text
        # the seven steps before are there
        assert sim.n_steps == 7
        for probe, values in zip(probes, expected, strict=True):
            np.testing.assert_allclose(sim.data[probe], values[:7], atol=1e-5)
        for again in (lambda: sim.run_steps(1), lambda: sim.predict(n_steps=1)):
            with pytest.raises(SimulationError, match=r"call sim.reset\(\) before going on"):
                again()
        sim.reset()
        sim.run_steps(5)  # calls 9 to 13
        np.testing.assert_array_equal(sim.data[probes[1]].ravel(), np.arange(9, 14))
    assert sim.closed


@pytest.mark.parametrize("has_input", [True, False], ids=["in the loop", "ahead"])
def test_first_step(has_input):
    net, _, probes = network_with(fails_at(1), has_input)
    sim = nengo_dl.Simulator(net)
    with pytest.raises(MyError):
        sim.run_steps(3)
    assert sim.n_steps == 0
    assert len(sim.data[probes[0]]) == 0
    sim.close()


def test_predict_raises_too():
    net, _, probes = network_with(fails_at(3), True)
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(MyError, match="out of cheese"):
            sim.predict(n_steps=5)
        sim.reset()
        assert sim.predict(n_steps=2)[probes[1]].ravel().tolist() == [4, 5]


def test_the_error_of_the_earliest_step():
    """Functions of the time are called many steps ahead, each in turn."""
    with nengo.Network() as net:
        late, early = nengo.Node(fails_at(9), size_out=1), nengo.Node(fails_at(6), size_out=1)
        never = nengo.Node(fails_at(0), size_out=1)
        probes = [nengo.Probe(node) for node in (late, early, never)]
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(MyError) as caught:
            sim.run_steps(20)
        assert "step 6" in "".join(traceback.format_exception(caught.value))
        for probe in probes:
            np.testing.assert_array_equal(sim.data[probe].ravel(), np.arange(1, 6))


@pytest.mark.parametrize("bad_at, raises_at, expected", [(5, 9, 5), (5, 5, 5), (9, 5, 5)])
def test_a_value_that_is_not_finite_and_an_error(bad_at, raises_at, expected):
    """Whether values are finite is seen when many steps are there; the first failure counts."""
    with nengo.Network() as net:
        bad = nengo.Node(lambda t: np.nan if round(t / 0.001) == bad_at else t, label="bad")
        other = nengo.Node(fails_at(raises_at), size_out=1)
        probes = [nengo.Probe(bad), nengo.Probe(other)]
    del other
    error = SimulationError if bad_at <= raises_at else MyError
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(error) as caught:
            sim.run_steps(20)
        text = "".join(traceback.format_exception(caught.value))
        assert f"in step {expected}, at 0.00{expected} s" in text
        assert ("bad" in text) == (error is SimulationError)
        assert sim.n_steps == expected - 1
        np.testing.assert_allclose(sim.data[probes[0]].ravel(), 0.001 * np.arange(1, expected))


def test_last_step_only():
    """A probe without history keeps what it saw last before the run that failed."""
    net, _, probes = network_with(fails_at(8), True)
    with net:
        nengo_dl.configure_settings(keep_history=False)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(4)
        with pytest.raises(MyError):
            sim.run_steps(50)
        assert sim.data[probes[1]].ravel().tolist() == [4]


def test_without_notes(monkeypatch):
    """Python 3.10 cannot add a note to an exception."""
    monkeypatch.setattr(host.sys, "version_info", (3, 10))
    for cause in (None, KeyError("cause")):
        error = MyError("mine")
        error.__cause__ = cause
        assert host._with_note(error, "raised by Node") is error
        text = "".join(traceback.format_exception(error))
        assert ("raised by Node" in text) == (cause is None)
        assert ("KeyError" in text) == (cause is not None)


@pytest.mark.parametrize("value", [None, np.nan, "1.5", 2**70, [1, 2]], ids=str)
@pytest.mark.parametrize("has_input", [True, False], ids=["in the loop", "ahead"])
def test_what_nengo_does_not_take(has_input, value):
    def function(t, *x):
        return value if t > 0.0025 else 1

    net, node, probes = network_with(function, has_input)
    with nengo.Simulator(net, progress_bar=False) as nengo_sim:
        with pytest.raises(Exception) as expected:  # noqa: B017, PT011  (whatever Nengo raises)
            nengo_sim.run_steps(5)
    with nengo_dl.Simulator(net) as sim:
        with pytest.raises(type(expected.value)) as caught:
            sim.run_steps(5)
        assert str(caught.value) == str(expected.value)
        assert sim.n_steps == nengo_sim.n_steps - (nengo_sim.n_steps > 2) == 2


def test_numpy_errors_as_in_nengo():
    with nengo.Network() as net:
        nengo.Node(lambda t: np.log(np.float64(-t)), size_out=1)
    with nengo_dl.Simulator(net) as sim, pytest.raises(FloatingPointError):
        sim.run_steps(2)
    assert np.geterr()["invalid"] == "warn"


def test_values_too_large_for_float32():
    with nengo.Network() as net:
        source = nengo.Node(lambda t: t)
        node = nengo.Node(lambda t, x: 1e50 * x, size_in=1)
        nengo.Connection(source, node, synapse=None)
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(2)
    assert np.all(np.isinf(sim.data[probe]))


@pytest.mark.core
def test_state_in_python_is_shared_in_order():
    """An environment between two Nodes, one of which has no input."""

    def build():
        state = {"x": 0.0, "log": []}

        def sense(t):
            state["log"].append("sense")
            return state["x"]

        def act(t, x):
            state["log"].append("act")
            state["x"] += 1 - x

        with nengo.Network(seed=0) as net:
            sensor = nengo.Node(sense, size_out=1)
            actor = nengo.Node(act, size_in=1)
            nengo.Connection(sensor, actor, transform=0.1, synapse=0)
            probe = nengo.Probe(sensor)
        return net, probe, state["log"]

    net, probe, expected_log = build()
    (expected,) = reference(net, 1200, [probe])
    net, probe, log = build()
    log.clear()
    with nengo_dl.Simulator(net) as sim:
        log.clear()
        sim.run_steps(1200)
    np.testing.assert_allclose(sim.data[probe], expected, rtol=1e-5)
    assert log[:4] == expected_log[-4:]
    assert len(log) == 2400


def test_functions_are_called_once_a_step_and_item():
    times = []

    def function(t, x):
        times.append(t)
        return x

    with nengo.Network() as net:
        source, node = nengo.Node([0]), nengo.Node(function, size_in=1)
        nengo.Connection(source, node, synapse=None)
        probe = nengo.Probe(node)
    data = np.random.RandomState(0).uniform(size=(2, 5, 1))
    with nengo_dl.Simulator(net, minibatch_size=2, dt=0.01) as sim:
        times.clear()
        sim.run_steps(3, data={source: data[:, :3]})
        sim.run_steps(2, data={source: data[:, 3:]})
        np.testing.assert_allclose(times, np.repeat([0.01, 0.02, 0.03, 0.04, 0.05], 2), rtol=1e-6)
        np.testing.assert_allclose(sim.data[probe], data, rtol=1e-6)
        # what is the same for all items is computed once
        sim.run_steps(3)
        assert len(times) == 13


def test_function_without_output():
    seen = []

    def sink(t, x):
        seen.append(float(x[0]))

    with nengo.Network() as net:
        source = nengo.Node(lambda t: 10 * t)
        nengo.Connection(source, nengo.Node(sink, size_in=1), synapse=None)
    with nengo_dl.Simulator(net) as sim:
        seen.clear()
        sim.run_steps(4)
    np.testing.assert_allclose(seen, [0.01, 0.02, 0.03, 0.04], rtol=1e-5)


def test_data_for_a_node_whose_function_runs_in_the_loop():
    calls = []

    def stimulus(t):
        calls.append(t)
        return 5.0

    net, node, probes = network_with(lambda t, x: 2 * x, True)
    with net:
        given = nengo.Node(stimulus, label="given", size_out=1)
        nengo.Connection(given, node, synapse=None)
        probe = nengo.Probe(given)
    with nengo_dl.Simulator(net, minibatch_size=2) as sim:
        calls.clear()
        data = np.random.RandomState(0).uniform(size=(2, 6, 1))
        sim.run_steps(6, data={"given": data})
        np.testing.assert_allclose(sim.data[probe], data, atol=1e-6)
        np.testing.assert_allclose(sim.data[probes[1]], 2 * (data + sim.data[probes[0]]), atol=1e-5)
        assert calls == []
        sim.run_steps(3)
        assert len(calls) == 3
        np.testing.assert_array_equal(sim.data[probe][:, 6:], 5)


def test_network_without_anything_but_a_function():
    times = []
    with nengo.Network() as net:
        nengo.Node(lambda t: times.append(t))
    with nengo_dl.Simulator(net) as sim:
        times.clear()
        sim.run_steps(3)
    np.testing.assert_allclose(times, [0.001, 0.002, 0.003])


def functions_of_time():
    """A network whose Nodes draw no random numbers, although others do."""
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(5, 1)
        for function in (np.sin, nengo.processes.PresentInput([[1], [2]], 0.01), np.cos):
            nengo.Connection(nengo.Node(function), ensemble, synapse=0.01)
    return net


def with_noise():
    net = functions_of_time()
    with net:
        nengo.Node(nengo.processes.WhiteNoise())
    return net


def with_input():
    net = functions_of_time()
    with net:
        nengo.Connection(net.ensembles[0], nengo.Node(lambda t, x: x, size_in=1))
    return net


@pytest.mark.parametrize(
    "make, asks", [(functions_of_time, False), (with_noise, True), (with_input, True)]
)
def test_order_is_that_of_nengo(make, asks, monkeypatch):
    """It is only worked out for all operators where it is not known without."""
    asked = []
    monkeypatch.setattr(host, "nengo_order", lambda ops: asked.append(ops) or nengo_order(ops))
    with nengo_dl.Simulator(make(), progress_bar=False) as sim:
        runtime = sim._host
    assert bool(asked) == asks
    order = [op for op in runtime._order if op in runtime.model.operators]
    assert len(order) >= 3
    assert order == [op for op in nengo_order(runtime.model.operators) if op in order]
