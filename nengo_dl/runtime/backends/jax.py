"""JAX: a compiled loop with a bound that is a run-time value."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.experimental import io_callback
from nengo.exceptions import SimulationError

from nengo_dl import process_settings
from nengo_dl._private.keras import present
from nengo_dl.runtime.backends import large_product, memory_maps
from nengo_dl.runtime.backends.jax_convolutions import write_out_transpositions
from nengo_dl.runtime.chunk import Chunk, merge_outputs, split_outputs
from nengo_dl.runtime.reuse.functions import MOST, chunk_functions

process_settings.keep_freed_memory()
process_settings.compute_in_calling_thread(jax)
write_out_transpositions()

name = "jax"
compiles_host_calls = True
#: compiled functions are given the values of variables
reads_variables = False
#: steps of a loop of training that become one on a GPU, where to start a small operation takes
#: longer than the operation
GPU_UNROLL = 8


def precision(dtype: str):
    """JAX computes in 64 bits only where it is told to."""
    return process_settings.x64(jax) if dtype == "float64" else nullcontext()


def placement(device: str | None):
    """Context manager that puts new tensors on ``device``, given as in "/cpu:0"."""
    if device is None:
        return nullcontext()
    platform, _, index = device.strip("/").partition(":")
    return jax.default_device(jax.devices(platform)[int(index or 0)])


def devices() -> list[str]:
    """Names of the devices, as in "/cpu:0"."""
    found = dict.fromkeys([*jax.devices(), *jax.devices("cpu")])
    return [f"/{d.platform}:{d.id}" for d in found]


def tensor(array: np.ndarray, dtype: str):
    """A tensor on the device."""
    # JAX's own conversions and copies compile a function for each shape, which takes 25 ms; the
    # copy is numpy's, as a tensor may share the memory of the array that it is made of
    return jax.device_put(np.array(array, dtype=dtype))


def argument(array: np.ndarray, dtype: str):
    """An array to call a compiled function with; it takes those of numpy fastest."""
    return np.asarray(array, dtype=dtype)


def shared(size: int, dtype: str):
    """A vector, and an argument of compiled functions whose values are those of the vector when
    such a function is called; to be filled again when the results of the call are there.
    """
    vector = np.zeros(size, dtype)
    return vector, vector


def array(value) -> np.ndarray:
    """A tensor's values on the host."""
    return np.asarray(value)


def host_call(function, tensors, shapes):
    """Call numpy code, in program order.

    Doubles travel as pairs of integers: JAX may make the call in a thread that knows nothing of
    `precision`, and would round them.
    """
    doubles = [t.dtype == jnp.float64 for t in tensors]
    tensors = [_to_bits(t) if double else t for t, double in zip(tensors, doubles, strict=True)]

    def on_host(*arrays):
        arrays = [np.asarray(a) for a in arrays]
        results = function(
            *(a.view(np.float64)[..., 0] if d else a for a, d in zip(arrays, doubles, strict=True))
        )
        return [_array_bits(r) if _is_double(r.dtype) else r for r in results or ()]

    results = io_callback(on_host, [_carrier(*s) for s in shapes], *tensors, ordered=True)
    return [
        jax.lax.bitcast_convert_type(r, jnp.float64) if _is_double(dtype) else r
        for r, (_, dtype) in zip(results, shapes, strict=True)
    ]


def _is_double(dtype) -> bool:
    return np.dtype(dtype) == np.float64


def _carrier(shape, dtype):
    """What a result of the host is on its way to the device."""
    if _is_double(dtype):
        return jax.ShapeDtypeStruct((*shape, 2), np.int32)
    return jax.ShapeDtypeStruct(shape, dtype)


def _to_bits(tensor):
    return jax.lax.bitcast_convert_type(tensor, jnp.int32)


def _array_bits(value: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(value)[..., None].view(np.int32)


def run_steps(chunk: Chunk, invariant, state, rows, first_step, n_steps):
    """The loop over the steps, in a function that is compiled: state and outputs."""

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


def chunk_function(chunk: Chunk, jit: bool | None):
    """A function ``(arguments, fixed, state, rows, first_step, n_steps) -> (state, outputs)``."""

    def run(arguments, fixed, state, rows, first_step, n_steps):
        invariant = chunk.prepare(arguments, fixed)
        return run_steps(chunk, invariant, state, rows, first_step, n_steps)

    if jit is False:
        return run
    if chunk.key is None or is_distributed() or jax.config.jax_disable_jit:
        may_compile()
        return jax.jit(run)
    return _shared(jax.jit(run), chunk.key)


def _shared(jitted, key):
    """As ``jitted``, but what it compiles is kept for all functions of this key."""
    settings = _settings()
    own = _Compiled()
    _all_compiled.add(own)

    def run(arguments, fixed, state, rows, first_step, n_steps):
        values = arguments, fixed, state, rows, first_step, n_steps
        # rows are the same for all items, or different for each
        shapes = tuple(row.shape[1] for row in rows)
        function = own.get(shapes)
        if function is None:
            leaves, tree = jax.tree.flatten(values)
            function = own[shapes] = _kept(
                (name, key, settings, tree, tuple(map(_type, leaves))),
                lambda: jitted.lower(*values).compile(),
            )
        return function(*values)

    return run


def _settings() -> tuple:
    return (
        jax.config.jax_default_matmul_precision,
        jax.config.jax_numpy_dtype_promotion,
        jax.config.jax_numpy_rank_promotion,
        jax.config.jax_debug_nans,
        jax.config.jax_debug_infs,
    )


class _Compiled(dict):
    """Compiled functions by the shapes of their arguments, that can be taken from who has them."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


#: functions that were compiled in this process, and kept
_n_compiled = 0
_all_compiled: weakref.WeakSet[_Compiled] = weakref.WeakSet()


def may_compile(owner: Any = None) -> bool:
    """True; an error where the process has no memory maps left for what XLA compiles. Where they
    become few, what was compiled is given up, and compiled again when it is wanted.
    """
    if not memory_maps.has_room(_give_up):
        raise SimulationError(
            "the process has nearly all memory maps that the system gives it, and JAX cannot "
            f"compile without them; {memory_maps.ADVICE}"
        )
    return True


def _kept(key: Any, make: Callable[[], Any]) -> Any:
    """What `chunk_functions` has of this key. JAX's own caches keep what was traced, some 3 MB of a
    network, also for functions that are gone; they are cleared when as many were compiled as
    `chunk_functions` keeps.
    """

    def compile() -> Any:
        global _n_compiled
        may_compile()
        _n_compiled += 1
        if _n_compiled % MOST == 0:
            jax.clear_caches()
        return make()

    return chunk_functions.get(key, compile)


def _give_up() -> None:
    chunk_functions.clear()
    for compiled in list(_all_compiled):
        compiled.clear()
    gc.collect()
    if memory_maps.used() > memory_maps.HIGH:
        jax.clear_caches()
        gc.collect()


def _type(value) -> tuple:
    return value.shape, value.dtype, getattr(value, "weak_type", False)


def compiled(function, jit: bool | None):
    """A function of a list of tensors that returns such a list, compiled when it is called."""
    if jit is False:
        return function
    may_compile()
    return jax.jit(function)


def compiled_for(function, tensors, jit: bool | None, key=None):
    """As `compiled`, for tensors like these; with a key, shared by all functions of this key."""
    if key is not None:
        key = (name, key, _settings(), tuple(map(_type, tensors)))

    call = _kept(
        key, lambda: jax.jit(lambda *given: function(list(given))).lower(*tensors).compile()
    )
    return lambda given: call(*given)


def trace(function, tensors) -> None:
    """Call ``function`` with tensors that have no values."""
    jax.eval_shape(function, tensors)


def can_be_short(jit: bool | None) -> bool:
    """Whether functions are compiled as for any other simulator."""
    return jit is not False and not is_distributed() and not jax.config.jax_disable_jit


def version(variable):
    """Another object whenever a Keras variable has changed: the tensor that is its value."""
    return present(variable)


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


def scan(step, state, rows, n_steps: int, kept, shapes, dtype: str, unroll: int = 1):
    """Run ``step(state, rows_now, i) -> (state, outputs)``, differentiable in reverse.

    ``rows`` are (n_steps, batch, size); ``shapes`` are those of the outputs of a step. Returns the
    last state and outputs of shape (batch, n_steps or 1, size).
    """

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
    """As `scan` of ``step(invariant, state, rows_now, i)``, but of a step nothing is kept for the
    gradient but the state before it, from which the step is computed again.
    """
    step = jax.checkpoint(partial(step, invariant))
    unroll = 1 if jax.default_backend() == "cpu" else GPU_UNROLL
    return scan(step, state, rows, n_steps, kept, shapes, dtype, unroll)


def is_distributed() -> bool:
    """Whether Keras spreads models over several devices."""
    return keras.distribution.distribution() is not None


def stacks_batches(model) -> bool:
    """Whether batches that Keras gives run in blocks, too: its own function does as well."""
    return False


def block_function(model, batch_step, next_blocks):
    """A function ``(state, iterator) -> (logs, state)`` that trains on the blocks that
    ``next_blocks(iterator)`` gives.
    """

    def train(state, block, count):
        def one(i, state):
            batch = jax.tree.map(
                lambda v: jax.lax.dynamic_index_in_dim(v, i, keepdims=False), block
            )
            return batch_step(state, batch)

        def body(loop):
            i, _, state = loop
            return i + 1, *one(i, state)

        logs = jax.eval_shape(one, 0, state)[0]
        logs = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), logs)
        loop = (jnp.zeros((), jnp.int32), logs, state)
        return jax.lax.while_loop(lambda loop: loop[0] < count, body, loop)[1:]

    compiled = jax.jit(train, donate_argnums=0)

    def run(state, iterator):
        for block, count in next_blocks(iterator):
            logs, state = compiled(state, block, count)
        return logs, state

    return run


def output_shapes(function, shapes, dtype: str):
    """Shapes of what ``function`` returns for tensors of these shapes, without computing it."""
    specs = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return jax.tree.map(lambda value: tuple(value.shape), jax.eval_shape(function, *specs))


def loses_seed_in_xla(function, shapes, dtype: str) -> bool:
    """Whether what ``function`` draws has no seed once XLA compiles it: JAX has keys for all."""
    return False


def product_form(n: int, rows: int, columns: int, batch: int) -> str:
    """The fastest of `nengo_dl.lowering.products.FORMS` for n matrices (rows, columns), from
    measurements on the CPU.
    """
    if n == 1:
        return "one matrix"
    if columns == 1:
        return "columns"
    if rows > 1 and columns <= 16:
        return "transposed einsum" if batch == 1 else "transposed sum"
    return "einsum"


def matmul(x, a):
    """The product of two matrices."""
    if jax.default_backend() != "cpu":
        return jnp.matmul(x, a)
    return large_product.multiply(x, a, jax.lax.optimization_barrier)


def convolves_faster_in_graph() -> bool:
    """There is nothing but XLA."""
    return False


def gradients(function, tensors) -> list:
    """Gradients of a scalar function of a list of tensors."""
    return jax.grad(function)(tensors)


def variable_values(model) -> list:
    """Copies on the host: training takes the memory of the variables and gives it back when an
    epoch ends.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(() if optimizer is None else optimizer.variables)]
    return [(v, np.array(v.value)) for v in variables if not _is_lost(v)]


def restore_variables(model, values: list) -> None:
    """Give the variables those of `variable_values` if one was lost, all of them so that they fit
    together.
    """
    if any(_is_lost(variable) for variable, _ in values):
        for variable, value in values:
            variable.assign(value)
    model.reset_metrics()


def _is_lost(variable) -> bool:
    value = present(variable)
    return value is None or value.is_deleted()


def finish_batch(model) -> None:
    """Keras keeps the values that a batch gave aside until the epoch ends."""
    model.jax_state_sync()


def checkpoint(function):
    """``function`` whose inner values are computed again for the gradient."""

    # what surrounds a function is differentiated too, so only what changes has to be an argument
    def call(invariant, state, rows, first):
        return jax.checkpoint(lambda *a: function(invariant, *a))(state, rows, first)

    return call
