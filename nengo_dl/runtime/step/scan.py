"""Loops over the steps of a sequence for training, besides the plain one of the backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops


@dataclass(frozen=True)
class InitialState:
    """In what state sequences start: values of the network's states, (minibatch_size, width), and
    then of what Keras layers change in a step; and the number of the first step.
    """

    state: Sequence[Any]
    step: Any


@dataclass(frozen=True)
class Wanted:
    """The numbers of the outputs that are wanted, and for each whether every step is, or the last
    one.
    """

    outputs: Sequence[int]
    kept: Sequence[bool]


def unrolled_scan(step, state, rows, n_steps: int, kept: Sequence[bool], shapes, dtype):
    """As the backends' ``scan``, without a loop."""
    history: list[list] = []
    # in one operation: the gradient of an index is as large as all rows, for each step
    by_step = [ops.unstack(r, n_steps) for r in rows]
    for i in range(n_steps):
        state, outputs = step(state, [r[i] for r in by_step], i)
        history.append(outputs)
    joined = [
        ops.stack([now[k] for now in history], axis=1) if keep else history[-1][k][:, None]
        for k, keep in enumerate(kept)
    ]
    return state, joined


def n_segments(setting: Any, n_steps: int) -> int:
    """Into how many segments to cut a sequence: the number that was set, or about its square root
    for True.
    """
    if not setting:
        return 1
    wanted = round(n_steps**0.5) if setting is True else int(setting)
    return max(1, min(wanted, n_steps))


def fitting_segments(n_steps: int, step_bytes: int, state_bytes: int, free_bytes: float) -> int:
    """The fewest segments, of at least two, that fit into memory: the states before each, and what
    is kept of the steps of one, or of those that remain. Where none fit, those that take the least.
    """
    taken = {
        k: max(n_steps // k, n_steps % k) * step_bytes + k * state_bytes
        for k in range(2, n_steps + 1)
    }
    fitting = (k for k, needed in taken.items() if needed <= free_bytes)
    return next(fitting, min(taken, key=taken.__getitem__, default=1))


def segmented_scan(
    backend: Any,
    step: Callable,
    invariant: Sequence[Any],
    state: Sequence[Any],
    rows: Sequence[Any],
    n_steps: int,
    segments: int,
    kept: Sequence[bool],
    shapes: Sequence[tuple[int, int]],
    dtype: str,
):
    """As the backends' ``scan``, but only the states between segments are kept for the gradient.

    In the backward pass each segment is computed again (Chen et al., 2016, "Training deep nets with
    sublinear memory cost", arXiv:1604.06174): with about sqrt(n_steps) segments memory grows with
    the square root of the number of steps.

    Parameters
    ----------
    step
        ``step(invariant, state, rows_now, i) -> (state, outputs)``; it may use no other tensors
        than these.
    """
    length = n_steps // segments
    looped = segments * length

    def segment(invariant, state, rows, first):
        def one(state, now, i):
            return step(invariant, state, now, first + i)

        return backend.scan(one, state, rows, length, kept, shapes, dtype)

    recomputed = backend.checkpoint(segment)

    def outer(state, rows, i):
        return recomputed(invariant, state, rows, i * length)

    cut = [ops.reshape(r[:looped], (segments, length, *r.shape[1:])) for r in rows]
    widths = [(b, length if keep else 1, w) for (b, w), keep in zip(shapes, kept, strict=True)]
    state, outputs = backend.scan(outer, list(state), cut, segments, kept, widths, dtype)
    outputs = [ops.reshape(o, (b, -1, w)) for o, (b, w) in zip(outputs, shapes, strict=True)]
    rest = n_steps - looped
    if not rest:
        return state, outputs

    def last(state, now, i):
        return step(invariant, state, now, looped + i)

    state, tail = backend.scan(last, state, [r[looped:] for r in rows], rest, kept, shapes, dtype)
    joined = [
        ops.concatenate([o, t], axis=1) if keep else t
        for o, t, keep in zip(outputs, tail, kept, strict=True)
    ]
    return state, joined
