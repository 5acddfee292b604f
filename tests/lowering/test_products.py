"""Products: dense, by element, sparse, in blocks."""

import nengo
import numpy as np
import pytest
from nengo.builder import Model
from nengo.builder.operator import BsrDotInc, DotInc, Reset
from nengo.builder.signal import Signal

import nengo_dl
from oracle import assert_matches_nengo

scipy_sparse = pytest.importorskip("scipy.sparse")


def source(size):
    return nengo.Node(lambda t: np.cos(np.arange(size) + 50 * t), size_out=size)


def connected(*transforms, size_in=4):
    with nengo.Network(seed=0) as net:
        for transform in transforms:
            out = nengo.Node(size_in=getattr(transform, "size_out", size_in))
            nengo.Connection(source(size_in), out, transform=transform, synapse=None)
            nengo.Probe(out)
    return net


def some_matrix(rows=5, columns=4, seed=0):
    return np.random.RandomState(seed).uniform(-1, 1, (rows, columns))


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_dense(minibatch_size):
    net = connected(
        nengo.Dense((5, 4), init=some_matrix()),
        nengo.Dense((5, 4), init=some_matrix(seed=1)),
        nengo.Dense((1, 4), init=some_matrix(1)),
        nengo.Dense((4, 4), init=0.5),
        nengo.Dense((4, 4), init=np.arange(4.0)),
        nengo.transforms.NoTransform(4),
    )
    assert_matches_nengo(net, n_steps=5, minibatch_size=minibatch_size)


def sparse_transforms():
    dense = some_matrix(6, 4) * (np.random.RandomState(1).uniform(size=(6, 4)) < 0.4)
    dense[2] = 0  # a row of the result that nothing is added to
    for kind in ("csr_matrix", "csc_matrix", "coo_matrix", "bsr_matrix"):
        yield nengo.Sparse((6, 4), init=getattr(scipy_sparse, kind)(dense))
    indices = np.argwhere(dense)[::-1]
    yield nengo.Sparse((6, 4), indices=indices, init=np.linspace(-1, 1, len(indices)))
    yield nengo.Sparse((6, 4), indices=indices, init=nengo.dists.Uniform(-1, 1))
    yield nengo.Sparse((6, 4), init=scipy_sparse.csr_matrix((6, 4)))  # empty


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
def test_sparse(minibatch_size):
    net = connected(*sparse_transforms())
    assert_matches_nengo(net, n_steps=5, minibatch_size=minibatch_size)


@pytest.mark.parametrize("kind", ["scipy", "nengo"])
def test_sparse_weights_in_data(kind):
    indices = [[0, 1], [2, 0], [1, 1]]
    transform = nengo.Sparse((3, 2), indices=indices, init=[1.0, 0.3, -3.0])
    if kind == "scipy":
        transform = nengo.Sparse((3, 2), init=scipy_sparse.csr_matrix(transform.sample().toarray()))
    net = connected(transform, size_in=2)
    with nengo_dl.Simulator(net) as sim:
        weights = sim.data[net.connections[0]].weights
    assert np.array_equal(weights.toarray(), transform.sample().toarray())


@pytest.mark.core
def test_number_times_a_vector():
    """A DotInc whose matrix is a number."""
    model = Model()
    x = Signal(np.arange(1.0, 5.0), name="x")
    number, y = Signal(2.5, name="number"), Signal(np.zeros(4), name="y")
    model.operators += [DotInc(number, x, y)]
    check_signal(model, y, [2.5 * 2 * i for i in range(1, 5)], n_steps=2)


@pytest.mark.core
def test_block_sparse():
    blocks = np.random.RandomState(0).uniform(-1, 1, (3, 2, 3))
    indices, indptr = np.array([1, 0, 1]), np.array([0, 1, 1, 3])
    matrix = scipy_sparse.bsr_matrix((blocks, indices, indptr), shape=(6, 6)).toarray()
    x = np.arange(6.0)
    model = Model()
    y = Signal(np.zeros(6), name="y")
    model.operators += [
        Reset(y),
        BsrDotInc(Signal(blocks), Signal(x), y, indices=indices, indptr=indptr, reshape=True),
    ]
    # what is set anew in each step has no value between steps, so we add it up
    total = Signal(np.zeros(6), name="total")
    model.operators += [DotInc(Signal(np.eye(6)), y, total)]
    check_signal(model, total, 2 * (matrix @ x), n_steps=2)


def check_signal(model, signal, expected, n_steps):
    with nengo_dl.Simulator(None, model=model) as sim:
        sim.run_steps(n_steps)
        np.testing.assert_allclose(sim.signals[signal], expected, rtol=1e-6)


def test_models_that_nengo_optimized():
    """The optimizer of nengo.Simulator merges operators of the model it is given."""
    with nengo.Network(seed=0) as net:
        for _ in range(5):
            pre, post = nengo.Ensemble(10, 2), nengo.Ensemble(12, 2)
            nengo.Connection(source(2), pre)
            nengo.Connection(pre, post, synapse=0.01)
            nengo.Probe(post, synapse=0.01)
    with nengo.Simulator(net, optimize=True) as reference:
        reference.run_steps(30)
        with nengo_dl.Simulator(None, model=reference.model) as sim:
            sim.run_steps(30)
            for probe in net.probes:
                np.testing.assert_allclose(sim.data[probe], reference.data[probe], atol=1e-5)
