"""Long runs: memory does not grow but by what the probes record, and that is held once."""

import subprocess
import sys

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl.runtime.results.recording import ProbeRecord
from nengo_dl.tuning import EXPECTED_BYTES
from runtime.networks import tutorial

#: runs the tutorial network in a process of its own, and prints how much its memory grew in
#: megabytes
SCRIPT = """
import gc, os
import nengo, numpy as np
import nengo_dl

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def on_the_device():
    import keras
    if keras.backend.backend() != "jax":
        return 0
    import jax
    return sum(array.nbytes for array in jax.live_arrays())

with nengo.Network(seed=0) as net:
    node = nengo.Node([0.5])
    a, b = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
    nengo.Connection(node, a)
    nengo.Connection(a, b)
    probe = nengo.Probe(b, synapse=0.01)

with nengo_dl.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(10_000)
    sim.data[probe]
    before, tensors, capacity = resident(), on_the_device(), sim._engine.chunks.most_steps
    sim.run_steps({n_steps})
    assert on_the_device() == tensors
    assert sim._engine.chunks.most_steps == capacity <= 1000
    recorded = sim.data[probe]
    assert recorded.shape == ({n_steps} + 10_000, 1)
    print(resident() - before, recorded.nbytes / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_steps():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(n_steps=10**6)],
        check=True,
        capture_output=True,
        text=True,
    )
    growth, recorded = map(float, run.stdout.split())
    assert recorded > 3
    assert growth < 1.5 * recorded + 4, (growth, recorded)


@pytest.mark.core
def test_the_same_tensors_whatever_the_length():
    model = tutorial()
    with nengo_dl.Simulator(model.net) as sim:
        sim.run_steps(10)
        shapes = [np.shape(tensor) for tensor in sim._state.tensors]
        sim.run_steps(5000)
        assert [np.shape(tensor) for tensor in sim._state.tensors] == shapes


def test_wide_probes_have_short_chunks():
    """Inputs and outputs of a chunk stay below some 16 megabytes."""
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(20_000))
        nengo.Probe(node)
    with nengo_dl.Simulator(net, minibatch_size=4) as sim:
        assert sim._engine.chunks.most_steps * 4 * 40_000 * 4 < 17 * 2**20
        sim.run_steps(60)
        assert sim.n_steps == 60


# -- the record of a probe -------------------------------------------------------------------------


@pytest.fixture
def probe():
    with nengo.Network():
        return nengo.Probe(nengo.Node([0]))


def chunk(first, n, batch=2, size=3):
    steps = np.arange(first, first + n)
    return np.broadcast_to(steps[None, :, None], (batch, n, size)).astype("float32")


def test_one_buffer(probe):
    record = ProbeRecord(probe, 0.001)
    assert record.values() is None
    first = 1
    for n in (5, 1, 1000, 3, 1):
        record.append(chunk(first, n), first, n)
        first += n
        values = record.values()
        assert len(record) == values.shape[1] == first - 1
        np.testing.assert_array_equal(values, chunk(1, first - 1))
        assert values.base is not None  # a view: nothing is held twice
        assert record.values().base is values.base
        assert values.base.shape[1] < 2 * values.shape[1]
        assert not values.flags.writeable
    record.clear()
    assert len(record) == 0


def test_growing_costs_little(probe, monkeypatch):
    """Twice as many samples are copied a few times, not each time that one is added."""
    record, copies = ProbeRecord(probe, 0.001), []
    grown = record._grown
    monkeypatch.setattr(record, "_grown", lambda *args: copies.append(len(record)) or grown(*args))
    for step in range(1, 5001):
        record.append(chunk(step, 1), step, 1)
    assert sum(copies) < 4 * 5000


def test_what_was_returned_stays(probe):
    record = ProbeRecord(probe, 0.001)
    record.append(chunk(1, 10), 1, 10)
    before = record.values()
    mark = record.mark()
    record.append(chunk(11, 100), 11, 100)
    record.rewind(mark)
    assert len(record) == 10
    record.append(-chunk(11, 4), 11, 4)
    np.testing.assert_array_equal(before, chunk(1, 10))
    np.testing.assert_array_equal(record.values()[:, 10:], -chunk(11, 4))


@pytest.mark.parametrize("sample_every", [0.001, 0.002, 0.0025, 0.003, 0.0007, 1])
def test_samples_are_those_of_nengo(sample_every):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: t), sample_every=sample_every)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(40)
    record = ProbeRecord(probe, 0.001)
    for first, n in ((1, 7), (8, 1), (9, 32)):
        record.append(chunk(first, n), first, n)
    np.testing.assert_allclose(record.values()[0, :, 0] * 0.001, sim.data[probe].ravel())


def test_last_sample_only(probe):
    record = ProbeRecord(probe, 0.001, keep_history=False)
    record.append(chunk(5, 1), 5, 5)
    record.append(chunk(9, 1), 6, 4)
    record.append(chunk(10, 0), 10, 1)  # nothing was kept of a chunk that was cut off
    np.testing.assert_array_equal(record.values(), chunk(9, 1))


def test_a_record_grows_once_a_run():
    record = ProbeRecord(None, dt=0.001)
    chunk = np.ones((2, 10, 3))
    record.expect(100)
    record.append(chunk, 1, 10)
    buffer = record._buffer
    for i in range(1, 10):
        record.append(chunk, 10 * i + 1, 10)
    assert record._buffer is buffer and len(record) == 100
    record.expect(10**12)  # which does not fit into memory, and may be ended by Ctrl-C
    record.append(chunk, 101, 10)
    assert record._buffer.nbytes <= EXPECTED_BYTES and len(record) == 110
    assert np.all(record.values() == 1)
