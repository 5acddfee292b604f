"""Random networks give what nengo.Simulator gives."""

import numpy as np
import pytest
from hypothesis import given, settings

from oracle import assert_matches_nengo, draws_for_each_item, run_reference
from random_comparison import compare
from random_networks import networks, random_network, time_step

BLOCK = 10


@pytest.mark.parametrize("start", range(0, 200, BLOCK))
def test_random_networks(start):
    failures = {}
    for seed in range(start, start + BLOCK):
        try:
            compare(seed)
        except Exception as error:  # the other seeds of the block are worth knowing, too
            failures[seed] = error
    if failures:
        raise AssertionError(
            "\n\n".join(f"seed {seed}: {error}" for seed, error in failures.items())
        ) from next(iter(failures.values()))


@settings(max_examples=10)
@given(make=networks())
def test_simplest_difference(make):
    assert_matches_nengo(make, n_steps=20)


# -- the generator itself --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_networks_follow_from_their_seed(seed):
    first, second = (
        run_reference(random_network(seed), n_steps=10, dt=time_step(seed)) for _ in range(2)
    )
    for one, other in zip(first.data, second.data, strict=True):
        np.testing.assert_array_equal(one, other)


def test_probes_show_something():
    recordings = [run_reference(random_network(seed), n_steps=30).data for seed in range(60)]
    data = [values for recording in recordings for values in recording]
    assert all(np.all(np.isfinite(values)) for values in data)
    assert np.mean([np.any(values != 0) for values in data]) > 0.8
    assert np.mean([np.any(values != values[:1]) for values in data]) > 0.6


def test_random_and_deterministic_networks_occur():
    random = [draws_for_each_item(random_network(seed)) for seed in range(40)]
    assert 0.2 < np.mean(random) < 0.8


@settings(max_examples=10)
@given(make=networks())
def test_recipes_repeat(make):
    first, second = (run_reference(make(), n_steps=5) for _ in range(2))
    for one, other in zip(first.data, second.data, strict=True):
        np.testing.assert_array_equal(one, other)
