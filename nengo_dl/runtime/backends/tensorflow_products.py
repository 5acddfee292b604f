"""Sums and products on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from nengo_dl._private.tensorflow import is_in_xla, stored
from nengo_dl.runtime.backends import half_product, large_product


def product_form(n: int, rows: int, columns: int, batch: int) -> str:
    if n == 1:
        return "one matrix"
    if columns == 1:
        return "columns"
    if rows == 1:
        return "rows"
    return "einsum" if batch == 1 and columns > 16 else "matmul"


def adds_slices(rows: int, width: int, batch: int) -> bool:
    return False


def matmul(x, a, half: str | None = None):
    if half is not None:
        return half_product.multiply(x, a, half, _sums_in_single_precision)
    if not is_in_xla() or _has_gpu():
        return tf.matmul(x, a)
    return large_product.multiply(x, a, stored)


def _sums_in_single_precision(x, a):
    if is_in_xla():
        return tf.matmul(x, a, output_type=tf.float32)
    # TensorFlow itself has only sums that are rounded again; these are the same numbers as XLA's
    return tf.matmul(tf.cast(x, tf.float32), tf.cast(a, tf.float32))


def half_convolution(function: Callable, half: str) -> Callable:
    """There are only convolutions with sums that are rounded."""
    return function


def convolves_faster_in_graph() -> bool:
    """Whether convolutions are trained faster without XLA: by oneDNN, on the CPU."""
    return not _has_gpu()


def _has_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))
