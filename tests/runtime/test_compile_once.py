"""Runs of any length use one compiled function."""

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
        traces, compiled = sim._engine.n_traces, functions()
        assert sum(compiled) == len(compiled) == 1
        for _ in range(99):
            sim.run(0.1)
        for _ in range(20):
            sim.run(0.05)
        for _ in range(500):
            sim.step()
        sim.run_steps(1234)
        sim.predict(n_steps=17)
        sim.reset(seed=3)
        sim.run_steps(3)
        assert sim._engine.n_traces == traces
        assert functions() == compiled


def test_data_is_compiled_once_more(functions):
    """A Node that gives the same in each step is not read step by step, unless it is given data."""
    net, node, _ = small(stimulus=[0.5])
    with nengo_dl.Simulator(net, unroll_simulation=3, minibatch_size=2) as sim:
        sim.run_steps(5)
        constant = functions()
        for n_steps in (1, 7, 1001):
            sim.run_steps(n_steps, data={node: [[[0.1]] * n_steps] * 2})
        with_data = functions()
        assert len(with_data) == len(constant) + 1
        sim.run_steps(5)
        sim.run_steps(8, data={node: [[[0.1]] * 8] * 2})
        assert functions() == with_data
        assert set(with_data) == {1}
