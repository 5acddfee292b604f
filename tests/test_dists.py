"""Initial weight distributions."""

import pickle

import keras
import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.dists import Glorot, He, TruncatedNormal, VarianceScaling

RNG = np.random.RandomState(0)


def test_truncated_normal():
    rng = np.random.RandomState(0)
    samples = TruncatedNormal(mean=1, stddev=0.5).sample(20000, rng=rng)
    assert np.max(np.abs(samples - 1)) <= 1
    # keras's truncated normal is cut at two standard deviations too
    theirs = np.asarray(keras.initializers.TruncatedNormal(1, 0.5, seed=0)((20000,)))
    assert np.mean(samples) == pytest.approx(np.mean(theirs), abs=0.02)
    assert np.std(samples) == pytest.approx(np.std(theirs), rel=0.02)
    assert np.max(np.abs(TruncatedNormal(limit=0.1).sample(1000, 3, rng=rng))) <= 0.1
    assert TruncatedNormal().sample(5, 3, rng=rng).shape == (5, 3)
    np.testing.assert_array_equal(TruncatedNormal(mean=2, stddev=0).sample(3), [2, 2, 2])


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
def test_variance_is_that_of_keras(mode, distribution):
    n_in, n_out = 50, 200
    samples = VarianceScaling(2.0, mode, distribution).sample(n_out, n_in, rng=RNG)
    name = {"normal": "truncated_normal"}.get(distribution, distribution)
    initializer = keras.initializers.VarianceScaling(2.0, mode, name, seed=0)
    theirs = np.asarray(initializer((n_in, n_out)))
    assert samples.shape == (n_out, n_in)
    assert np.std(samples) == pytest.approx(np.std(theirs), rel=0.05)
    assert np.max(np.abs(samples)) == pytest.approx(np.max(np.abs(theirs)), rel=0.05)


def test_glorot_and_he():
    for ours, theirs in (
        (Glorot(), keras.initializers.GlorotUniform(seed=0)),
        (Glorot(distribution="normal"), keras.initializers.GlorotNormal(seed=0)),
        (He(scale=2), keras.initializers.HeNormal(seed=0)),
        (He(scale=2, distribution="uniform"), keras.initializers.HeUniform(seed=0)),
    ):
        expected = np.std(np.asarray(theirs((50, 200))))
        assert np.std(ours.sample(200, 50, rng=RNG)) == pytest.approx(expected, rel=0.05)


def test_as_transforms():
    with nengo.Network(seed=0) as net:
        a, b = nengo.Node(np.zeros(64)), nengo.Node(size_in=100)
        dense = nengo.Connection(a, b, transform=Glorot(), synapse=None)
        image = nengo.Convolution(4, (8, 8, 1), init=He(distribution="uniform"))
        conv = nengo.Connection(a, nengo.Node(size_in=image.size_out), transform=image)
    with nengo.Simulator(net, progress_bar=False) as sim:
        weights = sim.data[dense].weights
        assert weights.shape == (100, 64)
        assert np.max(np.abs(weights)) <= np.sqrt(6 / 164)
        assert sim.data[conv].weights.shape == (3, 3, 1, 4)
    np.testing.assert_array_equal(
        Glorot().sample(3, 2, rng=np.random.RandomState(1)),
        Glorot().sample(3, 2, rng=np.random.RandomState(1)),
    )


@pytest.mark.parametrize(
    "dist",
    [TruncatedNormal(1, 2, 3), VarianceScaling(2, "fan_in", "normal"), Glorot(3), He(2)],
    ids=repr,
)
def test_values(dist):
    """They are frozen and compare by value, as Nengo's own."""
    again = pickle.loads(pickle.dumps(dist))
    assert again == dist and hash(again) == hash(dist)
    assert eval(repr(dist), dict(globals())) == dist
    assert dist != type(dist)()
    with pytest.raises(ValidationError):
        dist.scale = dist.mean = 3


def test_errors():
    for make in (
        lambda: TruncatedNormal(stddev=-1),
        lambda: TruncatedNormal(limit=-1),
        lambda: VarianceScaling(mode="fan"),
        lambda: VarianceScaling(distribution="cauchy"),
        lambda: Glorot().sample(-1, 2),
    ):
        with pytest.raises(ValidationError):
            make()
