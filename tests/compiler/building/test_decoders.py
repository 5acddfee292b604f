"""Decoders that are solved for many connections at once are those of Nengo's builder."""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder, Model
from nengo.cache import DecoderCache
from nengo.dists import Uniform
from nengo.solvers import (
    Lstsq,
    LstsqDrop,
    LstsqL1,
    LstsqL2,
    LstsqL2nz,
    LstsqMultNoise,
    LstsqNoise,
    Nnls,
    NnlsL2,
    NoSolver,
)
from nengo.utils.least_squares_solvers import SVD, Cholesky

from nengo_dl.compiler.building import decoders, systems
from nengo_dl.compiler.frontend import build_model
from random_networks import random_network
from tests.compiler.building.comparison import assert_built_alike


class Own(LstsqL2):
    """A solver of a user's."""

    solved = 0

    def __call__(self, A, Y, rng=np.random):
        Own.solved += 1
        return super().__call__(A, Y, rng=rng)


SOLVERS = {
    "l2": LstsqL2(reg=0.05),
    "l2-hard": LstsqL2(reg=1e-6),
    "l2-svd": LstsqL2(solver=SVD()),
    "l2-transposed": LstsqL2(solver=Cholesky(transpose=True)),
    "l2nz": LstsqL2nz(),
    "lstsq": Lstsq(),
    "l1": LstsqL1(max_iter=10),
    "drop": LstsqDrop(),
    "drop-nz": LstsqDrop(solver2=LstsqL2nz()),
    "noise": LstsqNoise(),
    "multiplied-noise": LstsqMultNoise(),
    "nnls": Nnls(),
    "nnls-l2": NnlsL2(),
    "none": NoSolver(np.ones((30, 1))),
    "own": Own(),
}


@pytest.mark.core
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
@pytest.mark.filterwarnings("ignore:Objective did not converge")
def test_solvers(solver, weights):
    if weights and type(solver) is not NoSolver:
        solver = type(solver)(weights=True)
    elif weights:
        solver = NoSolver(solver.values, weights=True)
    with nengo.Network(seed=1) as net:
        a, b = nengo.Ensemble(30, 1), nengo.Ensemble(20, 1)
        nengo.Connection(a, b, transform=[[1]], solver=solver)
        nengo.Connection(a, b, transform=[[1]], solver=solver, function=lambda x: x**2)
        if not weights:
            nengo.Probe(a, solver=solver)
    known = type(solver) in (LstsqL2, LstsqL2nz)
    assert assert_built_alike(net) == 0 or known


NEURONS = [
    nengo.LIF(tau_rc=0.05, amplitude=0.5),
    nengo.LIF(tau_ref=1e-5),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.PoissonSpiking(nengo.LIFRate(tau_rc=0.03)),
    nengo.StochasticSpiking(nengo.RectifiedLinear()),
    nengo.RegularSpiking(nengo.LIFRate()),
]


@pytest.mark.core
def test_neuron_types():
    with nengo.Network(seed=2) as net:
        net.config[nengo.Ensemble].max_rates = Uniform(0.5, 1)
        for neurons in NEURONS:
            rates = Uniform(0.3, 0.8) if isinstance(neurons, nengo.Tanh) else None
            a = nengo.Ensemble(25, 2, neuron_type=neurons, radius=2)
            if rates is not None:
                a.max_rates = rates
            elif not isinstance(neurons, nengo.Sigmoid):
                a.max_rates = Uniform(50, 100)
            else:
                a.max_rates = Uniform(250, 300)
            nengo.Connection(a, a, function=np.square)
    assert_built_alike(net)


def all_kinds():
    """Ensembles, points, functions and connections of all kinds."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=3) as net:
        a = nengo.Ensemble(20, 3, radius=1.5, seed=5)
        b = nengo.Ensemble(30, 1, n_eval_points=60, encoders=np.ones((30, 1)), radius=0.5)
        c = nengo.Ensemble(15, 2, eval_points=rng.uniform(-1, 1, (80, 2)), noise=None)
        d = nengo.Ensemble(
            40,
            2,
            n_eval_points=30,  # fewer than neurons
            encoders=rng.normal(size=(40, 2)),
            normalize_encoders=False,
            noise=nengo.processes.WhiteNoise(seed=1),
        )
        e = nengo.Ensemble(20, 1, gain=np.ones(20), bias=rng.uniform(1, 2, 20))
        nengo.Connection(a, c, transform=rng.normal(size=(2, 3)), label="labelled")
        nengo.Connection(a[[2, 0]], c, synapse=None)
        nengo.Connection(a[1:], c[[1, 0]], synapse=nengo.Alpha(0.02))
        nengo.Connection(a[-1], b, function=lambda x: x, seed=4)
        nengo.Connection(
            a, a, function=lambda x: x * [1, 2, 3], eval_points=rng.normal(size=(50, 3))
        )
        points = rng.normal(size=(50, 3))
        nengo.Connection(a, c, function=points[:, :2], eval_points=points, scale_eval_points=False)
        nengo.Connection(b, d, transform=Uniform(-1, 1), eval_points=nengo.dists.Gaussian(0, 1))
        nengo.Connection(c, d, function=lambda x: (x[1], max(x)), transform=0.5)
        nengo.Connection(c, d.neurons, transform=rng.normal(size=(40, 2)))
        nengo.Connection(c, d.neurons[3:7], transform=rng.normal(size=(4, 2)))
        nengo.Connection(
            d, d, solver=LstsqL2(weights=True), synapse=nengo.LinearFilter([1], [0.1, 1])
        )
        nengo.Connection(d.neurons, e.neurons, transform=nengo.Sparse((20, 40), indices=[[0, 1]]))
        nengo.Connection(d, nengo.Node(size_in=2), synapse=0)
        learned = nengo.Connection(d, c, learning_rule_type=nengo.PES())
        nengo.Connection(c, learned.learning_rule)
        nengo.Connection(e, b, learning_rule_type=nengo.Voja())
        array = nengo.networks.EnsembleArray(20, 4, radius=0.7)
        nengo.Connection(
            array.add_output("f", [np.square, np.sin, abs, lambda x: x + 1]), array.input
        )
        product = nengo.networks.Product(20, 3)
        nengo.Connection(product.output, array.input[1:])
        nengo.networks.AssociativeMemory(np.eye(3)).add_wta_network()
        nengo.networks.BasalGanglia(3, 20)
        for obj in (a, a[1], b, c[::-1], array.ensembles[0], d.neurons):
            nengo.Probe(obj, synapse=0.01)
    return net


@pytest.mark.core
@pytest.mark.filterwarnings("ignore:Specifying the gains and biases")
@pytest.mark.filterwarnings("ignore:Number of eval_points")
@pytest.mark.parametrize("how", ["fast", "exact", "nengo"])
def test_all_kinds(how):
    assert_built_alike(all_kinds(), how, tolerance=1e-10 if how == "fast" else 0)


@pytest.mark.core
@pytest.mark.filterwarnings("ignore:Specifying the gains and biases")
@pytest.mark.filterwarnings("ignore:Number of eval_points")
def test_in_threads(monkeypatch):
    monkeypatch.setattr(decoders, "WORTH_THREADS", 0)
    monkeypatch.setattr(decoders, "BATCH", 4)
    assert_built_alike(all_kinds(), threads=3)


@pytest.mark.core
@pytest.mark.filterwarnings("ignore:Specifying the gains and biases")
@pytest.mark.filterwarnings("ignore:Number of eval_points")
def test_blocks_of_neurons_of_one_dimension(monkeypatch):
    """Large ensembles of one dimension multiply only what is not zero."""
    found, lower_gram = [], systems.lower_gram

    def checked(a):
        result = lower_gram(a)
        rtol = 1e-5 if a.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(np.tril(result), np.tril(a.T @ a), rtol=rtol, atol=1e3 * rtol)
        found.append(a)
        return result

    monkeypatch.setattr(systems, "LARGE", 10)
    monkeypatch.setattr(systems, "BLOCK_COLUMNS", 7)
    monkeypatch.setattr(systems, "lower_gram", checked)
    with all_kinds() as net:
        silent = nengo.Ensemble(30, 1, intercepts=Uniform(0.9, 0.99), encoders=-np.ones((30, 1)))
        silent.eval_points = np.linspace(-0.92, 1, 50)[:, None]  # most neurons never fire
        nengo.Connection(silent, silent, solver=LstsqL2nz())
        nengo.Connection(nengo.Ensemble(20, 1, neuron_type=nengo.Sigmoid()), silent)
    assert_built_alike(net)
    zeros = [(a == 0).mean() for a in found]
    assert len(zeros) > 10 and min(zeros) == 0 and max(zeros) > 0.9  # both extremes


@pytest.mark.core
@pytest.mark.filterwarnings("ignore:Specifying the gains and biases")
@pytest.mark.filterwarnings("ignore:Number of eval_points")
@pytest.mark.parametrize(("most", "refines"), [(systems.MOST_CORRECTIONS, True), (1, False)])
def test_factors_in_single_precision(most, refines, monkeypatch):
    """They do for large ensembles, and where corrections do not get small, others take over."""
    found, refined = [], systems._refined

    def noted(*args):
        found.append(refined(*args))
        return found[-1]

    monkeypatch.setattr(systems, "LARGE", 10)
    monkeypatch.setattr(systems, "MOST_CORRECTIONS", most)
    monkeypatch.setattr(systems, "_refined", noted)
    with all_kinds() as net:
        ensemble = nengo.Ensemble(600, 3)
        nengo.Connection(ensemble, ensemble, function=lambda x: x**3)
        nengo.Connection(ensemble, ensemble, function=lambda x: 0 * x)
        nengo.Connection(ensemble, ensemble, solver=LstsqL2nz(reg=0.01))
    assert_built_alike(net)
    assert len(found) > 10
    assert all((x is not None) == refines for x in found)


@pytest.mark.core
def test_random_networks():
    for seed in range(12):
        assert_built_alike(random_network(seed))


@pytest.mark.core
def test_one_matrix_for_all_functions_of_an_ensemble(monkeypatch):
    """Connections, probes and learning rules of an ensemble need one factorization."""
    solved, evaluated, dposv = [], [], systems.dposv

    def counted(*args, **kwargs):
        solved.append(args)
        return dposv(*args, **kwargs)

    def square(x):
        evaluated.append(x)
        return x**2

    monkeypatch.setattr(systems, "dposv", counted)
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(20, 2), nengo.Ensemble(20, 1)
        for post in (a, nengo.Ensemble(20, 2)):
            nengo.Connection(a, post)
            nengo.Connection(a, post, function=square)
        nengo.Connection(a[1], b)
        nengo.Connection(a, a, learning_rule_type=nengo.PES())
        nengo.Connection(b, a[0], solver=LstsqL2(reg=0.2))
        nengo.Probe(a)
        nengo.Probe(b)
    evaluated.clear()
    build_model(net, 0.001, None, how="fast")
    assert len(solved) == 3  # of a, and of b with two solvers
    assert len(evaluated) < 50  # not once for each of 1,000 points and two connections


@pytest.mark.core
def test_cache_is_read_and_written(tmp_path, monkeypatch):
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(20, 1)
        first = nengo.Connection(a, a)
        second = nengo.Connection(a, a, function=np.square)

    def build(how):
        cache = DecoderCache(cache_dir=str(tmp_path))
        model = build_model(net, 0.001, Model(dt=0.001, decoder_cache=cache), how=how)
        return [model.params[conn].weights for conn in (first, second)]

    written = build("fast")
    monkeypatch.setattr(systems, "solve", None)
    for how in ("fast", "nengo"):
        np.testing.assert_array_equal(build(how), written)


@pytest.mark.core
@pytest.mark.parametrize("how", ["fast", "exact"])
def test_errors_are_those_of_nengo(how):
    def silent(net):
        with net:
            a = nengo.Ensemble(5, 1, gain=np.ones(5), bias=-5 * np.ones(5))
            nengo.Connection(a, a, label="never fires")

    def nothing(net):
        with net:
            a = nengo.Ensemble(20, 1)
            calls = []

            def function(x):
                calls.append(x)
                return None if len(calls) > 1 else x

            nengo.Connection(a, a, function=function, label="returns nothing")

    def failing(net):
        with net:
            a = nengo.Ensemble(20, 1)
            nengo.Connection(a, a, function=lambda x: 1 / 0 if x > 0.5 else x)

    for make, error, message in (
        (silent, nengo.exceptions.BuildError, "never fires.*all zero"),
        (nothing, nengo.exceptions.BuildError, "returns nothing.*None"),
        (failing, ZeroDivisionError, "division"),
    ):
        net = nengo.Network(seed=0)
        make(net)
        with pytest.raises(error, match=message):
            build_model(net, 0.001, None, how=how)


@pytest.mark.core
def test_solvers_and_builders_of_ones_own_run(monkeypatch):
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(20, 1)
        nengo.Connection(a, a, solver=Own())
        nengo.Connection(a, a, solver=Own())
    Own.solved = 0
    build_model(net, 0.001, None, how="fast")
    assert Own.solved == 2

    built = []

    def own(model, solver, conn, rng):
        built.append(conn)
        return None, np.zeros((1, 20)), {}

    monkeypatch.setitem(Builder.builders, LstsqL2, own)
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(20, 1)
        conn = nengo.Connection(a, a)
    model = build_model(net, 0.001, None, how="fast")
    assert built == [conn] and not model.params[conn].weights.any()


@pytest.mark.core
def test_ill_conditioned_systems_are_left_to_nengo():
    a = np.random.RandomState(0).uniform(size=(50, 20))
    for reg, solved in ((0.1, True), (1e-6, False), (0, False)):
        assert (systems.solve(a, a[:, :1], LstsqL2(reg=reg)) is not None) == solved
    assert systems.LARGEST_CONDITION <= 1e6
