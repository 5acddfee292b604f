"""Runs of any length use one compiled function; short ones one of a few others."""

import pytest

import nengo_dl
from nengo_dl.runtime import backends
from runtime.networks import small, tutorial


@pytest.fixture
def functions(monkeypatch, nothing_compiled):
    """How often each of the functions was traced that the backend compiles."""
    traces = []
    if backends.active().name == "jax":
        import jax as library

        name = "jit"
    else:
        import tensorflow as library

        name = "function"
    compiler = getattr(library, name)

    def recorded(function, **kwargs):
        number = len(traces)
        traces.append(0)

        def counted(*arguments):
            traces[number] += 1
            return function(*arguments)

        return compiler(counted, **kwargs)

    monkeypatch.setattr(library, name, recorded)
    return lambda: list(traces)


@pytest.mark.core
def test_runs_of_any_length(functions):
    model = tutorial()
    with nengo_dl.Simulator(model.net) as sim:
        sim.run(0.1)
        traces, compiled = sim._engine.chunks.n_traces, functions()
        assert sum(compiled) == len(compiled) == 1
        for _ in range(99):
            sim.run(0.1)
        for _ in range(20):
            sim.run(0.05)
        sim.run_steps(1234)
        sim.predict(n_steps=170)
        sim.reset(seed=3)
        sim.run_steps(33)
        assert sim._engine.chunks.n_traces == traces
        assert functions() == compiled
        for _ in range(500):
            sim.step()
        for n_steps in (3, 4, 3):
            sim.run_steps(n_steps)
        sim.predict(n_steps=1)
        assert sim._engine.chunks.n_traces == traces + 2
        assert set(functions()) == {1}


def test_data_is_compiled_once_more(functions):
    """A Node that gives the same in each step is not read step by step, unless it is given data."""
    net, node, _ = small(stimulus=[0.5])
    with nengo_dl.Simulator(net, unroll_simulation=3, minibatch_size=2) as sim:
        sim.run_steps(50)
        constant = functions()
        for n_steps in (40, 70, 1001):
            sim.run_steps(n_steps, data={node: [[[0.1]] * n_steps] * 2})
        with_data = functions()
        assert len(with_data) == len(constant) + 1
        sim.run_steps(50)
        sim.run_steps(80, data={node: [[[0.1]] * 80] * 2})
        assert functions() == with_data
        assert set(with_data) == {1}
