"""Recipes: evaluated in numpy, they give the direct sums of the addressed values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.recipes import evaluate
from nengo_dl.compiler.operand import (
    Addresses,
    Concat,
    Gather,
    RowSum,
    SegmentSum,
    Slice,
    Sum,
    Zeros,
    make_recipe,
)
from nengo_dl.tuning import MOST_SLICES, MOST_TERMS


def new_addresses(widths):
    addresses = Addresses()
    for i, width in enumerate(widths):
        addresses.new(f"tensor {i}", "result", width)
    return addresses


def check(rows, widths):
    """``rows``: addresses in tensors of these widths."""
    addresses = new_addresses(widths)
    rng = np.random.RandomState(0)
    tensors = [rng.uniform(-1, 1, size=(2, width)) for width in widths]
    values = np.concatenate([*tensors, np.zeros((2, 1))], axis=1)  # address -1 gives zero
    width = len(rows[0]) if rows else 0
    expected = np.zeros((2, width))
    for row in rows:
        expected += values[:, np.asarray(row, dtype=int)]
    recipe = make_recipe(rows, width, addresses)
    assert recipe.width == width
    np.testing.assert_allclose(evaluate(recipe, tensors) + np.zeros((2, 1)), expected, atol=1e-12)
    read = {i for i in range(len(widths)) if i in recipe.tensors()}
    owners = {addresses.find(a).index for row in rows for a in row if a >= 0}
    assert owners <= read <= set(range(len(widths)))
    return recipe


WIDTHS = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


@st.composite
def row_of(draw, n_addresses, width):
    """Runs of consecutive addresses, single ones and holes, ``width`` together."""
    row = []
    while len(row) < width:
        length = draw(st.integers(1, width - len(row)))
        kind = draw(st.sampled_from(["run", "run", "holes", "same", "strided", "back"]))
        start = draw(st.integers(0, n_addresses - 1))
        steps = {"run": 1, "same": 0, "strided": 2, "back": -1}
        if kind == "holes":
            row.extend([-1] * length)
        else:
            run = [start + i * steps[kind] for i in range(length)]
            row.extend(a for a in run if 0 <= a < n_addresses)
    return np.array(row[:width])


@settings(max_examples=150, deadline=None)
@given(st.data(), WIDTHS, st.integers(1, 40), st.sampled_from([1, 1, 2, 3, MOST_TERMS + 2]))
def test_equals_the_direct_sum(data, widths, width, n_rows):
    rows = [data.draw(row_of(sum(widths), width)) for _ in range(n_rows)]
    check(rows, widths)


@settings(max_examples=100, deadline=None)
@given(st.data(), WIDTHS)
def test_one_range(data, widths):
    start = data.draw(st.integers(0, sum(widths) - 1))
    bounds = np.cumsum([0, *widths])
    end = bounds[np.searchsorted(bounds, start, side="right")]  # of the tensor
    stop = data.draw(st.integers(start + 1, int(end)))
    assert isinstance(check([range(start, stop)], widths), Slice)


def test_nothing_to_add():
    assert make_recipe([], 3, new_addresses([2])) == Zeros(3)
    assert make_recipe([range(0)], 0, new_addresses([2])) == Zeros(0)
    assert check([np.array([-1, -1])], [2]) == Zeros(2)


def test_cheapest_form():
    assert str(check([range(3, 5)], [3, 2])) == "whole"
    assert str(check([range(3, 5)], [3, 4])) == "slice"
    assert str(check([np.arange(1, 5)], [3, 4])) == "concat of 2"
    assert str(check([np.array([0, -1, -1, 1, 2])], [3])) == "concat of 3"
    assert str(check([np.array([0, 2, 4])], [5])) == "concat of 3"
    assert str(check([range(0, 2), range(2, 4)], [2, 2])) == "sum of 2 rows of concat of 2"
    assert str(check([range(0, 2), range(1, 3)], [4])) == "sum of slice, slice"


def test_many_slices_are_a_gather():
    most = check([np.arange(0, 2 * MOST_SLICES, 2)], [2 * MOST_SLICES])
    assert isinstance(most, Concat)
    assert len(most.parts) == MOST_SLICES
    more = check([np.arange(0, 2 * MOST_SLICES + 2, 2)], [2 * MOST_SLICES + 2])
    assert isinstance(more, Gather)
    assert more.indices.dtype == np.int32


def test_a_gather_reads_no_more_than_it_needs():
    row = np.arange(50, 150)[::-1]
    recipe = check([row], [50, 200, 30])
    assert recipe.sources == (Slice(1, 0, 100, False),)


def test_gather_with_holes_from_several_tensors():
    row = np.tile([0, -1, 5, 9, 3], 8)
    recipe = check([row], [4, 3, 3])
    assert isinstance(recipe, Gather)
    assert any(isinstance(source, Zeros) for source in recipe.sources)


def test_many_dense_rows_are_one_reduction():
    rows = [np.arange(i, i + 5) for i in range(MOST_TERMS + 1)]
    assert isinstance(check(rows, [30]), RowSum)
    assert isinstance(check(rows[:-1], [30]), Sum)
    assert isinstance(check([range(5 * i, 5 * i + 5) for i in range(3)], [15]), RowSum)


def test_many_sparse_rows_are_a_segment_sum():
    rows = np.full((MOST_TERMS + 4, 40), -1)
    for i, row in enumerate(rows):
        row[2 * i : 2 * i + 3] = [i, i + 1, 3]
    assert isinstance(check(list(rows), [40]), SegmentSum)


def test_tensors_without_columns_own_no_address():
    addresses = new_addresses([0, 2, 0, 0, 3])
    assert [addresses.find(a).index for a in range(5)] == [1, 1, 4, 4, 4]
    assert addresses.owners(np.array([0, 2, -1])).tolist() == [1, 4, -1]


@pytest.mark.parametrize("widths", [[4], [0, 4, 0], [1, 1, 1, 1]])
def test_repeated_address(widths):
    check([np.array([2, 2, 2, 0])], widths)
