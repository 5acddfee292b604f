"""Systems of linear equations of which decoders are the solution."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nengo.builder.ensemble import BuiltEnsemble
from nengo.solvers import LstsqL2, LstsqL2nz, Solver
from scipy.linalg.lapack import dposv, spotrf, spotrs

from nengo_dl.compiler.building.blas import one_thread
from nengo_dl.compiler.building.rates import blocks, rates

#: largest ratio of the largest to the smallest eigenvalue, about, up to which rounding stays below
#: a ten-thousand-millionth of the largest decoder; above it Nengo's code runs
LARGEST_CONDITION = 1e6
#: neurons of an ensemble from which on one product of matrices is worth all cores, and `_refined`
#: takes less time than a product in double precision
LARGE = 500
#: columns of a block in `lower_gram`: with 250 half the time of the whole product, with 50 0.8
BLOCK_COLUMNS = 250
#: columns up to which OpenBLAS multiplies a group of rows at once, without packing it first: half
#: the time of the whole product, and once through memory instead of twice
NARROW = 30
#: error relative to the largest decoder that `_refined` leaves, and the corrections it may take
SMALL_ERROR, MOST_CORRECTIONS = 1e-11, 8


@dataclass
class System:
    """Systems of equations with one matrix."""

    neurons: Any
    solver: Solver
    radius: float
    built: BuiltEnsemble
    eval_points: np.ndarray
    right_sides: dict[Hashable, np.ndarray] = field(default_factory=dict)

    @property
    def work(self) -> int:
        """How long it takes, about, in twentieths of a nanosecond."""
        n_points, n_neurons = len(self.eval_points), len(self.built.bias)
        return n_points * n_neurons * (n_neurons + 200)

    def solve(self) -> dict[Hashable, tuple[np.ndarray, dict]]:
        """Decoders and what Nengo tells of a solver, for each right-hand side; nothing where the
        equations are not such as can be solved like this.
        """
        start = time.time()
        built, points = self.built, self.eval_points
        order: Any = slice(None)
        encoders, y = built.encoders / self.radius, np.hstack(list(self.right_sides.values()))
        if is_banded := points.shape[1] == 1 and len(encoders) >= LARGE:
            order, rows = np.argsort(_middles(encoders, built)), np.argsort(points[:, 0])
            points, y = points[rows], y[rows]
        a = rates(self.neurons, points, encoders[order], built.gain[order], built.bias[order])
        found = solve(a, y, self.solver, is_banded)
        if found is None:
            return {}
        errors, seconds = _rmses(a, found, y), time.time() - start
        x = np.empty_like(found)
        x[order] = found
        solved, column = {}, 0
        for key, values in self.right_sides.items():
            columns = slice(column, column := column + values.shape[1])
            solved[key] = x[:, columns], {"rmses": errors[columns], "time": seconds}
        return solved

    def solve_alone(self, threads: int) -> dict[Hashable, tuple[np.ndarray, dict]]:
        """The solutions, found on as many cores as the system keeps busy, if there may be more
        threads than one.
        """
        small = len(self.built.bias) < LARGE
        with one_thread() if small or threads == 1 else nullcontext():
            return self.solve()


def _middles(encoders: np.ndarray, built: BuiltEnsemble) -> np.ndarray:
    """About the middle of the values from -1 to 1 to which each neuron of a one-dimensional
    ensemble responds, up to a factor: those on one side of its threshold.
    """
    slopes = encoders[:, 0] * built.gain
    with np.errstate(divide="ignore", invalid="ignore"):
        thresholds = (1 - built.bias) / slopes
    return np.nan_to_num(thresholds) + np.sign(slopes)


def lower_gram(a: np.ndarray) -> np.ndarray:
    """The lower triangle of a'a, for a matrix whose columns are zero in their first or last rows,
    and neighbours about equally far: a product of two blocks of columns takes the rows in which
    neither is zero.
    """
    n = a.shape[1]
    starts = range(0, n, BLOCK_COLUMNS)
    blocks = [np.ascontiguousarray(a[:, start : start + BLOCK_COLUMNS]) for start in starts]
    used = [np.flatnonzero(block.any(axis=1)) for block in blocks]
    result = np.zeros((n, n), a.dtype)
    for i, left in enumerate(blocks):
        for j in range(i + 1):
            if not (len(used[i]) and len(used[j])):
                continue
            rows = slice(max(used[i][0], used[j][0]), min(used[i][-1], used[j][-1]) + 1)
            product = np.matmul(left[rows].T, blocks[j][rows])
            place = slice(starts[i], starts[i] + len(product))
            result[place, starts[j] : starts[j] + product.shape[1]] = product
    return result


def solve(
    a: np.ndarray, y: np.ndarray, solver: LstsqL2, is_banded: bool = False
) -> np.ndarray | None:
    """The solution of (a'a + lambda) x = a'y, with the lambda of `nengo.solvers`."""
    m, n = a.shape
    largest = a.max() if type(solver) is LstsqL2 else np.abs(a).max()
    if not 0 < largest < np.inf:
        return None
    sigma = solver.reg * largest
    if type(solver) is LstsqL2nz:
        sigma = sigma * np.sqrt((a != 0).mean(axis=0))
        sigma[sigma == 0] = sigma.max()
    transpose = solver.solver.transpose
    if transpose is None:
        transpose = m < n and sigma.size == 1
    added = m * sigma**2
    if transpose:
        x = _solved(np.matmul(a, a.T), y, added)
        return None if x is None else np.matmul(a.T, x)
    gram = lower_gram if is_banded else _gram
    right = _transposed(a, y.shape[1], lambda rows: y[rows])
    if n >= LARGE:
        product = gram(a.astype(np.float32))
        if not _regularize(product, added):
            return None
        x = _refined(product, a, right, added)
        if x is not None:
            return x
    return _solved(gram(a), right, added)


def _rows(a: np.ndarray, width: int) -> Iterable[slice]:
    """The rows of a matrix, in groups if that is faster for products with ``width`` columns."""
    return blocks(a) if width <= NARROW else (slice(None),)


def _transposed(a: np.ndarray, width: int, factor: Callable[[slice], np.ndarray]) -> np.ndarray:
    """The product of a' and the rows of a matrix of so many columns."""
    result = np.zeros((a.shape[1], width))
    for rows in _rows(a, width):
        result += np.matmul(a[rows].T, factor(rows))
    return result


def _product(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The product of a', a and x."""
    return _transposed(a, x.shape[1], lambda rows: np.matmul(a[rows], x))


def _rmses(a: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The root mean square of each column of y - ax."""
    total = np.zeros(x.shape[1])
    for rows in _rows(a, x.shape[1]):
        errors = y[rows] - np.matmul(a[rows], x)
        total += np.square(errors, out=errors).sum(axis=0)
    return np.sqrt(total / len(a))


def _gram(a: np.ndarray) -> np.ndarray:
    return np.matmul(a.T, a)


def _regularize(gram: np.ndarray, added: np.ndarray) -> bool:
    """Add to the diagonal; whether the matrix is well conditioned then."""
    diagonal = gram.reshape(-1)[:: len(gram) + 1]
    found = diagonal.sum() < LARGEST_CONDITION * np.min(added)
    diagonal += added
    return bool(found)


def _solved(gram: np.ndarray, right: np.ndarray, added: np.ndarray) -> np.ndarray | None:
    """The solution of (gram + added) x = right, if there is one; ``gram`` is overwritten."""
    if not _regularize(gram, added):
        return None
    # LAPACK wants columns together, and reads one triangle: the lower one, transposed
    _, x, failed = dposv(gram.T, right, overwrite_a=True)
    return None if failed else np.ascontiguousarray(x)


def _refined(
    product: np.ndarray, a: np.ndarray, right: np.ndarray, added: np.ndarray
) -> np.ndarray | None:
    """The solution of (a'a + added) x = right, with that ``product`` and its factors in single
    precision, which take half the time, and corrections by what is left of ``right`` in double
    precision, until they are so small that the next would be lost in rounding. None if they do not
    become so. ``product`` is overwritten.

    This is the iterative refinement of LAPACK's ``dsposv`` (Langou et al., Exploiting the
    performance of 32 bit floating point arithmetic in obtaining 64 bit accuracy, SC 2006), without
    the product in double precision.
    """
    factors, failed = spotrf(product.T, overwrite_a=True, clean=False)
    if failed:
        return None
    x, left, before = np.zeros_like(right), right, 1.0
    column = np.reshape(added, (-1, 1))
    for _ in range(MOST_CORRECTIONS):
        scale = np.abs(left).max() or 1.0
        correction = spotrs(factors, (left / scale).astype(np.float32))[0] * scale
        x += correction
        size = np.abs(correction).max() / (np.abs(x).max() or 1.0)
        if size * min(size / before, 1) < SMALL_ERROR:
            return x
        left, before = right - (_product(a, x) + column * x), size
    return None
