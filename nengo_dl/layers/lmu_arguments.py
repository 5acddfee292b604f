"""Arguments of a Legendre memory unit."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from nengo_dl.runtime.checks import integer

#: in place of a hidden component that is not given: the one of the paper
PAPER = "paper"


def check_given(
    of_paper: bool, units: Any, memory_d: Any, first: Any, order: Any, theta: Any
) -> None:
    """Raise an error for arguments that do not go together."""
    if order is None or theta is None or first is None:
        raise TypeError(
            "an LMU needs order, theta and either units (the hidden state of the paper) or "
            "memory_d and hidden_cell"
        )
    if of_paper and memory_d is not None:
        raise TypeError(
            "memory_d was given without hidden_cell; give hidden_cell=..., a layer or the cell of "
            "a recurrent one, or None for the memory alone"
        )
    if not of_paper and memory_d is not None and units is not None:
        raise TypeError(
            f"units={units!r} was given together with hidden_cell, which has its own size; leave "
            "units out"
        )


def ones(like: Any, size: int) -> Any:
    """(batch, size), of the batch and type of ``like``."""
    return ops.ones((ops.shape(like)[0], size), dtype=like.dtype)


def first_given(value: bool | None, otherwise: bool) -> bool:
    """A flag, or what it is where it was not given."""
    return otherwise if value is None else bool(value)


def initializers(of_paper: bool, kernel: Any, recurrent: Any) -> tuple[Any, Any]:
    """Of the weights into the memory; PAPER for those of the paper, which differ by origin."""
    given = isinstance(kernel, str) and kernel == PAPER
    if not given or not of_paper:
        kernel = keras.initializers.get("glorot_uniform" if given else kernel)
    if isinstance(recurrent, str) and recurrent == PAPER:
        recurrent = "zeros" if of_paper else "orthogonal"
    return kernel, keras.initializers.get(recurrent)


def stacked(name: str, rows: list[int]) -> Any:
    """An initializer that draws weights from each origin as if they were a matrix of its own."""

    def draw(shape, dtype=None):
        drawn = [keras.initializers.get(name)((n, shape[1]), dtype=dtype) for n in rows]
        return ops.concatenate(drawn, axis=0)

    return draw


def hidden_component(given: Any, of_paper: bool, units: Any, activation: Any, dtype: Any) -> Any:
    """The layer or cell that reads the memory; None for none."""
    if isinstance(given, dict):
        return keras.saving.deserialize_keras_object(given)
    if not of_paper:
        return given
    if (integer(units) or 0) < 1:
        raise ValueError(f"units was given {units!r}; expected a positive integer")
    return keras.layers.SimpleRNNCell(
        units,
        activation,
        use_bias=False,
        kernel_initializer="glorot_normal",
        recurrent_initializer="glorot_normal",
        dtype=dtype,
        name="hidden",
    )
