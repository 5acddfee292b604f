"""Initial weights against their variances, and against those that Keras draws."""

import copy
import math
import pickle

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_dl.dists import Glorot, He, TruncatedNormal, VarianceScaling

#: standard deviation of a standard normal distribution without what is further than 2 from 0
CUT = 0.87962566103423978

DISTRIBUTIONS = [
    TruncatedNormal(),
    TruncatedNormal(mean=3, stddev=0.5, limit=0.2),
    VarianceScaling(),
    VarianceScaling(2, "fan_out", "normal"),
    Glorot(),
    Glorot(scale=3, distribution="normal"),
    He(),
    He(scale=2, distribution="uniform"),
]


def rng():
    return np.random.RandomState(0)


@pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=repr)
def test_they_are_frozen_values(dist):
    assert eval(repr(dist)) == dist
    for twin in (copy.deepcopy(dist), pickle.loads(pickle.dumps(dist))):
        assert twin == dist
        assert hash(twin) == hash(dist)
        np.testing.assert_array_equal(twin.sample(3, 4, rng=rng()), dist.sample(3, 4, rng=rng()))
    assert dist not in [other for other in DISTRIBUTIONS if other is not dist]


@pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=repr)
def test_shapes_and_generators(dist):
    assert dist.sample(5, rng=rng()).shape == (5,)
    assert dist.sample(5, 7, rng=rng()).shape == (5, 7)
    assert dist.sample(5, 1, rng=rng()).shape == (5, 1)
    assert dist.sample(3, (2, 5, 7), rng=rng()).shape == (3, 2, 5, 7)
    assert dist.sample(3, [2], rng=rng()).shape == (3, 2)
    assert dist.sample(0, 3, rng=rng()).shape == (0, 3)
    np.testing.assert_array_equal(dist.sample(9, rng=rng()), dist.sample(9, rng=rng()))
    assert not np.array_equal(dist.sample(9, rng=rng()), dist.sample(9, rng=np.random))


# -- TruncatedNormal -------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 0.01, 0.4, 0.6, 1.5, 6.0])
def test_truncated_normal_has_the_truncated_density(limit):
    mean, stddev = -2.0, 1.0
    z = (TruncatedNormal(mean, stddev, limit).sample(200, 1000, rng=rng()) - mean).ravel() / stddev
    limit = 2.0 if limit is None else limit
    assert np.max(np.abs(z)) <= limit
    assert np.max(np.abs(z)) > 0.6 * limit
    inside = math.erf(limit / math.sqrt(2))
    density = math.exp(-0.5 * limit**2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * limit * density / inside
    assert abs(np.mean(z)) < 4 * math.sqrt(variance / z.size)
    np.testing.assert_allclose(np.var(z), variance, rtol=0.015)
    np.testing.assert_allclose(
        np.mean(np.abs(z) < limit / 2), math.erf(limit / 2 / math.sqrt(2)) / inside, atol=0.005
    )


def test_truncated_normal_scales_with_its_stddev():
    small, large = TruncatedNormal(stddev=0.1), TruncatedNormal(stddev=10)
    np.testing.assert_allclose(100 * small.sample(50, rng=rng()), large.sample(50, rng=rng()))
    assert small == TruncatedNormal(stddev=0.1, limit=0.2)


@pytest.mark.filterwarnings("error")
def test_distributions_without_a_width():
    np.testing.assert_array_equal(TruncatedNormal(3, stddev=0).sample(4), 3)
    np.testing.assert_array_equal(TruncatedNormal(3, stddev=0, limit=1).sample(4), 3)
    np.testing.assert_array_equal(TruncatedNormal(3, limit=0).sample(4), 3)
    for distribution in ("uniform", "normal", "untruncated_normal"):
        np.testing.assert_array_equal(VarianceScaling(0, "fan_in", distribution).sample(2, 3), 0)


@pytest.mark.parametrize("arguments", [{"stddev": -1}, {"limit": -1}])
def test_truncated_normal_needs_widths_that_are_not_negative(arguments):
    with pytest.raises(ValidationError, match=next(iter(arguments))):
        TruncatedNormal(**arguments)


# -- VarianceScaling -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "distribution", ["uniform", "normal", "truncated_normal", "untruncated_normal"]
)
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 400), ("fan_out", 100), ("fan_avg", 250)])
def test_variances(mode, fan, distribution):
    values = VarianceScaling(3.0, mode, distribution).sample(100, 400, rng=rng())
    stddev = math.sqrt(3.0 / fan)
    kept = CUT if distribution == "normal" else 1
    np.testing.assert_allclose(np.std(values), kept * stddev, rtol=0.02)
    assert abs(np.mean(values)) < 4 * stddev / math.sqrt(values.size)
    largest = np.max(np.abs(values)) / stddev
    if distribution == "uniform":
        np.testing.assert_allclose(largest, math.sqrt(3), rtol=1e-3)
    elif distribution == "untruncated_normal":
        assert largest > 3
    else:
        np.testing.assert_allclose(largest, 2 * kept / CUT, rtol=1e-2)


@pytest.mark.parametrize(
    ("dist", "name", "arguments"),
    [
        (Glorot(), "GlorotUniform", {}),
        (Glorot(distribution="truncated_normal"), "GlorotNormal", {}),
        (He(scale=math.sqrt(2), distribution="truncated_normal"), "HeNormal", {}),
        (He(scale=math.sqrt(2), distribution="uniform"), "HeUniform", {}),
        (He(distribution="truncated_normal"), "LecunNormal", {}),
        (VarianceScaling(0.5, "fan_out"), "VarianceScaling", {"mode": "fan_out", "scale": 0.5}),
    ],
)
@pytest.mark.parametrize("shape", [(120, 400), (3, 5, 40, 80)])
def test_keras_draws_from_the_same_distribution(dist, name, arguments, shape):
    import keras

    if arguments:
        arguments = {**arguments, "distribution": dist.distribution}
    initializer = getattr(keras.initializers, name)(seed=0, **arguments)
    expected = np.sort(keras.ops.convert_to_numpy(initializer(shape)).ravel())
    if len(shape) == 2:  # Keras has matrices of (inputs, outputs), Nengo of (outputs, inputs)
        values = dist.sample(shape[1], shape[0], rng=rng())
    else:
        values = dist.sample(shape[0], shape[1:], rng=rng())
    # the largest difference between the two distribution functions, as in Kolmogorov and Smirnov
    grid = np.linspace(expected[0], expected[-1], 200)
    ours = np.searchsorted(np.sort(values.ravel()), grid) / values.size
    theirs = np.searchsorted(expected, grid) / expected.size
    assert np.max(np.abs(ours - theirs)) < 1.63 * math.sqrt(2 / values.size)


def test_glorot_and_he_are_variance_scalings():
    for short, long in [
        (Glorot(2, "normal"), VarianceScaling(2, "fan_avg", "normal")),
        (He(3, "uniform"), VarianceScaling(9, "fan_in", "uniform")),
    ]:
        np.testing.assert_array_equal(short.sample(4, 5, rng=rng()), long.sample(4, 5, rng=rng()))


def test_a_vector_counts_as_outputs_of_one_input():
    for mode, fan in (("fan_in", 1), ("fan_out", 10_000), ("fan_avg", 5000.5)):
        values = VarianceScaling(mode=mode).sample(10_000, rng=rng())
        np.testing.assert_allclose(np.max(np.abs(values)), math.sqrt(3 / fan), rtol=1e-2)


@pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=repr)
def test_without_a_generator_numpy_draws(dist):
    np.random.seed(0)
    drawn = dist.sample(3, 4, rng=None)
    np.testing.assert_array_equal(drawn, dist.sample(3, 4, rng=rng()))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"scale": -1}, "scale"),
        ({"mode": "fan"}, "mode"),
        ({"distribution": "gaussian"}, "distribution"),
    ],
)
def test_arguments_that_are_not_allowed(arguments, name):
    with pytest.raises(ValidationError, match=name):
        VarianceScaling(**arguments)


# -- in networks -----------------------------------------------------------------------------------


def test_transforms_of_neuron_connections():
    """Nengo asks for (outputs, inputs); He counts the inputs."""
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(300, 1), nengo.Ensemble(40, 1)
        conns = [
            nengo.Connection(a.neurons, b.neurons, transform=dist)
            for dist in (Glorot(), He(distribution="uniform"))
        ]
        encoded = nengo.Connection(a, b.neurons, transform=He(distribution="uniform"))
    with nengo.Simulator(net, progress_bar=False) as sim:
        for conn, fan in zip(conns, [170, 300], strict=True):
            weights = sim.data[conn].weights
            assert weights.shape == (40, 300)
            np.testing.assert_allclose(np.max(np.abs(weights)), math.sqrt(3 / fan), rtol=1e-2)
        assert sim.data[encoded].weights.shape == (40, 300)
        sim.run_steps(2)


def test_encoders():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(50, 3, encoders=TruncatedNormal(stddev=0.1))
    with nengo.Simulator(net, progress_bar=False) as sim:
        np.testing.assert_allclose(np.linalg.norm(sim.data[ens].encoders, axis=1), 1)


def test_convolutions():
    shape = (3, 3, 8, 16)
    kernel = He(scale=math.sqrt(2)).sample(shape[0], shape[1:], rng=rng())
    np.testing.assert_allclose(np.std(kernel), CUT * math.sqrt(2 / (3 * 3 * 8)), rtol=0.05)
    for init in (kernel, Glorot()):
        transform = nengo.Convolution(16, (6, 6, 8), kernel_size=(3, 3), init=init)
        assert transform.sample(rng=rng()).shape == shape
