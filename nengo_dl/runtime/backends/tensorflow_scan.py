"""Loops on TensorFlow: of simulations, and of training, differentiable in reverse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from nengo_dl import tuning
from nengo_dl._private.tensorflow import is_in_xla
from nengo_dl.runtime.step.chunk import Chunk, merge_outputs, split_outputs
from nengo_dl.runtime.step.frame import Invariant
from nengo_dl.runtime.step.scan import unrolled_scan


def run_steps(chunk: Chunk, invariant, state, rows, first_step, n_steps):
    def step(i, state, arrays, last):
        state, outputs = chunk.step(
            invariant, state, [tf.gather(r, i) for r in rows], first_step + i
        )
        history, last = split_outputs(outputs, chunk.kept)
        arrays = [a.write(i, value) for a, value in zip(arrays, history, strict=True)]
        return i + 1, state, arrays, last

    arrays, last = _buffers(chunk)
    loop = (tf.constant(0), chunk.carry.shaped(state), arrays, last)
    if chunk.unroll > 1:
        loop = _loop(_repeat(step, chunk.unroll), loop, n_steps - chunk.unroll + 1)
    _, state, arrays, last = _loop(step, loop, n_steps)
    state = chunk.carry.flat(state)
    return state, merge_outputs([a.stack() for a in arrays], last, chunk.kept)


def _buffers(chunk: Chunk):
    shapes = [(chunk.minibatch_size, width) for width in chunk.output_widths]
    history, last = split_outputs(shapes, chunk.kept)
    arrays = [
        tf.TensorArray(chunk.dtype, size=chunk.capacity, element_shape=shape) for shape in history
    ]
    return arrays, [tf.zeros(shape, chunk.dtype) for shape in last]


def _loop(step, loop, bound):
    return tf.while_loop(
        lambda i, *_: i < bound, step, loop, parallel_iterations=1, swap_memory=False
    )


def _repeat(step, times: int):
    def body(*loop):
        for _ in range(times):
            loop = step(*loop)
        return loop

    return body


def scan(step, state, rows, n_steps: int, kept, shapes, dtype: str):
    if not (tf.is_tensor(n_steps) or n_steps > tuning.UNROLLED_TRAINING_STEPS or is_in_xla()):
        return unrolled_scan(step, state, rows, n_steps, kept, shapes, dtype)
    readers = [_reader(r, n_steps) for r in rows]

    def body(i, state, arrays, last):
        state, outputs = step(state, [read(i) for read in readers], i)
        history, last = split_outputs(outputs, kept)
        arrays = [a.write(i, value) for a, value in zip(arrays, history, strict=True)]
        return i + 1, state, arrays, last

    history, last = split_outputs(shapes, kept)
    arrays = [tf.TensorArray(dtype, size=n_steps, element_shape=shape) for shape in history]
    last = [tf.zeros(shape, dtype) for shape in last]
    _, state, arrays, last = tf.while_loop(
        lambda i, *_: i < n_steps,
        body,
        (tf.constant(0), state, arrays, last),
        parallel_iterations=1,
        maximum_iterations=n_steps,
    )
    outputs = [_batch_first(a.stack()) for a in arrays]
    return state, merge_outputs(outputs, [value[:, None] for value in last], kept)


def recomputing_scan(step, invariant, state, rows, n_steps: int, kept, shapes, dtype: str):
    """As `scan` of ``step(invariant, state, rows_now, i)``, but of a step nothing is kept for the
    gradient but the state before it, from which the step is computed again.

    TensorFlow itself keeps each value that some derivative needs, on lists of which it takes one
    off by overwriting it.
    """
    if not (tf.is_tensor(n_steps) or n_steps > tuning.UNROLLED_TRAINING_STEPS or is_in_xla()):
        return scan(partial(step, invariant), state, rows, n_steps, kept, shapes, dtype)
    loop = _RecomputingLoop(step, invariant, state, rows, n_steps, kept, shapes, dtype)
    end, history, last = loop.split(loop.run(*loop.arguments))
    outputs = merge_outputs(
        [_batch_first(value) for value in history], [value[:, None] for value in last], kept
    )
    return end, outputs


class _RecomputingLoop:
    """The loop of `recomputing_scan`, and its gradient. Everything that it depends on is an
    argument of ``run``, as `tf.custom_gradient` wants it.
    """

    def __init__(self, step, invariant, state, rows, n_steps, kept, shapes, dtype):
        self.step, self.n_steps, self.kept, self.dtype = step, n_steps, kept, dtype
        self.keys = invariant.keys()
        self.n_states, self.state_shapes = len(state), [value.shape for value in state]
        self.history_shapes, self.last_shapes = split_outputs(shapes, kept)
        given = (*invariant.tensors(), *state, *rows)
        self.arguments = [tf.convert_to_tensor(value) for value in given]  # some are variables
        self.run = tf.custom_gradient(self._run)

    def split(self, results: list) -> tuple[list, list, list]:
        """State, history and last outputs."""
        a, b = self.n_states, self.n_states + len(self.history_shapes)
        return list(results[:a]), list(results[a:b]), list(results[b:])

    def _unpack(self, flat) -> tuple[list, list, list]:
        """Invariant tensors, state and rows."""
        n = sum(map(len, self.keys))
        return list(flat[:n]), list(flat[n : n + self.n_states]), list(flat[n + self.n_states :])

    def _step(self, fixed, now, rows_now, i):
        """State, and outputs by whether all are kept, after a step."""
        after, outputs = self.step(Invariant.of(self.keys, fixed), now, rows_now, i)
        return after, *split_outputs(outputs, self.kept)

    def _arrays(self, shapes, dtypes=None) -> list[tf.TensorArray]:
        dtypes = dtypes or [self.dtype] * len(shapes)
        return [
            tf.TensorArray(dtype, size=self.n_steps, element_shape=shape)
            for shape, dtype in zip(shapes, dtypes, strict=True)
        ]

    def _run(self, *flat):
        fixed, state, rows = self._unpack(flat)

        def body(i, now, arrays, _):
            rows_now = [tf.gather(r, i) for r in rows]
            after, history, last = self._step(fixed, now, rows_now, i)
            return i + 1, after, _write(arrays, i, [*now, *history]), last

        arrays = self._arrays([*self.state_shapes, *self.history_shapes])
        last = [tf.zeros(shape, self.dtype) for shape in self.last_shapes]
        _, end, arrays, last = tf.while_loop(
            lambda i, *_: i < self.n_steps,
            body,
            (tf.constant(0), state, arrays, last),
            parallel_iterations=1,
        )
        stacked = [array.stack() for array in arrays]
        before, history = stacked[: self.n_states], stacked[self.n_states :]
        return [*end, *history, *last], lambda *given: self._gradient(flat, before, given)

    def _gradient(self, flat, before, given) -> list:
        """Gradients of all arguments, from those of all results."""
        # one tensor may be several arguments, each of which would get the gradient of all
        fixed, _, rows = self._unpack([tf.identity(value) for value in flat])
        d_end, d_history, d_last = self.split(given)
        gradient = partial(self._step_gradient, fixed, rows, before, d_history)
        # The last step is apart: it alone leads to the outputs of which only the last is wanted,
        # and it shows what there is a gradient of.
        d_fixed, d_now, d_rows = gradient(self.n_steps - 1, d_end, d_last)
        used = [k for k, d in enumerate(d_fixed) if d is not None]
        read = [k for k, d in enumerate(d_rows) if d is not None]
        sums = [d_fixed[k] for k in used]
        arrays = self._arrays([rows[k].shape[1:] for k in read], [rows[k].dtype for k in read])
        arrays = _write(arrays, self.n_steps - 1, [d_rows[k] for k in read])

        def body(i, d_now, sums, arrays):
            d_fixed, d_now, d_rows = gradient(i, d_now, [])
            sums = [
                a if d_fixed[k] is None else a + d_fixed[k] for k, a in zip(used, sums, strict=True)
            ]
            values = [tf.zeros_like(rows[k][0]) if d_rows[k] is None else d_rows[k] for k in read]
            return i - 1, d_now, sums, _write(arrays, i, values)

        start = tf.convert_to_tensor(self.n_steps) - 2, d_now, sums, arrays
        _, d_start, sums, arrays = tf.while_loop(
            lambda i, *_: i >= 0, body, start, parallel_iterations=1
        )
        found = dict(zip(used, sums, strict=True))
        found_rows = {k: array.stack() for k, array in zip(read, arrays, strict=True)}
        return [
            *(found.get(k) for k in range(len(fixed))),
            *d_start,
            *(found_rows.get(k) for k in range(len(rows))),
        ]

    def _step_gradient(self, fixed, rows, before, d_history, i, d_after, d_last):
        """Gradients of what a step reads; None for what does not lead to its results."""
        now, rows_now = [tf.gather(b, i) for b in before], [tf.gather(r, i) for r in rows]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            sources = [v for v in (*fixed, *now, *rows_now) if v.dtype.is_floating]
            tape.watch(sources)
            after, history, last = self._step(fixed, now, rows_now, i)
        results = [*after, *history, *(last if d_last else ())]
        given = [*d_after, *(tf.gather(d, i) for d in d_history), *d_last]
        found = iter(tape.gradient(results, sources, output_gradients=given))
        d = [next(found) if v.dtype.is_floating else None for v in (*fixed, *now, *rows_now)]
        d_fixed, d_now, d_rows = self._unpack(d)
        zeros = (tf.zeros_like(value) for value in now)
        d_now = [z if d is None else d for z, d in zip(zeros, d_now, strict=True)]
        return d_fixed, d_now, d_rows


def _write(arrays, i, values) -> list:
    return [array.write(i, value) for array, value in zip(arrays, values, strict=True)]


def _reader(rows, n_steps: int) -> Callable:
    """``rows[i]`` as a function of ``i``, for a loop that is differentiated."""
    if is_in_xla():
        return partial(tf.gather, rows)
    # outside of XLA the gradient of a gather is as large as all rows, in each step; XLA, in turn,
    # cannot compile the gradient of this
    array = tf.TensorArray(rows.dtype, n_steps, element_shape=rows.shape[1:])
    return array.unstack(rows).read


def _batch_first(value):
    rest = range(2, len(value.shape))
    return tf.transpose(value, (1, 0, *rest))


def checkpoint(function):
    """``function(invariant, state, rows, first)`` whose inner values are computed again for the
    gradient.

    TensorFlow's `tf.recompute_grad` has no gradient for tensors that a function takes from around
    it, so all are arguments.
    """

    def call(invariant, state, rows, first):
        keys, n_states = invariant.keys(), len(state)
        n_fixed = sum(map(len, keys))

        @tf.recompute_grad
        def flat(first, *tensors):
            fixed, rest = tensors[:n_fixed], list(tensors[n_fixed:])
            inner = Invariant.of(keys, fixed)
            return function(inner, rest[:n_states], rest[n_states:], first)

        return flat(first, *invariant.tensors(), *state, *rows)

    return call
