"""Nengo's builder, sped up: it builds the same."""

import threading

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model
from nengo.builder.transforms import build_no_transform
from nengo.cache import DecoderCache
from nengo.dists import QuasirandomSequence, ScatteredHypersphere, Uniform

from nengo_dl.compiler.building.quick_build import EXACT, RowShuffler, quick_build
from nengo_dl.compiler.frontend import build_model
from tests.compiler.building.comparison import assert_built_alike

SAMPLE, SPHERE = QuasirandomSequence.sample, ScatteredHypersphere.sample


class Counting(nengo.solvers.LstsqL2):
    """Counts how often decoders were solved for."""

    solved = 0

    def __call__(self, *args, **kwargs):
        Counting.solved += 1
        return super().__call__(*args, **kwargs)


def network():
    """Decoders of all kinds: of functions, of points, solved for with and without encoders."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        line = nengo.Ensemble(40, 1)
        surface = nengo.Ensemble(30, 1, eval_points=ScatteredHypersphere(surface=True))
        nengo.Connection(line, surface, function=np.square)
        nengo.Connection(surface, line.neurons, transform=np.ones((40, 1)))
        a = nengo.Ensemble(20, 3)
        b = nengo.Ensemble(30, 1, eval_points=ScatteredHypersphere(method="tfww"))
        c = nengo.Ensemble(10, 2, n_eval_points=50, eval_points=QuasirandomSequence())
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        nengo.Connection(a, c, function=lambda x: [x[0] * x[1], x[2]])
        nengo.Connection(a[:2], b, function=lambda x: np.sin(x[0]) + x[1])
        nengo.Connection(a[1:], c, function=np.square)
        nengo.Connection(c, c, function=np.absolute, eval_points=rng.uniform(-1, 1, (50, 2)))
        nengo.Connection(b, b, function=np.square, solver=nengo.solvers.LstsqL2(weights=True))
        nengo.Connection(a, b, function=np.prod, solver=nengo.solvers.LstsqL2(weights=True))
        nengo.Connection(b, c, transform=[[1], [2]], eval_points=QuasirandomSequence())
        nengo.Connection(b, c[1], solver=nengo.solvers.LstsqL2nz(reg=0.2))
        nengo.Connection(c, b, eval_points=rng.uniform(-1, 1, (50, 2)), function=np.ones((50, 1)))
        nengo.Connection(c, direct, function=lambda x: (x[1], x[0]), synapse=None)
        nengo.Connection(direct, a[:2], function=lambda x: x**2)
        nengo.Connection(c, a[1:], solver=nengo.solvers.NoSolver(np.ones((10, 2))))
        nengo.Probe(a)
    return net


def assert_same(model: Model, expected: Model):
    """The parameters and operators of two models of one network."""
    assert [str(op) for op in model.operators] == [str(op) for op in expected.operators]
    # in their order, because connections to probes are others each time
    assert [str(obj) for obj in model.params] == [str(obj) for obj in expected.params]
    for built, same in zip(model.params.values(), expected.params.values(), strict=True):
        for name in set(getattr(built, "_fields", ())) - {"transform", "solver_info"}:
            np.testing.assert_array_equal(getattr(built, name), getattr(same, name), name)


@pytest.mark.core
def test_builds_what_nengo_builds():
    net = network()
    expected = Model(dt=0.001)
    expected.build(net)
    model = build_model(net, 0.001, None)
    assert_same(model, expected)
    assert type(model.builder) is Builder and "add_op" not in vars(model)
    assert QuasirandomSequence.sample is SAMPLE


@pytest.mark.core
@pytest.mark.parametrize("order", [(False, True), (True, False)])
def test_cache_is_shared_with_nengo(order, tmp_path):
    """Decoders that nengo.Simulator put into the cache are found, and the other way round."""
    Counting.solved = 0
    nengo.cache.Fingerprint.whitelist(Counting)
    try:
        with nengo.Network(seed=0) as net:
            a = nengo.Ensemble(20, 1)
            nengo.Connection(a, a, function=np.square, solver=Counting())
        for quick in order:
            model = Model(dt=0.001, decoder_cache=DecoderCache(cache_dir=str(tmp_path)))
            if quick:
                build_model(net, 0.001, model)
            else:
                model.build(net)
            assert Counting.solved == 1
    finally:
        nengo.cache.Fingerprint.WHITELIST.discard(Counting)


@pytest.mark.core
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (750, 1), (401, 2), (0, 2)])
def test_shuffles_as_numpy(shape):
    values = np.random.RandomState(1).uniform(size=shape)
    expected, rng, same = values.copy(), np.random.RandomState(2), np.random.RandomState(2)
    rng.shuffle(expected)
    RowShuffler(same).shuffle(values)
    np.testing.assert_array_equal(values, expected)
    assert rng.uniform() == same.uniform()  # as many random numbers were drawn


@pytest.mark.core
@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize(
    "points",
    [
        ScatteredHypersphere(min_magnitude=0.3),
        ScatteredHypersphere(base=Uniform(0, 1)),
        ScatteredHypersphere(surface=True, method="tfww"),
        QuasirandomSequence(),
    ],
    ids=str,
)
def test_points_are_those_of_nengo(points, d):
    rng, same = np.random.RandomState(2), np.random.RandomState(2)
    expected = points.sample(101, d, rng=rng)
    with quick_build(Model()):
        np.testing.assert_array_equal(points.sample(101, d, rng=same), expected)
    assert rng.uniform() == same.uniform()
    assert ScatteredHypersphere.sample is SPHERE


@pytest.mark.core
def test_points_of_ones_own_get_a_generator_of_numpy():
    class Own(nengo.dists.Distribution):
        def sample(self, n, d=1, rng=np.random):
            assert type(rng) is np.random.RandomState
            return rng.uniform(size=(n, d))

    with quick_build(Model()):
        ScatteredHypersphere(base=Own()).sample(10, 1, rng=np.random.RandomState(0))


@pytest.mark.core
@pytest.mark.parametrize("function", sorted(EXACT, key=str), ids=str)
def test_of_many_points_as_of_each(function):
    """Known functions give the same for all points at once, to the last bit."""
    values = np.random.RandomState(0).normal(size=(1001, 3)) ** 5
    values = np.abs(values) if function is np.sqrt else values
    for columns in (slice(None), slice(0, 1), slice(None, None, -2)):
        points = values[:, columns]
        np.testing.assert_array_equal(function(points), [function(row) for row in points])


@pytest.mark.core
def test_a_transform_of_ones_own_is_built_by_its_builder(monkeypatch):
    built = []

    def own(model, transform, *args, **kwargs):
        built.append(transform)
        return build_no_transform(model, transform, *args, **kwargs)

    monkeypatch.setitem(Builder.builders, nengo.transforms.NoTransform, own)
    with nengo.Network(seed=0) as net:
        nengo.Connection(nengo.Ensemble(5, 1), nengo.Ensemble(5, 1))
    build_model(net, 0.001, None)
    assert built


@pytest.mark.core
def test_other_generators_draw_what_they_draw():
    expected = SAMPLE(QuasirandomSequence(), 50, 2, rng=np.random.default_rng(0))
    with quick_build(Model()):
        points = QuasirandomSequence().sample(50, 2, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(points, expected)


@pytest.mark.core
def test_builds_side_by_side():
    """The one that ends first does not take the speed from the other, nor leave it behind."""
    first, second = quick_build(Model()), quick_build(Model())
    first.__enter__()
    thread = threading.Thread(target=second.__enter__)
    thread.start()
    thread.join()
    first.__exit__(None, None, None)
    assert QuasirandomSequence.sample is not SAMPLE
    second.__exit__(None, None, None)
    assert QuasirandomSequence.sample is SAMPLE


@pytest.mark.core
def test_an_error_names_the_connection():
    calls = []

    def nothing_later(x):
        calls.append(x)
        return x if len(calls) < 3 else None

    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(20, 1)
        nengo.Connection(a, nengo.Node(size_in=1), label="fails", function=nothing_later)
    with pytest.raises(nengo.exceptions.BuildError, match="fails"):
        build_model(net, 0.001, None)
    assert QuasirandomSequence.sample is SAMPLE


@pytest.mark.core
def test_a_builder_of_ones_own_stays():
    class Own(Builder):
        pass

    model = Model(builder=Own)
    with quick_build(model):
        assert model.builder is Own


@pytest.mark.core
def test_a_model_of_ones_own_sees_every_operator():
    class Own(Model):
        def add_op(self, op):
            seen.append(op)
            super().add_op(op)

    seen = []
    model = build_model(network(), 0.001, Own())
    assert seen == model.operators


class Delegating(nengo.solvers.Solver):
    """Has what a known solver has, and solves otherwise."""

    reg, solver = 0.01, nengo.solvers.LstsqL2().solver

    def __call__(self, A, Y, rng=None, E=None):  # noqa: N803  (they are Nengo's)
        return nengo.solvers.LstsqL2(reg=0.3)(A, Y, rng=rng)


@pytest.mark.core
def test_a_builder_may_pass_another_solver_on(monkeypatch):
    """Nengo then solves with that of the connection."""

    def build(model, solver, conn, rng):
        return model.build(nengo.solvers.LstsqL2(), conn, rng)

    monkeypatch.setitem(Builder.builders, Delegating, build)
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(ensemble, nengo.Node(size_in=1), solver=Delegating(weights=False))
    assert_built_alike(net)
