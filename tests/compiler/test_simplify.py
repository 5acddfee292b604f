"""Simplifications: what each removes, and that what it leaves computes the same."""

import nengo
import numpy as np
import pytest
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo.builder.signal import Signal

import nengo_dl
from compiler.networks import NETWORKS, operators_of, sliced_feedback
from compiler.stepping import (
    assert_computes_the_same,
    base_signals,
    compiled_values,
    make_model,
    nengo_values,
)
from nengo_dl import graph_optimizer
from nengo_dl.compiler.operators import DotSet, ElementwiseSet
from nengo_dl.compiler.simplify import (
    default_simplifications,
    remove_constant_copies,
    remove_identity_muls,
    remove_reset_incs,
    remove_unmodified_resets,
    remove_unread,
    remove_zero_incs,
    simplify,
    split_outer_products,
)


def kinds(operators):
    return [type(op).__name__ for op in operators]


def constant(value):
    return Signal(np.asarray(value, dtype=float), name="constant", readonly=True)


def zeros(*shape):
    return Signal(np.zeros(shape), name="zeros")


def assert_same_after(rewrite, operators):
    """Nengo computes the same with the operators that ``rewrite`` leaves, and so do we."""
    signals = base_signals(operators)
    expected = nengo_values(make_model(operators), signals, 3)
    left = rewrite(operators)
    present = [sig for sig in signals if sig in base_signals(left)]
    by_nengo = nengo_values(make_model(left), present, 3)
    by_us = compiled_values(make_model(operators), signals, 3, simplifications=[rewrite])
    for sig in signals:
        np.testing.assert_allclose(by_us[sig], expected[sig], atol=1e-12)
        if sig in present:
            np.testing.assert_array_equal(by_nengo[sig], expected[sig])
    return left


class TestUnmodifiedResets:
    def test_restates_the_initial_value(self):
        source, target = Signal(np.full(3, 2.0)), zeros(3)
        operators = [Reset(source, value=2), Reset(target), Copy(source, target, inc=True)]
        left = assert_same_after(remove_unmodified_resets, operators)
        assert kinds(left) == ["Reset", "Copy"]

    def test_kept_where_it_changes_something(self):
        other = Signal(np.array([1.0, 2.0]))
        operators = [Reset(other, value=1)]
        assert assert_same_after(remove_unmodified_resets, operators) == operators
        modified = zeros(2)
        operators = [Reset(modified), Copy(constant([1, 2]), modified, inc=True)]
        assert assert_same_after(remove_unmodified_resets, operators) == operators

    def test_kept_where_another_view_is_written(self):
        base = zeros(4)
        operators = [Reset(base), Copy(constant([1, 2]), base[1:3], inc=True)]
        assert assert_same_after(remove_unmodified_resets, operators) == operators


class TestUnread:
    def test_a_chain_that_ends_nowhere(self):
        source, middle, end, other = constant([1, 2]), zeros(2), zeros(2), zeros(2)
        operators = [
            Reset(middle),
            DotInc(constant(np.eye(2)), source, middle),
            Reset(end),
            Copy(middle, end[::-1], inc=True),
            Copy(source, other),
        ]
        assert remove_unread(operators, [other]) == operators[4:]
        assert remove_unread(operators, [middle]) == operators[:2]
        assert remove_unread(operators, [end[:1]]) == operators[:4]

    def test_sums_over_the_steps_are_kept(self):
        total, part = zeros(2), zeros(4)
        source = constant([1, 2])
        operators = [Copy(source, total, inc=True), Reset(part[:2]), Copy(source, part[2:])]
        assert remove_unread(operators, []) == operators

    def test_unused_output_of_an_ensemble_array(self):
        with nengo.Network(seed=0) as net:
            array = nengo.networks.EnsembleArray(10, 3)
            squares = array.add_output("squares", np.square)
            probes = [nengo.Probe(squares)]
        with nengo_dl.Simulator(net) as sim:
            (products,) = [g for g in str(sim.program).splitlines() if " DotSet " in g]
            assert products.split()[1] == "3"  # the identity is not decoded
            sim.run_steps(20)
        probes.append(nengo.Probe(array.output, add_to_container=False))
        with net:
            net.probes.append(probes[1])
        with nengo_dl.Simulator(net) as both:
            both.run_steps(20)
            np.testing.assert_array_equal(both.data[probes[0]], sim.data[probes[0]])
            assert np.any(both.data[probes[1]])

    def test_parameters_that_nothing_reads_are_loaded_and_saved(self, tmp_path):
        with nengo.Network(seed=0) as net:
            ensemble = nengo.Ensemble(10, 1)
            nengo.Connection(nengo.Node(0.5), ensemble)
            nengo.Connection(ensemble, nengo.Node(size_in=1))
            nengo.Probe(ensemble.neurons)
        with nengo.Network(seed=1) as other:
            ensemble = nengo.Ensemble(10, 1)
            nengo.Connection(nengo.Node(0.5), ensemble)
            connection = nengo.Connection(ensemble, nengo.Node(size_in=1), synapse=None)
            neurons = nengo.Probe(ensemble.neurons)
        with nengo_dl.Simulator(net) as sim:
            sim.save_params(tmp_path / "params")
            weights = sim.data[net.connections[1]].weights
        with nengo_dl.Simulator(other) as sim:
            assert not np.allclose(sim.data[connection].weights, weights)
            sim.load_params(tmp_path / "params")
            np.testing.assert_allclose(sim.data[connection].weights, weights, rtol=1e-6)
            sim.run_steps(3)
            assert sim.data[neurons].shape == (3, 10)


class TestZeroIncs:
    def test_products_with_zero(self):
        x, y = Signal(np.ones(2)), zeros(2)
        operators = [
            Reset(y),
            ElementwiseInc(constant([0, 0]), x, y),
            DotInc(constant(np.zeros((2, 2))), x, y),
            DotInc(constant(np.eye(2)), constant([0, 0]), y),
            Copy(constant([0, 0]), y, inc=True),
            ElementwiseInc(constant([0, 1]), x, y),
        ]
        left = assert_same_after(remove_zero_incs, operators)
        assert kinds(left) == ["Reset", "ElementwiseInc"]

    def test_kept_where_zero_is_only_the_start(self):
        x, y = zeros(2), zeros(2)
        operators = [Reset(x, value=3), Reset(y), Copy(x, y, inc=True), DotInc(x, x, zeros())]
        assert remove_zero_incs(operators) == operators

    def test_kept_where_it_may_be_trained(self):
        weights, y = constant([0, 0]), zeros(2)
        operators = [Reset(y), ElementwiseInc(weights, Signal(np.ones(2)), y)]
        assert remove_zero_incs(operators, frozenset([weights])) == operators
        assert len(remove_zero_incs(operators)) == 1


class TestResetIncs:
    def test_first_increment_sets(self):
        x, y = constant([1, 2]), zeros(2)
        operators = [
            Reset(y),
            DotInc(constant([[1, 2], [3, 4]]), x, y),
            ElementwiseInc(constant([5, 6]), x, y),
        ]
        left = assert_same_after(remove_reset_incs, operators)
        assert kinds(left) == ["DotSet", "ElementwiseInc"]
        assert left[0].sets == [y]
        assert left[0].incs == []

    @pytest.mark.parametrize(
        "make, name",
        [
            (lambda x, y: DotInc(constant([[1, 2], [3, 4]]), x, y), "DotSet"),
            (lambda x, y: ElementwiseInc(constant([3, 4]), x, y), "ElementwiseSet"),
            (lambda x, y: Copy(x, y, src_slice=[1, 0], inc=True), "Copy"),
        ],
    )
    def test_each_type(self, make, name):
        y = zeros(2)
        operators = [Reset(y), make(constant([1, 2]), y)]
        left = assert_same_after(remove_reset_incs, operators)
        assert kinds(left) == [name]

    def test_part_of_the_target(self):
        y = zeros(3)
        operators = [Reset(y), Copy(constant([1, 2]), y[:2], inc=True)]
        assert assert_same_after(remove_reset_incs, operators) == operators
        operators = [Reset(y), Copy(constant([1, 2]), y, dst_slice=[2, 0], inc=True)]
        assert assert_same_after(remove_reset_incs, operators) == operators

    def test_reset_to_another_number(self):
        y = zeros(2)
        operators = [Reset(y, value=1), Copy(constant([1, 2]), y, inc=True)]
        assert assert_same_after(remove_reset_incs, operators) == operators

    def test_both_of_a_view(self):
        base = zeros(4)
        view = base[1:3]
        operators = [Reset(view), Copy(constant([1, 2]), view, inc=True)]
        assert kinds(assert_same_after(remove_reset_incs, operators)) == ["Copy"]

    def test_no_reset(self):
        y = zeros(2)
        operators = [Copy(constant([1, 2]), y, inc=True)]  # adds up from step to step
        assert assert_same_after(remove_reset_incs, operators) == operators

    def test_setters_run_in_nengo(self):
        """They are operators like any other: Nengo's own simulator can run them."""
        x, y, z = constant([1, 2]), zeros(2), zeros(2)
        operators = [
            Reset(y),
            DotInc(constant([[1, 2], [3, 4]]), x, y),
            Reset(z),
            ElementwiseInc(constant([2]), x, z),
        ]
        left = assert_same_after(remove_reset_incs, operators)
        assert [type(op) for op in left] == [DotSet, ElementwiseSet]


class TestConstantCopies:
    def test_one_number_throughout(self):
        target, part = zeros(3), zeros(4)
        operators = [
            Copy(constant([7, 7]), part[1:3]),
            Copy(constant([5, 5, 5]), target),
            Copy(constant([4, 4, 4, 4]), zeros(2), src_slice=[0, 3]),
        ]
        left = assert_same_after(remove_constant_copies, operators)
        assert kinds(left) == ["Reset"] * 3
        assert [op.value for op in left] == [7, 5, 4]

    def test_kept(self):
        varying, written = Signal(np.array([1.0, 2.0])), zeros(2)
        operators = [
            Copy(varying, zeros(2)),
            Copy(constant([3, 3]), written, inc=True),
            Copy(written, zeros(2)),
            Copy(constant([3, 3]), zeros(3), dst_slice=[0, 2]),
            Copy(constant(np.zeros(0)), zeros(0)),
        ]
        assert remove_constant_copies(operators) == operators
        assert_same_after(remove_constant_copies, operators[:-1])

    def test_kept_where_it_is_an_input(self):
        source = constant([1, 1])
        operators = [Copy(source, zeros(2))]
        assert remove_constant_copies(operators, frozenset([source])) == operators


class TestIdentityMuls:
    def test_identities(self):
        x, y = Signal(np.array([1.0, 2.0])), zeros(2)
        operators = [
            Reset(y),
            ElementwiseInc(constant(1), x, y),
            ElementwiseInc(constant([1, 1]), x, y),
            ElementwiseInc(constant([1]), x, y),
            DotInc(constant(np.eye(2)), x, y),
            DotInc(constant(1), x, y),
        ]
        left = assert_same_after(remove_identity_muls, operators)
        assert kinds(left) == ["Reset"] + ["Copy"] * 5
        assert all(op.inc for op in left[1:])

    def test_kept(self):
        x, y = Signal(np.array([1.0, 2.0])), zeros(2)
        scalar, matrix = zeros(), Signal(np.arange(4.0).reshape(2, 2))
        operators = [
            Reset(y),
            ElementwiseInc(constant(2), x, y),
            DotInc(constant(np.ones((2, 2))), x, y),
            DotInc(constant([[1, 0], [1, 1]]), x, y),
            Reset(scalar),
            DotInc(constant([1, 1]), x, scalar),  # a sum
            ElementwiseInc(constant(np.eye(2)), matrix, zeros(2, 2)),
        ]
        assert assert_same_after(remove_identity_muls, operators) == operators

    def test_kept_where_it_may_be_trained(self):
        weights = constant([1, 1])
        operators = [ElementwiseInc(weights, Signal(np.ones(2)), zeros(2))]
        assert remove_identity_muls(operators, frozenset([weights])) == operators

    def test_a_product_that_sets_becomes_a_copy_that_sets(self):
        x, y = Signal(np.array([1.0, 2.0])), zeros(2)
        operators = [Reset(y), DotInc(constant(np.eye(2)), x, y)]
        (copy,) = simplify(operators, [remove_reset_incs, remove_identity_muls])
        assert type(copy) is Copy
        assert copy.sets == [y]


class TestOuterProducts:
    matrix = np.outer([-2, 0, 0.5] * 10, np.arange(1.0, 11))

    def test_shared_rows_are_computed_once(self):
        x, y, z = Signal(np.linspace(-1, 1, 10)), zeros(30), zeros(30)
        operators = [Reset(y), DotInc(constant(self.matrix), x, y), Reset(z)]
        operators += [DotInc(constant(3 * self.matrix), x, z), DotInc(constant(self.matrix), x, z)]
        signals = [x, y, z]
        expected = nengo_values(make_model(operators), signals, 3)
        left = split_outer_products(operators)
        assert kinds(left).count("DotInc") == 2  # of the matrix, and of three times it
        assert kinds(left).count("ElementwiseInc") == 3
        by_nengo = nengo_values(make_model(left), signals, 3)
        by_us = compiled_values(
            make_model(operators), signals, 3, simplifications=[split_outer_products]
        )
        for sig in signals:
            np.testing.assert_allclose(by_nengo[sig], expected[sig], rtol=1e-14, atol=1e-14)
            np.testing.assert_allclose(by_us[sig], expected[sig], rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(
        "value",
        [
            matrix + 1e-9 * np.eye(30, 10),
            np.zeros((30, 10)),
            matrix[:4],  # small
            matrix[:1].repeat(30, axis=1),  # a row
            np.ones((30, 10), dtype=int),
        ],
        ids=["another rank", "zeros", "small", "row", "integers"],
    )
    def test_kept(self, value):
        weights = Signal(value, readonly=True)
        operators = [DotInc(weights, zeros(value.shape[1]), zeros(len(value)))]
        assert split_outer_products(operators) == operators

    def test_kept_where_it_may_be_trained(self):
        weights = constant(self.matrix)
        operators = [DotInc(weights, zeros(10), zeros(30))]
        assert split_outer_products(operators, frozenset([weights])) == operators

    def test_gates(self):
        with nengo.Network(seed=0) as net:
            nengo_dl.configure_settings(inference_only=True)
            gate = nengo.Ensemble(20, 1)
            targets = [nengo.Ensemble(n, 1) for n in (15, 20, 15)]
            for ens in targets:
                nengo.Connection(gate, ens.neurons, transform=[[-0.3]] * ens.n_neurons)
            nengo.Connection(nengo.Node(lambda t: np.sin(40 * t)), gate)
            probes = [nengo.Probe(ens.neurons) for ens in targets]
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run(0.2)
        with nengo_dl.Simulator(net, progress_bar=False) as ours:
            ours.run(0.2)
            shapes = [op.A.shape for op in ours.program.program.operators if hasattr(op, "A")]
            assert (15, 20) not in shapes and (1, 20) in shapes
            for probe in probes:
                np.testing.assert_allclose(ours.data[probe], sim.data[probe], atol=1e-3)
                assert np.any(sim.data[probe])


# -- together --------------------------------------------------------------------------------------


def test_repeated_until_nothing_changes():
    """Only after the first increment is dropped does the second one become the one that sets."""
    x, y, z = Signal(np.ones(2)), zeros(2), zeros(2)
    operators = [
        Reset(y),
        ElementwiseInc(constant([0, 0]), x, y),
        Reset(z),
        Copy(y, z, inc=True),
    ]
    left = simplify(operators, [remove_reset_incs, remove_zero_incs])
    assert_computes_the_same(operators, simplifications=default_simplifications)
    assert len(left) == len(simplify(left, [remove_reset_incs, remove_zero_incs]))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_become_smaller(name):
    operators = operators_of(name)
    for rewrite in default_simplifications:
        assert len(rewrite(operators)) <= len(operators)
    left = simplify(operators)
    assert len(left) < len(operators)
    again = simplify(left)
    assert len(again) == len(left)
    assert all(a is b for a, b in zip(again, left, strict=True))


def test_operators_are_not_changed():
    operators = operators_of("sliced feedback")
    before = [(list(op.sets), list(op.incs), list(op.reads), list(op.updates)) for op in operators]
    simplify(operators)
    after = [(op.sets, op.incs, op.reads, op.updates) for op in operators]
    assert before == after


# -- functions of users --------------------------------------------------------------------------


def test_one_argument():
    seen = []

    def mine(operators):
        seen.append(len(operators))
        return operators

    simplify([Reset(zeros(1))], [mine])
    assert seen == [1]


def test_a_list_changed_in_place():
    """What is left is seen, by the function itself and by those after it."""
    y, z = zeros(2), constant([0, 0])
    operators = [Reset(z), Copy(z, y, inc=True), Reset(zeros(1), value=1)]

    def without_the_first(operators):
        if type(operators[0]) is Reset and operators[0].dst is z:
            operators.pop(0)
        return operators

    left = simplify(operators, [without_the_first, remove_zero_incs])
    assert left == operators[2:]  # without a Reset, z is constant, and zero
    assert len(operators) == 3


def test_unknown_signals_go_to_those_who_ask():
    unknown, seen = frozenset([zeros(1)]), []

    def mine(operators, unknown):
        seen.append(unknown)
        return tuple(operators)

    def with_option(operators, verbose=False):
        seen.append(verbose)
        return operators

    assert simplify([], [mine, with_option], unknown) == []
    assert seen == [unknown, False]


@pytest.fixture(scope="module")
def reference():
    net = sliced_feedback()
    with nengo.Simulator(net, seed=1, progress_bar=False) as sim:
        sim.run_steps(60)
    return net, sim.data[net.probes[0]]


def identity(operators):
    return list(operators)


SETTINGS = [
    {"planner": graph_optimizer.noop_planner, "simplifications": []},
    {
        "planner": graph_optimizer.transitive_planner,
        "sorter": graph_optimizer.noop_order_signals,
        "simplifications": [identity, graph_optimizer.remove_zero_incs],
    },
    {"planner": graph_optimizer.tree_planner},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["noop", "transitive", "tree"])
@pytest.mark.core
def test_settings_do_not_change_the_numbers(reference, settings, monkeypatch):
    monkeypatch.setenv("NENGO_DL_VERIFY", "1")
    net, expected = sliced_feedback(), reference[1]
    with net:
        nengo_dl.configure_settings(dtype="float64", **settings)
    with nengo_dl.Simulator(net, seed=1, progress_bar=False) as sim:
        sim.run_steps(60)
    np.testing.assert_allclose(sim.data[net.probes[0]], expected, atol=1e-10)
    if settings["planner"] is graph_optimizer.noop_planner:
        n_groups = [len(i.group) for i in sim.program.layout.instructions if hasattr(i, "group")]
        assert set(n_groups) == {1}
        assert len(sim.program.program.operators) > len(n_groups)
