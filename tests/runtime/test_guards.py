"""Ctrl-C during a run: what was recorded is kept, and the simulation can go on."""

import os
import signal
import threading

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime.simulation.guards import DeferredInterrupt, explain_memory
from runtime.networks import tutorial

ENDLESS = 10**8
pytestmark = pytest.mark.usefixtures("interruptible")


def interrupt_after(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()


def interrupted(sim, seconds=0.3):
    """Runs until Ctrl-C; gives the number of steps that were run."""
    before = sim.n_steps
    interrupt_after(seconds)
    with pytest.raises(KeyboardInterrupt):
        sim.run_steps(ENDLESS)
    assert before < sim.n_steps < ENDLESS
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return sim.n_steps


@pytest.mark.core
def test_what_was_recorded_is_kept_and_the_run_goes_on():
    model = tutorial()
    with model.net:
        noise = nengo.Node(nengo.processes.WhiteNoise(default_size_out=1))
        nengo.Connection(noise, model.square)
        nengo.Probe(noise)
    with nengo_dl.Simulator(model.net) as sim:
        sim.run_steps(10)
        n_steps = interrupted(sim)
        first = {probe: sim.data[probe].copy() for probe in model.net.probes}
        for probe in (model.in_probe, model.out_probe, model.spikes):
            assert len(first[probe]) == n_steps
        assert len(first[model.slow_probe]) == n_steps // 5
        interrupted(sim)
        sim.run_steps(50)
        total = sim.n_steps
        recorded = {probe: sim.data[probe].copy() for probe in model.net.probes}
        sim.reset()
        sim.run_steps(total)
        for probe in model.net.probes:
            np.testing.assert_array_equal(sim.data[probe], recorded[probe])
            np.testing.assert_array_equal(recorded[probe][: len(first[probe])], first[probe])


@pytest.mark.parametrize("has_input", [True, False], ids=["in the loop", "ahead"])
def test_python_functions_stay_in_step(has_input):
    """A chunk of steps is completed before the run ends, so state in Python fits that of the
    network.
    """
    calls = []

    def function(t, *x):
        calls.append(t)
        return len(calls)

    with nengo.Network() as net:
        node = nengo.Node(function, size_in=int(has_input), size_out=1)
        probe = nengo.Probe(node)
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(5)
        n_steps = interrupted(sim)
        assert len(calls) == n_steps
        sim.run_steps(7)
        np.testing.assert_array_equal(sim.data[probe].ravel(), np.arange(1, n_steps + 8))


def test_a_second_interrupt_does_not_wait():
    received = []

    def run():
        with DeferredInterrupt() as interrupt:
            for _ in range(2):
                received.append("sent")
                signal.raise_signal(signal.SIGINT)
            interrupt.check()

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(received) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_at_the_end_is_not_lost():
    def run():
        with DeferredInterrupt():
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run()


def test_an_error_comes_before_an_interrupt():
    def run():
        with DeferredInterrupt():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run()


def test_interrupt_between_two_probes(monkeypatch):
    """Either all probes hold a chunk or none does."""
    model = tutorial()
    with nengo_dl.Simulator(model.net) as sim:
        sim.run_steps(10)
        record = sim.records[model.slow_probe]
        append = record.append

        def interrupt(*args):
            append(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(record, "append", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(10)
        monkeypatch.undo()
        assert sim.n_steps == 10
        assert [len(sim.data[p]) for p in model.net.probes] == [10, 10, 2, 10]
        sim.run_steps(10)
        assert [len(sim.data[p]) for p in model.net.probes] == [20, 20, 4, 20]


def test_runs_in_other_threads():
    """Python handles signals in its main thread only."""
    model = tutorial()
    with nengo_dl.Simulator(model.net) as sim:
        thread = threading.Thread(target=sim.run_steps, args=(5,))
        thread.start()
        thread.join()
        assert sim.n_steps == 5


OUT_OF_MEMORY = [
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nand more"),
    RuntimeError("Keras says:\n\nOOM when allocating tensor with shape[9]\nand more"),
]


@pytest.mark.core
@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_a_device_without_memory(error, monkeypatch):
    """Says what to do, of a run and of training."""

    def fails(*args, **kwargs):
        raise error

    model = tutorial()
    with nengo_dl.Simulator(model.net, minibatch_size=4, progress_bar=False) as sim:
        monkeypatch.setattr(type(sim.keras_model), "arguments", fails)
        with pytest.raises(SimulationError, match="minibatch_size of less than 4") as raised:
            sim.run_steps(tuning.SHORT_RUN_STEPS + 1)
        assert "checkpoint_segments" not in str(raised.value)
        assert "allocat" in str(raised.value) and "more" not in str(raised.value)
        monkeypatch.undo()
        sim.compile("sgd", loss={model.out_probe: "mse"})
        monkeypatch.setattr(type(sim.keras_model), "fit", fails)
        with pytest.raises(SimulationError, match="less than 4, .*checkpoint_segments=True"):
            sim.fit(n_steps=5, y={model.out_probe: np.zeros((4, 5, 2))})


def test_other_errors_are_left_alone():
    explain_memory(RuntimeError("INVALID_ARGUMENT: no"), 1)
    with pytest.raises(SimulationError, match="a smaller network"):
        explain_memory(OUT_OF_MEMORY[0], 1)
