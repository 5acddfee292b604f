"""What the lowered neuron types are told when a Keras layer calls them."""

from __future__ import annotations

from typing import Any

from nengo_dl.layers.cell import Cell
from nengo_dl.lowering.context import StepContext


def step_context(
    cell: Cell, training: bool = False, lif_smoothing: float | None = None, surrogate: Any = None
) -> StepContext:
    """The surroundings of one step outside of a Nengo network."""
    return StepContext(
        dt=cell.dt_tensor(),
        dtype=cell.compute_dtype,
        training=training,
        lif_smoothing=lif_smoothing,
        step_index=None,
        # what these are for is not in layers
        host_call=None,  # type: ignore[arg-type]
        host=None,  # type: ignore[arg-type]
        variables=None,  # type: ignore[arg-type]
        surrogate=surrogate,
    )
