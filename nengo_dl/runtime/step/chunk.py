"""The loop over the steps of a chunk, as the backends see it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields

from nengo_dl.runtime.step.carry import Carry

#: fields of a `Chunk` for which its ``structure`` and the shapes of the carry stand
FUNCTIONS = {"invariant", "step", "carry"}


@dataclass(frozen=True)
class Chunk:
    """What a backend compiles into one function that runs any number of steps up to ``capacity``.

    Attributes
    ----------
    invariant
        ``invariant(arguments, fixed) -> invariant``: everything that is the same in each step,
        computed before the loop.
    step
        ``step(invariant, state, rows, step_index) -> (state, outputs)``, pure. ``rows`` holds one
        (batch, width) tensor for each input that changes from step to step, ``step_index`` is 1 in
        the first step. The state is as ``carry`` shapes it.
    carry
        The shapes of the state within the loop.
    capacity
        Rows of the buffers.
    kept
        For each output, whether every step is kept, or only the last.
    output_widths
        Width of each output.
    unroll
        Steps in the body of the loop.
    inner
        How often the body runs between two looks at the number of steps. A GPU waits for the host
        at each; TensorFlow looks each time.
    dtype, minibatch_size
        Of the outputs.
    device
        Where it runs, None for the backend's choice.
    structure
        Equal for ``invariant`` and ``step`` that compute the same, of whatever simulator
        (`step_structure`); None where that is not known of any other.
    """

    invariant: Callable
    step: Callable
    carry: Carry
    capacity: int
    kept: tuple[bool, ...]
    output_widths: tuple[int, ...]
    unroll: int
    inner: int
    dtype: str
    minibatch_size: int
    device: str | None = None
    structure: str | None = None

    @property
    def key(self) -> Hashable | None:
        """Equal for chunks that make the same of the same arguments; None if that is not known."""
        if self.structure is None:
            return None
        own = (getattr(self, field.name) for field in fields(self) if field.name not in FUNCTIONS)
        return (tuple(self.carry.shapes), *own)


def split_outputs(outputs, kept: tuple[bool, ...]) -> tuple[list, list]:
    """Outputs of which every step is kept, and those of which only the last is."""
    history = [o for o, keep in zip(outputs, kept, strict=True) if keep]
    last = [o for o, keep in zip(outputs, kept, strict=True) if not keep]
    return history, last


def merge_outputs(history: list, last: list, kept: tuple[bool, ...]) -> list:
    """The inverse of `split_outputs`."""
    with_history, with_last = iter(history), iter(last)
    return [next(with_history) if keep else next(with_last) for keep in kept]
