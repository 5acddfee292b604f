"""Points that are simulated side by side give what they give alone."""

import nengo
import numpy as np
import pytest

import nengo_dl
from nengo_dl import tuning
from nengo_dl.runtime.backends.shared_functions import chunk_functions
from nengo_dl.sweeps import members
from sweeps.networks import make, small


def alone(network, n_steps, data=None):
    """What Nengo's simulator records, by label."""
    for node in network.all_nodes:
        if data is not None and node.label in data:
            values = data[node.label]
            node.output = lambda t, values=values: values[int(round(t / 0.001)) - 1]
    with nengo.Simulator(network, progress_bar=False) as sim:
        sim.run_steps(n_steps)
        return {probe.label: sim.data[probe] for probe in network.all_probes}


@pytest.fixture
def no_sizes(monkeypatch):
    """No group is padded to the size of an earlier one."""
    monkeypatch.setattr(members, "_compiled_for", type(members._compiled_for)(set))


@pytest.mark.core
def test_members_are_as_alone(no_sizes):
    points = [
        {"seed": 0},
        {"seed": 1, "tau": 0.01},
        {"seed": 2, "n_neurons": 15},
        {"seed": 1, "tau": 0.1},
    ]
    results = nengo_dl.sweep(make, points).run(0.06)
    assert not results.errors
    assert sorted(map(len, members._compiled_for.values())) == [1, 1]  # two structures ...
    assert sorted(map(max, members._compiled_for.values())) == [1, 3]  # ... and who is in them
    for number, parameters in enumerate(points):
        expected = alone(make(**parameters), 60)
        found = results.point(number)
        assert found.keys() == expected.keys()
        for label, values in found.items():
            np.testing.assert_allclose(values, expected[label], rtol=0, atol=1e-9)
    decoded = results["decoded"]
    assert decoded.shape == (4, 60, 1)
    assert np.std(decoded[:, -1], axis=0) > 0.01  # each is its own


@pytest.mark.core
def test_groups_share_a_function(no_sizes, nothing_compiled, monkeypatch):
    monkeypatch.setattr(tuning, "SWEEP_GROUP_POINTS", 2)
    sweep = nengo_dl.sweep(small, seed=range(5))
    results = sweep.run(0.04)
    assert [*members._compiled_for.values()] == [{2}]  # the last group, of one, is padded
    assert len(chunk_functions) == 1
    monkeypatch.setattr(tuning, "SWEEP_GROUP_NUMBERS", 1)
    one_by_one = sweep.run(0.04)
    np.testing.assert_allclose(one_by_one["decoded"], results["decoded"], rtol=0, atol=1e-6)
    assert np.ptp(results["decoded"][:, -1]) > 1e-3


def test_groups_that_record_much_are_small(no_sizes, monkeypatch):
    monkeypatch.setattr(tuning, "SWEEP_RECORDED_NUMBERS", 45)
    nengo_dl.sweep(small, seed=range(4)).run(0.02)
    assert [*members._compiled_for.values()] == [{2}]


def test_data():
    shared = np.linspace(0, 1, 20)[:, None]
    own = np.stack([shared, -shared])
    sweep = nengo_dl.sweep(small, seed=[0, 1])
    expected = [
        [alone(small(seed), 20, {"stim": rows})["decoded"] for seed, rows in enumerate(values)]
        for values in ((shared, shared), own)
    ]
    for data, values in zip(
        ({"stim": shared}, {"stim": own}, lambda seed: {"stim": own[seed]}),
        (expected[0], expected[1], expected[1]),
        strict=True,
    ):
        found = sweep.run(0.02, data=data)["decoded"]
        np.testing.assert_allclose(found, values, rtol=0, atol=1e-6)


def test_networks_without_seed_differ():
    decoded = nengo_dl.sweep(lambda number: small(None), number=range(2)).run(0.02)["decoded"]
    assert np.any(decoded[0] != decoded[1])
