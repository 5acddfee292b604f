"""Where values live: hand-made operators give the values that nengo.Simulator gives them."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.builder import Model
from nengo.builder.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo.builder.signal import Signal

from compiler.stepping import (
    assert_computes_the_same,
    compile_and_verify,
    compiled_values,
    make_model,
    nengo_values,
    numpy_values,
)
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.compiler.operators import CopyUpdate
from nengo_dl.compiler.plan import greedy_planner, noop_planner, transitive_planner


def signal(*shape, start=0.0):
    """A signal whose initial values all differ."""
    size = int(np.prod(shape))
    return Signal(start + np.arange(1.0, size + 1).reshape(shape), name=f"signal {shape}")


def counter(size=1):
    """A signal that grows by one each step, and the operators that make it."""
    state, following = Signal(np.zeros(size), name="counter"), Signal(np.zeros(size))
    operators = [
        Reset(following, value=1),
        Copy(state, following, inc=True),
        CopyUpdate(following, state),
    ]
    return state, operators


# -- increments ------------------------------------------------------------------------------------


def test_increments_into_overlapping_views():
    x, count = counter(3)
    target = signal(6)
    assert_computes_the_same(
        [
            *count,
            Reset(target),
            Copy(x, target[:3], inc=True),
            Copy(x, target[2:5], inc=True),
            Copy(x[:2], target[::3], inc=True),
            ElementwiseInc(signal(3), x, target[1:4]),
        ]
    )


def test_increments_without_a_reset_add_up():
    target = signal(4)
    assert_computes_the_same(
        [Copy(signal(2), target[1:3], inc=True), Copy(signal(4), target, inc=True)]
    )


def test_reset_of_a_part():
    target = signal(5)
    assert_computes_the_same(
        [Reset(target[1:3]), Copy(signal(4), target[:4], inc=True), Copy(target, signal(5))]
    )


def test_reset_to_a_number():
    target = signal(4)
    assert_computes_the_same(
        [Reset(target[:2], value=3), Reset(target[2:], value=-0.5), Copy(target, signal(4))]
    )


def test_matrices():
    matrix, rows, columns = signal(3, 4), signal(2, 4), signal(3, 2)
    assert_computes_the_same(
        [
            Reset(matrix),
            Copy(rows, matrix[1:], inc=True),
            Copy(columns, matrix[:, ::3], inc=True),
            Copy(matrix[:, 1], signal(3)),
            Copy(matrix[2], signal(4)),
            Copy(matrix.reshape((12,))[3:7], signal(4)),
        ]
    )


@pytest.mark.core
def test_many_increments_are_one_sum():
    target = signal(5)
    sources = [signal(5, start=i) for i in range(30)]
    operators = [Reset(target), *(Copy(s, target, inc=True) for s in sources)]
    assert_computes_the_same(operators, n_steps=2)
    layout = compile_and_verify(make_model(operators), [target]).layout
    assert len([i for i in layout.instructions if isinstance(i, Assemble)]) <= 1


def test_sums_with_two_readers_are_computed_once():
    x, count = counter(3)
    total, readers = signal(3), [signal(3), signal(3)]
    operators = [
        *count,
        Reset(total),
        Copy(x, total, inc=True),
        ElementwiseInc(signal(3), x, total),
        *(Reset(r) for r in readers),
        *(ElementwiseInc(signal(3, start=i), total, r) for i, r in enumerate(readers)),
        DotInc(signal(3, 3), total, readers[0]),
    ]
    assert_computes_the_same(operators)
    layout = compile_and_verify(make_model(operators), readers).layout
    assert len([i for i in layout.instructions if isinstance(i, Assemble)]) <= 2


def test_increments_into_disjoint_parts_need_no_sum():
    x, count = counter(2)
    target = signal(6)
    operators = [*count, Reset(target)] + [
        ElementwiseInc(signal(2, start=i), x, target[i : i + 2]) for i in (0, 2, 4)
    ]
    assert_computes_the_same(operators)
    layout = compile_and_verify(make_model(operators), [target]).layout
    assert str(layout.outputs[0]) == "whole"
    sums = [i for i in layout.instructions if isinstance(i, Assemble)]
    assert [i.tensor.width for i in sums] == [2]  # that of the counter


# -- copies ----------------------------------------------------------------------------------------

SLICES = {
    "strided": (slice(None, None, 2), slice(1, 4)),
    "reversed": (slice(None, None, -1), slice(None)),
    "negative": (slice(-3, -1), slice(0, 2)),
    "reversed and strided": (slice(5, 0, -2), slice(None, None, 2)),
    "indices": ([0, 4, 2], [5, 1, 3]),
    "negative indices": ([-1, 0], [2, -2]),
    "repeated source": ([1, 1, 4], [0, 1, 2]),
    "boolean": (
        [True, False, True, False, False, True],
        [False, True, True, True, False, False],
    ),
    "boolean source": ([False, True, True, False, True, False], slice(0, 3)),
    "one element": ([3], [0]),
}


@pytest.mark.parametrize("increment", [False, True], ids=["set", "increment"])
@pytest.mark.parametrize("name", SLICES)
def test_copies(name, increment):
    x, count = counter(6)
    source, target, reader = signal(6), signal(6), signal(6)
    src_slice, dst_slice = SLICES[name]
    assert_computes_the_same(
        [
            *count,
            Copy(signal(6), source),
            Copy(x, source, inc=True),
            Copy(source, target, src_slice=src_slice, dst_slice=dst_slice, inc=increment),
            Copy(target, reader),
        ]
    )


def test_increment_with_a_repeated_destination():
    target = signal(4)
    assert_computes_the_same(
        [
            Reset(target),
            Copy(signal(5), target, dst_slice=[1, 1, 3, 1, 0], inc=True),
            Copy(signal(2), target, src_slice=[0, 0, 1], dst_slice=[-1, -1, 1], inc=True),
        ]
    )


def test_copy_of_one_number_to_many():
    assert_computes_the_same([Copy(signal(1), signal(4)), Copy(signal(), signal(2, 3))])


def test_copy_that_changes_the_shape():
    assert_computes_the_same([Copy(signal(6).reshape((2, 3)), signal(2, 3)[:, ::-1])])


def test_chain_of_copies_costs_nothing():
    x, count = counter(4)
    chain = [x, *(signal(4) for _ in range(10))]
    operators = [*count, *(Copy(a, b) for a, b in zip(chain, chain[1:], strict=False))]
    assert_computes_the_same(operators)
    layout = compile_and_verify(make_model(operators), [chain[-1]]).layout
    assert len(layout.instructions) <= 1  # the sum for the counter


def test_copy_of_a_sum_keeps_its_value():
    """A copy of something that several operators add to must not see what is added to the copy."""
    total, copy = signal(2), signal(2)
    assert_computes_the_same(
        [
            Reset(total),
            Copy(signal(2), total, inc=True),
            Copy(signal(2, start=3), total, inc=True),
            Copy(total, copy),
            Copy(signal(2, start=9), copy, inc=True),
        ]
    )


# -- from step to step -----------------------------------------------------------------------------


def test_update_is_seen_one_step_later():
    x, count = counter(2)
    before, now = signal(2), signal(2)
    assert_computes_the_same([*count, CopyUpdate(x, before), Copy(before, now)], n_steps=4)


def test_update_of_a_part():
    x, count = counter(2)
    state = signal(4)
    assert_computes_the_same([*count, CopyUpdate(x, state[1:3]), Copy(state, signal(4))])


def test_partial_set_leaves_the_rest():
    x, count = counter(1)
    target = signal(4)
    assert_computes_the_same([*count, Copy(x, target[2:3]), Copy(target, signal(4))])
    assert_computes_the_same([*count, Copy(x, target, dst_slice=[-2]), Copy(target, signal(4))])


def test_parts_that_together_are_the_whole_are_no_state():
    x, count = counter(2)
    target = signal(4)
    operators = [*count, Copy(x, target[:2]), Copy(x, target[2:]), Copy(target, signal(4))]
    assert_computes_the_same(operators)
    layout = compile_and_verify(make_model(operators), [target]).layout
    states = [sig for stored in layout.of_kind("state") for sig in stored.signals]
    assert states == [x]


def test_constants_state_and_parameters():
    state, count = counter(3)
    weights, bias, target = signal(3), signal(3), signal(3)
    operators = [
        *count,
        Reset(target),
        Copy(bias, target, inc=True),
        ElementwiseInc(weights, state, target),
    ]
    model = make_model(operators)
    layout = compile_and_verify(model, [target], trainable={weights: "weights"}).layout

    def kept_as(kind):
        return {sig for stored in layout.of_kind(kind) for sig in stored.signals}

    assert kept_as("state") == {state}
    assert kept_as("parameter") == {weights}
    assert kept_as("constant") == {bias}
    assert not any(sig.is_view for stored in layout.stored for sig in stored.signals)


def test_constants_are_stacked_in_the_order_in_which_they_are_read():
    """Matrices of several products lie side by side, so their group reads one whole tensor."""
    x, count = counter(2)
    targets = [signal(2) for _ in range(5)]
    operators = [
        *count,
        *(Reset(t) for t in targets),
        *(DotInc(signal(2, 2, start=i), x, t) for i, t in enumerate(targets)),
    ]
    assert_computes_the_same(operators)
    layout = compile_and_verify(make_model(operators), targets).layout
    (products,) = [i for i in layout.instructions if getattr(i, "kernel", None) is not None]
    assert len(products.group) == 5
    assert str(products.operands[0]) == "whole"


def test_probes_of_constants_and_of_what_nothing_touches():
    constant, untouched, part = signal(3), signal(2), signal(4)
    operators = [Copy(constant, signal(3)), Copy(signal(2), part[1:3])]
    assert_computes_the_same(operators, signals=[constant, part])
    values = compiled_values(make_model(operators), [untouched, constant[1:]], 2)
    np.testing.assert_array_equal(values[untouched], [untouched.initial_value] * 2)


def test_minibatch():
    x, count = counter(2)
    target = signal(2)
    operators = [*count, Copy(x, target), ElementwiseInc(signal(2), x, target)]
    expected = nengo_values(make_model(operators), [target], 3)
    actual = compiled_values(make_model(operators), [target, x], 3, minibatch_size=4)
    np.testing.assert_allclose(actual[target], expected[target])


def test_time():
    model = Model(dt=0.25)
    values = compiled_values(model, [model.time, model.step], 3)
    np.testing.assert_allclose(values[model.time].ravel(), [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(values[model.step].ravel(), [1, 2, 3])


def test_empty_signals():
    assert_computes_the_same([Reset(signal(0)), Copy(signal(0), signal(0)), Reset(signal(2))])


# -- any wiring ------------------------------------------------------------------------------------


@st.composite
def pairs(draw, source, target):
    """Views of two signals with the same number of elements."""
    n = draw(st.integers(1, min(source.size, target.size)))
    return [draw(views(sig, n)) for sig in (source, target)]


@st.composite
def views(draw, base, n):
    step = draw(st.integers(1, max((base.size - 1) // max(n - 1, 1), 1)))
    span = (n - 1) * step
    start = draw(st.integers(0, base.size - 1 - span))
    if draw(st.booleans()):
        return base[start : start + span + 1 : step]
    stop = start - 1 if start else None
    return base[start + span : stop : -step]


@st.composite
def programs(draw):
    """Copies, increments and products, each signal made from earlier ones; some updated at the
    end.
    """
    signals = [signal(draw(st.integers(1, 7)), start=10 * i) for i in range(5)]
    operators = []
    for i, target in enumerate(signals[1:], start=1):
        if draw(st.booleans()):
            operators.append(Reset(target, value=draw(st.sampled_from([0, 0, 2]))))
        for _ in range(draw(st.integers(0, 4))):
            source, part = draw(pairs(draw(st.sampled_from(signals[:i])), target))
            n = source.size
            kind = draw(st.sampled_from(["copy", "indices", "product"]))
            if kind == "copy":
                operators.append(Copy(source, part, inc=True))
            elif kind == "indices":
                m = draw(st.integers(1, 5))
                take, put = (
                    draw(st.lists(st.integers(-n, n - 1), min_size=m, max_size=m)) for _ in "ab"
                )
                operators.append(Copy(source, part, src_slice=take, dst_slice=put, inc=True))
            else:
                operators.append(ElementwiseInc(signal(n), source, part))
    updated = draw(st.sampled_from([None, *signals]))
    if not any(updated is sig for op in operators for sig in op.sets):
        if updated is not None:
            others = [sig for sig in signals if sig is not updated]
            operators.append(CopyUpdate(*draw(pairs(draw(st.sampled_from(others)), updated))))
    return operators


@settings(max_examples=100, deadline=None)
@given(programs(), st.sampled_from([greedy_planner, noop_planner, transitive_planner]))
def test_any_wiring(operators, planner):
    assert_computes_the_same(operators, values=numpy_values, planner=planner)
    assert_computes_the_same(operators, values=numpy_values, simplifications=[])


# -- networks --------------------------------------------------------------------------------------


def test_large_networks_have_cheap_operands():
    with nengo.Network(seed=0) as net:
        array = nengo.networks.EnsembleArray(5, 40)
        stimulus = nengo.Node(np.ones(40))
        nengo.Connection(stimulus, array.input)
        nengo.Connection(array.output, array.input, synapse=0.1)
        nengo.Probe(array.output)
    layout = compile_and_verify(build_model(net, 0.001, None)).layout
    operands = [str(r) for i in layout.instructions if isinstance(i, Run) for r in i.operands]
    assert operands.count("whole") == len(operands) - 1
    assert (
        "concat of 2" in operands
    )  # the two synapses filter what comes from the array and the input
