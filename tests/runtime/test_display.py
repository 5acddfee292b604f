"""What a simulator shows of itself, and of a run while it lasts."""

import nengo
import pytest
from nengo.utils.progress import ProgressBar

import nengo_dl
from nengo_dl.simulator.progress import RunProgress


def python_twice(t, x):
    return 2 * x


def network(function=python_twice):
    with nengo.Network(seed=0, label="twice") as net:
        a = nengo.Ensemble(5, 1)
        b = nengo.Node(function, size_in=1, label="slow one")
        nengo.Connection(a, b)
        nengo.Probe(b)
    return net


class Bar(ProgressBar):
    """Keeps what it is told."""

    def __init__(self):
        self.names, self.etas = [], []

    def update(self, progress):
        self.names.append(progress.name_during)
        if isinstance(progress, RunProgress):
            self.etas.append((progress.n_steps, progress.eta()))

    def close(self):
        pass


@pytest.fixture(scope="module")
def sim_and_bar():
    with nengo_dl.Simulator(network(), minibatch_size=2, progress_bar=False) as sim:
        bar = Bar()
        sim.run_steps(50, progress_bar=bar)
        again = Bar()
        sim.run_steps(50, progress_bar=again)
    return sim, bar, again


def test_repr_says_what_it_is(sim_and_bar):
    sim, _, _ = sim_and_bar
    text = repr(sim)
    assert text.startswith('<nengo_dl.Simulator of <Network "twice">: 5 neurons in 1 ensemble,')
    assert "minibatch of 2 on " in text and text.endswith(", closed>")


def test_nodes_that_call_python_are_named(sim_and_bar):
    sim, _, _ = sim_and_bar
    (node,) = sim.model.toplevel.nodes
    lines = str(sim.program).splitlines()
    (line,) = (line for line in lines if line.startswith("Python is called"))
    assert line.endswith(f": {node}") and "slow one" in line
    assert "slow one" in sim._repr_html_()


def test_nothing_is_said_where_no_python_is_called():
    with nengo_dl.Simulator(network(None), progress_bar=False) as sim:
        assert "Python" not in str(sim.program) + sim._repr_html_()


def test_the_bar_shows_what_compiles_first(sim_and_bar):
    _, bar, again = sim_and_bar
    assert bar.names[0] == "Compiling" and bar.names[-1] == "Simulating"
    assert set(again.names) == {"Simulating"}


def test_the_time_that_remains_is_that_of_the_chunks_after_the_first(monkeypatch):
    progress = RunProgress(100)
    now = [0.0]
    monkeypatch.setattr(progress, "elapsed_seconds", lambda: now[0])
    assert progress.eta() == -1
    now[0] = 60.0  # compiles
    progress.step(20)
    assert progress.eta() == -1
    now[0] = 62.0
    progress.step(40)
    assert progress.eta() == pytest.approx(2.0)  # 40 more
