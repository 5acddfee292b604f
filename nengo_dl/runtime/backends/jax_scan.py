"""Loops on JAX: of simulations, and of training, differentiable in reverse."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from nengo_dl import tuning
from nengo_dl._private.jax import has_triton
from nengo_dl.runtime.step.chunk import Chunk, merge_outputs, split_outputs


def run_steps(chunk: Chunk, invariant, state, rows, first_step, n_steps):
    def step(loop):
        i, state, buffers, _ = loop
        now = [jax.lax.dynamic_index_in_dim(r, i, keepdims=False) for r in rows]
        state, outputs = chunk.step(invariant, state, now, first_step + i)
        history, last = split_outputs(outputs, chunk.kept)
        buffers = [
            jax.lax.dynamic_update_index_in_dim(b, value, i, 0)
            for b, value in zip(buffers, history, strict=True)
        ]
        return i + 1, state, buffers, last

    loop = (jnp.zeros((), jnp.int32), chunk.carry.shaped(state), *_buffers(chunk))
    several = _repeat(step, chunk.unroll, chunk.inner)
    if several is not step:
        loop = _loop(several, loop, n_steps - chunk.unroll * chunk.inner + 1)
    _, state, buffers, last = _loop(step, loop, n_steps)
    return chunk.carry.flat(state), merge_outputs(buffers, last, chunk.kept)


def _buffers(chunk: Chunk):
    shapes = [(chunk.minibatch_size, width) for width in chunk.output_widths]
    history, last = split_outputs(shapes, chunk.kept)
    buffers = [jnp.zeros((chunk.capacity, *shape), chunk.dtype) for shape in history]
    return buffers, [jnp.zeros(shape, chunk.dtype) for shape in last]


def _loop(step, loop, bound):
    return jax.lax.while_loop(lambda loop: loop[0] < bound, step, loop)


def _repeat(step, unroll: int, inner: int):
    """``inner`` times ``unroll`` steps."""

    def unrolled(loop):
        for _ in range(unroll):
            loop = step(loop)
        return loop

    body = step if unroll == 1 else unrolled
    if inner == 1:
        return body
    return lambda loop: jax.lax.fori_loop(0, inner, lambda _, loop: body(loop), loop)


def scan(step, state, rows, n_steps: int, kept, shapes, dtype: str):
    return _scan(step, state, rows, n_steps, kept, 1)


def _scan(step, state, rows, n_steps: int, kept, unroll: int):
    def body(state, now):
        i, rows = now
        state, outputs = step(state, rows, i)
        return state, outputs

    # the whole history of an output of which only the last step is wanted is not kept by XLA
    steps = jnp.arange(n_steps, dtype=jnp.int32)
    state, outputs = jax.lax.scan(body, state, (steps, rows), unroll=unroll)
    outputs = [
        jnp.swapaxes(value, 0, 1) if keep else value[-1][:, None]
        for value, keep in zip(outputs, kept, strict=True)
    ]
    return state, outputs


def recomputing_scan(step, invariant, state, rows, n_steps: int, kept, shapes, dtype: str):
    step = jax.checkpoint(partial(step, invariant))
    unroll = 1 if _platform() == "cpu" else tuning.GPU_TRAINING_STEPS
    return _scan(step, state, rows, n_steps, kept, unroll)


def fused_scan():
    """The loop of `jax_sequence_kernels`, on a GPU."""
    if _platform() == "cpu" or not has_triton():
        return None
    # takes a while to import, and is not there in every version
    from nengo_dl.runtime.backends import jax_sequence_kernels

    return jax_sequence_kernels.fused_scan


def _platform() -> str:
    """Of the device on which is computed what is traced now."""
    chosen = jax.config.jax_default_device
    return getattr(chosen, "platform", chosen) or jax.default_backend()


def checkpoint(function):
    # what surrounds a function is differentiated too, so only what changes has to be an argument
    def call(invariant, state, rows, first):
        return jax.checkpoint(lambda *a: function(invariant, *a))(state, rows, first)

    return call
