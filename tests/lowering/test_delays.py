"""Delays: of any lengths and shapes, in a ring that stays where it is."""

import pickle

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.lowering.delays import DelayKernel
from nengo_dl.synapses import Delay
from oracle import assert_matches_nengo, run_reference

DELAYS = [
    Delay(0),
    Delay(0.003),
    Delay(0.012, then=0.004),
    Delay(0.002, then=nengo.Triangle(0.004)),
    Delay([0.007, 0.0, 0.001]),
    Delay([0.0, 0.03, 0.03], then=nengo.Alpha(0.005)),
    Delay([0.004] * 3, then=Delay([0.001, 0.002, 0.0])),
]


def waves(t):
    return np.sin([20 * t, 30 * t, 50 * t])


def network(synapses=DELAYS, **settings):
    """Each of the synapses on a connection, a probe and a Node."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype="float64", **settings)
        source = nengo.Node(waves)
        for synapse in synapses:
            through, process = nengo.Node(size_in=3), nengo.Node(synapse, size_in=3, size_out=3)
            nengo.Connection(source, through, synapse=synapse)
            nengo.Connection(source, process, synapse=None)
            for probed, own in ((through, None), (process, None), (source, synapse)):
                nengo.Probe(probed, synapse=own)
    return net


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_as_in_nengo(minibatch_size):
    assert_matches_nengo(network(), n_steps=70, minibatch_size=minibatch_size)


@pytest.mark.parametrize(
    "settings",
    [
        {"jit_compile": False},
        {"use_loop": False},
        {"planner": nengo_dl.graph_optimizer.noop_planner},
    ],
)
def test_settings(settings):
    assert_matches_nengo(network(DELAYS[3:6], **settings), n_steps=40, dt=0.002)


def test_loops_and_matrices():
    """In a loop of one ensemble, behind spikes, and of a matrix of weights."""
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 2)
        nengo.Connection(nengo.Node([0.5, -0.3]), ens, synapse=Delay([0.0, 0.004]))
        nengo.Connection(ens, ens, synapse=Delay(0.005, then=0.1))
        conn = nengo.Connection(ens, ens, learning_rule_type=nengo.PES(1e-3), synapse=0.1)
        nengo.Connection(ens, conn.learning_rule, synapse=Delay([0.001, 0.002]))
        nengo.Probe(conn, "weights", synapse=Delay(0.003))
        nengo.Probe(ens.neurons, synapse=Delay(np.arange(30) * 1e-3))
    assert_matches_nengo(net, n_steps=60, minibatch_size=2)


@pytest.mark.core
@pytest.mark.filterwarnings("ignore:'Node.size_out' is being overwritten")  # Nengo's __setstate__
def test_runs_of_any_length(tmp_path):
    """In pieces, pickled, from a file and from the state of the last reset."""
    net = network(DELAYS[3:6])
    reference = run_reference(net, n_steps=90)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for n_steps in (1, 1, 7, 40):
            sim.run_steps(n_steps)
        sim.save_params(tmp_path / "state", include_state=True)
        copied = pickle.loads(pickle.dumps(sim))
        sim.run_steps(41)
        data = [sim.data[probe] for probe in net.probes]
        for probe, values in zip(net.probes, data, strict=True):
            np.testing.assert_allclose(values, reference[probe], atol=1e-12)
        sim.reset()
        sim.run_steps(90, stateful=False)
        np.testing.assert_array_equal(sim.data[net.probes[-1]], data[-1])
    with copied:
        copied.run_steps(41)
        # a probe is another object after pickling
        unpickled = copied.model.toplevel.probes
        for probe, values in zip(unpickled, data, strict=True):
            np.testing.assert_array_equal(copied.data[probe], values)
        copied.reset()
        copied.load_params(tmp_path / "state", include_state=True)
        copied.run_steps(41)
        for probe, values in zip(unpickled, data, strict=True):
            np.testing.assert_array_equal(copied.data[probe], values[49:])


def test_groups():
    """All signals of equal delays are one group, and all others another one; what filters them
    joins the other filters of its kind.
    """
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(3))
        for synapse in (*DELAYS[:6], nengo.Lowpass(0.1)):
            nengo.Probe(node, synapse=synapse)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        runs = [run for run in sim.program.layout.instructions if hasattr(run, "kernel")]
    assert sorted(len(r.group) for r in runs if isinstance(r.kernel, DelayKernel)) == [2, 4]
    assert sorted(len(r.group) for r in runs) == [1, 1, 2, 2, 4]
    assert not any(run.kernel.on_host for run in runs)


class Halved(nengo.synapses.Synapse):
    """A synapse that only Python knows."""

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return {"last": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t, x):
            state["last"][...] = 0.5 * (state["last"] + x)
            return state["last"]

        return step


def test_a_synapse_in_python():
    assert_matches_nengo(network([Delay([0.001, 0.002, 0.0], then=Halved())]), n_steps=20)
