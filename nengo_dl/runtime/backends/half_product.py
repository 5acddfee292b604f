"""Products of matrices in half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras.ops as ops


def multiply(x: Any, a: Any, dtype: str, product: Callable[[Any, Any], Any]) -> Any:
    """``x a`` for matrices that are rounded, with sums in single precision; the gradients are such
    products, too.

    What is the same in each step is rounded in each step, too, but only as it is written here: XLA
    moves it out of the loop. To be rounded before would give it a gradient in half precision, to
    which each step added.

    Parameters
    ----------
    x, a
        Tensors (..., rows, terms) and (..., terms, columns) in single precision; not variables, of
        which `custom_gradient` asks more.
    dtype
        ``"float16"`` or ``"bfloat16"``.
    product
        Multiplies matrices of this type; the result is in single precision.
    """

    @ops.custom_gradient
    def rounded_product(x, a):
        x, a = ops.cast(x, dtype), ops.cast(a, dtype)

        def gradient(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            upstream = ops.cast(upstream, dtype)
            d_x = product(upstream, ops.swapaxes(a, -1, -2))
            return d_x, product(ops.swapaxes(x, -1, -2), upstream)

        return product(x, a), gradient

    return rounded_product(x, a)
