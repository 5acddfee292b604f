"""Large states that are the result of few operands."""

import pickle

import nengo
import numpy as np
import pytest

import nengo_dl
import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl.compiler.compile import compile_model
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.layout import Run
from nengo_dl.compiler.verify import verify_layout


def network(n_neurons=2100, probe_change=False):
    with nengo.Network(seed=0) as net:
        source = nengo.Node(nengo.processes.WhiteSignal(1.0, high=20, seed=0), size_out=8)
        pre, post = nengo.Ensemble(n_neurons, 8), nengo.Ensemble(20, 8)
        nengo.Connection(source, pre)
        net.conn = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(source, net.conn.learning_rule)
        nengo.Probe(post, synapse=0.01)
        if probe_change:
            nengo.Probe(net.conn.learning_rule, "delta")
    return net


def layout(**options):
    found = compile_model(build_model(network(**options), 0.001, None)).layout
    verify_layout(found)
    return found


def test_the_operands_are_the_state():
    found = layout()
    (change,) = found.of_kind("deferred")
    head = found.instructions[0]
    assert isinstance(head, Run)
    assert head.results == (change.tensor,)
    operands = [s for s in found.of_kind("state") if "operand" in s.tensor.name]
    assert [s.tensor.width for s in operands] == [2100, 8]
    assert [r.tensor for r in head.operands] == [s.tensor.index for s in operands]
    assert set(found.origins.values()) == {(change.signals[0], 0), (change.signals[0], 1)}


@pytest.mark.parametrize("options", [{"n_neurons": 100}, {"probe_change": True}], ids=str)
def test_what_is_small_or_read_stays(options):
    found = layout(**options)
    assert not found.of_kind("deferred")
    assert not found.origins


@pytest.mark.core
def test_a_change_under_way_is_seen_and_saved(tmp_path):
    net = network()
    with nengo.Simulator(net, progress_bar=False) as reference:
        reference.run_steps(6)
        delta = reference.model.sig[net.conn.learning_rule]["delta"]
        expected = np.array(reference.signals[delta])
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        delta = sim.model.sig[net.conn.learning_rule]["delta"]
        assert np.all(sim.signals[delta] == 0)
        sim.run_steps(6)
        np.testing.assert_allclose(sim.signals[delta], expected, rtol=1e-3, atol=1e-8)
        assert np.any(expected)
        sim.save_params(tmp_path / "params", include_state=True)
        pickled = pickle.dumps(sim)
        sim.run_steps(6)
        weights = sim.data[net.conn].weights
        sim.load_params(tmp_path / "params", include_state=True)
        sim.run_steps(6)
        assert np.array_equal(sim.data[net.conn].weights, weights)
    with pickle.loads(pickled) as sim:
        sim.run_steps(6)
        (conn,) = (c for c in sim.model.toplevel.all_connections if c.learning_rule)
        assert np.array_equal(sim.data[conn].weights, weights)
