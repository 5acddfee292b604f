"""Products of signals: DotInc, ElementwiseInc, SparseDotInc and BsrDotInc."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras.ops as ops
import numpy as np
from nengo.builder.operator import BsrDotInc, DotInc, ElementwiseInc, SparseDotInc

from nengo_dl.compiler.kernel import Kernel, Prepared, SingleOperatorKernel, register
from nengo_dl.compiler.share import multiplicity


class DotKernel(Kernel):
    """``Y += A.X`` for matrices of one shape (rows, columns) in a group."""

    every_step_alone = True
    shared = 1

    def merge_key(self, op):
        # learned weights have a batch dimension, so they are kept apart from constant ones
        return (_matrix_shape(op), op.A.readonly)

    def writes(self, op):
        return (op.Y,)

    def operands(self, ops_):
        weights, vectors = super().operands(ops_)
        return [weights, vectors[:: multiplicity(vectors)]]

    def prepare(self, ops_, settings):
        rows, columns = _matrix_shape(ops_[0])
        k = multiplicity([op.X for op in ops_])
        n, rows, total_rows = len(ops_) // k, k * rows, len(ops_) * rows
        form = FORMS[settings.product_form(n, rows, columns, settings.minibatch_size)]
        matmul = settings.matmul or ops.matmul
        half = settings.half_for(rows, columns) if ops_[0].A.readonly else None
        if half is not None:
            form = FORMS["one matrix" if n == 1 else "matmul"]
            matmul = partial(matmul, half=half)

        def arrange(weights):
            weights = ops.reshape(weights, (-1, n, rows, columns))
            return form.arrange(weights[0]) if weights.shape[0] == 1 else weights

        def step(context, constants, weights, x):
            x = ops.reshape(x, (-1, n, columns))
            if len(weights.shape) == 4:  # learned, different for each item
                y = ops.matmul(weights, x[..., None])
            else:
                y = form.multiply(weights, x, matmul)
            return (ops.reshape(y, (-1, total_rows)),)

        one = rows * columns if n == 1 and ops_[0].A.readonly else 0
        return Prepared(step, arrange={0: arrange}, matrix=one)


def _matrix_shape(op: DotInc) -> tuple[int, int]:
    """The product as a matrix times a column vector."""
    a, x = op.A, op.X
    if a.ndim == 2:
        return a.shape
    if a.ndim == 0:
        # a number times a vector is done as an outer product with one column
        return (1, 1) if x.size == 1 else (x.size, 0)
    return (1, a.size) if x.size == a.size else (a.size, 1)


@dataclass(frozen=True)
class Form:
    """A way to multiply n matrices (n, rows, columns) with vectors (batch, n, columns) to (batch,
    n, rows).

    ``arrange`` brings the matrices into the form that ``multiply`` wants; for constant matrices it
    is done once. ``multiply`` is given the backend's product of two matrices, too.
    """

    arrange: Callable
    multiply: Callable


#: the ways between which a backend's ``product_form`` chooses; see there for the measurements
FORMS = {
    "one matrix": Form(
        lambda a: ops.transpose(a[0]),
        lambda a, x, matmul: matmul(x[:, 0], a)[:, None],
    ),
    "columns": Form(  # matrices of one column
        lambda a: a[..., 0],
        lambda a, x, _: x * a,
    ),
    "rows": Form(  # matrices of one row
        lambda a: a[:, 0],
        lambda a, x, _: ops.sum(x * a, axis=-1, keepdims=True),
    ),
    "einsum": Form(
        lambda a: a,
        lambda a, x, _: ops.einsum("noi,bni->bno", a, x),
    ),
    "transposed einsum": Form(
        lambda a: ops.transpose(a, (0, 2, 1)),
        lambda a, x, _: ops.einsum("nio,bni->bno", a, x),
    ),
    "matmul": Form(
        lambda a: ops.transpose(a, (0, 2, 1)),
        lambda a, x, matmul: ops.transpose(matmul(ops.transpose(x, (1, 0, 2)), a), (1, 0, 2)),
    ),
    "sum": Form(
        lambda a: a,
        lambda a, x, _: ops.sum(x[:, :, None, :] * a, axis=-1),
    ),
    "transposed sum": Form(
        lambda a: ops.transpose(a, (0, 2, 1)),
        lambda a, x, _: ops.sum(x[:, :, :, None] * a, axis=2),
    ),
}


class ElementwiseKernel(Kernel):
    """``Y += A * X`` with numpy's broadcasting."""

    every_step_alone = True

    def merge_key(self, op):
        a, x, y = (_two_dimensional(sig.shape) for sig in (op.A, op.X, op.Y))
        if a == x == y:
            return ("same",)  # columns are independent, so any sizes go together
        return (a, x, y)

    def writes(self, op):
        return (op.Y,)

    def prepare(self, ops_, settings):
        key, n = self.merge_key(ops_[0]), len(ops_)

        def same(context, constants, a, x):
            return (a * x,)

        def broadcast(context, constants, a, x):
            a = ops.reshape(a, (-1, n, *key[0]))
            x = ops.reshape(x, (-1, n, *key[1]))
            return (ops.reshape(a * x, (-1, n * int(np.prod(key[2])))),)

        return Prepared(same if key == ("same",) else broadcast)


def _two_dimensional(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (2 - len(shape)) + tuple(shape)


class SparseDotKernel(SingleOperatorKernel):
    """``Y += A.X`` where A is sparse; its operand is the vector of its non-zero entries."""

    every_step_alone = True

    def writes(self, op):
        return (op.Y,)

    def prepare_one(self, op, settings):
        rows, columns = _coordinates(op.A.initial_value)
        constants = {"rows": rows.astype(np.int32), "columns": columns.astype(np.int32)}
        size = op.Y.size

        def step(context, constants, data, x):
            products = data * ops.take(x, constants["columns"], axis=-1)
            sums = ops.segment_sum(ops.transpose(products), constants["rows"], num_segments=size)
            return (ops.transpose(sums),)

        return Prepared(step, constants)


def _coordinates(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each stored entry, in the order of ``matrix.data``."""
    if hasattr(matrix, "tocoo"):
        matrix = matrix.tocoo()
        return matrix.row, matrix.col
    return tuple(np.asarray(matrix.indices).T)


class BlockSparseDotKernel(SingleOperatorKernel):
    """``Y += A.X`` where A holds the blocks of a block sparse row matrix; Nengo's optimizer makes
    them.
    """

    every_step_alone = True

    def writes(self, op):
        return (op.Y,)

    def prepare_one(self, op, settings):
        n_blocks, rows, columns = op.A.shape
        n_rows = op.Y.size // rows
        constants = {
            "rows": np.repeat(np.arange(n_rows), np.diff(op.indptr)).astype(np.int32),
            "columns": np.asarray(op.indices, dtype=np.int32),
        }

        def step(context, constants, blocks, x):
            blocks = ops.reshape(blocks, (-1, n_blocks, rows, columns))
            x = ops.reshape(x, (-1, op.X.size // columns, columns))
            x = ops.take(x, constants["columns"], axis=1)
            products = ops.sum(blocks * x[:, :, None, :], axis=-1)
            products = ops.transpose(products, (1, 0, 2))  # the blocks first
            sums = ops.segment_sum(products, constants["rows"], num_segments=n_rows)
            return (ops.reshape(ops.transpose(sums, (1, 0, 2)), (-1, n_rows * rows)),)

        return Prepared(step, constants)


@register(DotInc)
def _choose_dot(op):
    # a number times a longer vector has no matrix form
    return ElementwiseKernel() if _matrix_shape(op)[1] == 0 else DotKernel()


@register(BsrDotInc)
def _choose_block_sparse(op):
    return BlockSparseDotKernel()


@register(ElementwiseInc)
def _choose_elementwise(op):
    return ElementwiseKernel()


@register(SparseDotInc)
def _choose_sparse(op):
    return SparseDotKernel()
