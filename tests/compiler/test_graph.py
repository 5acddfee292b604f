"""The dependency graph: the same order as Nengo's own, with far fewer edges."""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.exceptions import BuildError
from nengo.utils.simulator import operator_dependency_graph

from compiler.networks import NETWORKS, operators_of
from nengo_dl.compiler.graph import PHASES, DependencyGraph


class Touch(Operator):
    """Sets, increments, reads and updates what it is told to."""

    def __init__(self, sets=(), incs=(), reads=(), updates=()):
        super().__init__()
        self.sets, self.incs = list(sets), list(incs)
        self.reads, self.updates = list(reads), list(updates)

    def make_step(self, signals, dt, rng):
        raise NotImplementedError


@pytest.fixture
def exact_sharing(monkeypatch):
    """Nengo compares the bounds of two views; we know whether they have an element in common."""

    def shares(self, other):
        return self is other or np.shares_memory(self.initial_value, other.initial_value)

    monkeypatch.setattr(Signal, "may_share_memory", shares)


def closure(successors):
    """For each vertex the set of those that can be reached from it, as a boolean matrix."""
    n = len(successors)
    reach = np.zeros((n, n), dtype=bool)
    for pre, posts in enumerate(successors):
        reach[pre, list(posts)] = True
    for middle in range(n):
        reach |= np.outer(reach[:, middle], reach[middle])
    return reach


def ours(operators):
    graph = DependencyGraph(operators)
    n = len(operators)
    reach = closure(graph.successors)[:n, :n]
    np.fill_diagonal(reach, False)
    return reach


def nengos(operators):
    graph = operator_dependency_graph(operators)
    index = {op: i for i, op in enumerate(operators)}
    reach = closure([[index[post] for post in graph[op]] for op in operators])
    np.fill_diagonal(reach, False)
    return reach


def edges(graph):
    return sum(len(posts) for posts in graph.successors)


@pytest.mark.parametrize("name", NETWORKS)
def test_same_order_as_nengo(name, exact_sharing):
    operators = operators_of(name)
    np.testing.assert_array_equal(ours(operators), nengos(operators))


def views(base):
    """Contiguous, strided, reversed and reshaped views of a (4, 3) signal."""
    return [base, base[:2], base[1:3], base[2:], base[:, 0], base[:, 1:], base[::2], base[::-1],
            base[1, 2], base[3], base.reshape((12,))[5:8], base.reshape((12,))[1::4]]  # fmt: skip


@st.composite
def operator_lists(draw):
    bases = [Signal(np.zeros((4, 3)), name=f"signal {i}") for i in range(draw(st.integers(1, 3)))]
    pools = [views(base) for base in bases]
    operators = []
    for _ in range(draw(st.integers(2, 8))):
        uses = {phase: [] for phase in PHASES}
        for pool in pools:
            sig = draw(st.sampled_from(pool))
            for phase in draw(
                st.sampled_from([(), *((phase,) for phase in PHASES), ("reads", "updates")])
            ):
                uses[phase].append(sig)
        operators.append(Touch(**uses))
    return operators


@settings(max_examples=150, deadline=None)
@given(operator_lists())
def test_any_views_in_any_phase(operators):
    original = Signal.may_share_memory
    Signal.may_share_memory = lambda a, b: (
        a is b or np.shares_memory(a.initial_value, b.initial_value)
    )
    try:
        expected = nengos(operators)
    except (AssertionError, BuildError):  # e.g. two operators set one signal
        reject()
    finally:
        Signal.may_share_memory = original
    np.testing.assert_array_equal(ours(operators), expected)


def test_never_less_than_the_order_nengo_enforces():
    """Where Nengo's comparison of bounds orders two interleaved views, we may leave them
    unordered.
    """
    base = Signal(np.zeros((4, 3)))
    left, right = Touch(sets=[base[:, 0]]), Touch(reads=[base[:, 1]])
    assert nengos([left, right])[0, 1]
    assert not ours([left, right]).any()


@pytest.mark.parametrize("n, m", [(1000, 1000), (2000, 10)])
def test_edges_are_linear_in_increments_and_readers(n, m):
    target = Signal(np.zeros(3))
    operators = [
        Touch(sets=[target]),
        *(Touch(incs=[target]) for _ in range(n)),
        *(Touch(reads=[target]) for _ in range(m)),
        Touch(updates=[target]),
    ]
    assert edges(DependencyGraph(operators)) < 3 * (n + m)


def test_edges_are_linear_where_slices_are_written_and_the_whole_is_read():
    n = 300
    target = Signal(np.zeros(n))
    operators = [
        *(Touch(incs=[target[i : i + 1]]) for i in range(n)),
        *(Touch(reads=[target]) for _ in range(n)),
    ]
    assert edges(DependencyGraph(operators)) < 6 * (n + n)


def test_topological_order_holds_each_operator_once():
    operators = operators_of("sliced feedback")
    order = DependencyGraph(operators).topological_order()
    assert sorted(order) == list(range(len(operators)))
    place = {v: i for i, v in enumerate(order)}
    for pre, post in np.argwhere(ours(operators)):
        assert place[pre] < place[post]


def test_reading_and_updating_one_signal_waits_for_the_other_readers():
    state = Signal(np.zeros(2))
    reader, both = Touch(reads=[state]), Touch(reads=[state], updates=[state])
    assert DependencyGraph([reader, both]).successors == [[1], []]
    assert DependencyGraph([both]).successors == [[]]
