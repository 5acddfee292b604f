"""What a simulation leaves after a number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class State(NamedTuple):
    """The carry after ``n_steps`` steps. Replaced as a whole, so that an interruption never leaves
    half of one.

    ``carried`` are the values of the Keras variables that a step changes; None: those that the
    variables have.
    """

    tensors: Sequence[Any]
    n_steps: int
    carried: tuple[Any, ...] | None = None
