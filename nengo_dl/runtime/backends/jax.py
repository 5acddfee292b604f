"""JAX: a compiled loop with a bound that is a run-time value."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from nengo_dl import process_settings, tuning
from nengo_dl._private.keras import present_values
from nengo_dl.runtime.backends import half_product, large_product
from nengo_dl.runtime.backends.jax_convolutions import write_out_transpositions
from nengo_dl.runtime.backends.jax_devices import (  # noqa: F401  (they belong to the backend)
    array,
    in_force,
    none_in_force,
)
from nengo_dl.runtime.backends.jax_executables import (
    kept,
    may_compile,
    settings,
    shared_by_key,
    type_of,
)
from nengo_dl.runtime.backends.jax_half_convolution import (  # noqa: F401  (it belongs to the backend)
    half_convolution,
)
from nengo_dl.runtime.backends.jax_scan import (  # noqa: F401  (they belong to the backend)
    checkpoint,
    fused_scan,
    recomputing_scan,
    run_steps,
    scan,
)
from nengo_dl.runtime.step.chunk import Chunk

process_settings.keep_freed_memory()
process_settings.set_up_jax(jax)
write_out_transpositions()

name = "jax"
compiles_host_calls = True
#: options with which XLA needs 0.4 of the time to compile the pieces of a step of 100 neurons,
#: which are as fast (they are slower where there are thousands)
QUICKLY = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
#: compiled functions are given the values of variables, which are other objects when they change
reads_variables = False
versions = present_values


def precision(dtype: str):
    """JAX computes in 64 bits only where it is told to."""
    return process_settings.x64(jax) if dtype == "float64" else nullcontext()


def placement(device: str | None):
    if device is None:
        return nullcontext()
    platform, _, index = device.strip("/").partition(":")
    return jax.default_device(jax.devices(platform)[int(index or 0)])


def devices() -> list[str]:
    found = dict.fromkeys([*jax.devices(), *jax.devices("cpu")])
    return [f"/{d.platform}:{d.id}" for d in found]


def free_memory() -> int | None:
    device = jax.config.jax_default_device
    if not hasattr(device, "memory_stats"):  # none, or a platform
        device = jax.local_devices(backend=device)[0]
    found = device.memory_stats() or {}
    return found["bytes_limit"] - found["bytes_in_use"] if "bytes_limit" in found else None


def tensor(values: np.ndarray, dtype: str):
    # JAX's own conversions and copies compile a function for each shape, which takes 25 ms; the
    # copy is numpy's, as a tensor may share the memory of the array that it is made of
    return jax.device_put(np.array(values, dtype=dtype))


def shared(size: int, dtype: str):
    vector = np.zeros(size, dtype)
    return vector, vector


def split(vector, sizes) -> list:
    ends = np.cumsum([0, *sizes]).tolist()
    return [vector[start:stop] for start, stop in pairwise(ends)]


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


def chunk_function(chunk: Chunk, jit: bool | None):
    def run(arguments, fixed, state, rows, first_step, n_steps):
        invariant = chunk.invariant(arguments, fixed)
        return run_steps(chunk, invariant, state, rows, first_step, n_steps)

    if jit is False:
        return run
    if chunk.key is None or jax.config.jax_disable_jit:
        may_compile()
        return jax.jit(run)
    return shared_by_key(jax.jit(run), chunk.key, name)


def compiled_for(function, tensors, jit: bool | None, key=None, quickly: bool = False):
    if jit is False or jax.config.jax_disable_jit:
        return function
    quickly = quickly and _on_cpu()
    if key is not None:
        key = (name, key, settings(), quickly, tuple(map(type_of, tensors)))

    def make():
        lowered = jax.jit(lambda *given: function(list(given))).lower(*tensors)
        if quickly:
            try:
                return lowered.compile(QUICKLY)
            except jax.errors.JaxRuntimeError as error:
                if "No such compile option" not in str(error):  # another version of XLA
                    raise
        return lowered.compile()

    call = kept(key, make)
    return lambda given: call(*given)


def trace(function, tensors) -> None:
    jax.eval_shape(function, tensors)


def can_be_short(jit: bool | None) -> bool:
    return jit is not False and not jax.config.jax_disable_jit


def reference(variable):
    """Functions are given the values themselves."""
    return variable.value


def read(reference, variable):
    """The value that was given."""
    return reference


def stacks_batches(model) -> bool:
    """Whether batches that Keras gives run in blocks, too. Keras would compile a method of the
    model, and JAX takes what it once made of a method for what it is now, whatever has changed in
    the model.
    """
    return bool(model.jit_compile) and not model.run_eagerly


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
    if model.devices is not None:
        compiled = model.devices.block_function(train)

    def run(state, iterator):
        logs = None
        for block, count in next_blocks(iterator):
            logs, state = compiled(state, block, count)
        if logs is None:
            raise StopIteration
        return logs, state

    return run


def output_shapes(function, shapes, dtype: str):
    specs = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return jax.tree.map(lambda value: tuple(value.shape), jax.eval_shape(function, *specs))


def loses_seed_in_xla(function, shapes, dtype: str) -> bool:
    """Whether what ``function`` draws has no seed once XLA compiles it: JAX has keys for all."""
    return False


def product_form(n: int, rows: int, columns: int, batch: int) -> str:
    if n == 1:
        return "one matrix"
    if columns == 1:
        return "columns"
    if rows > 1 and columns <= 16:
        return "transposed einsum" if batch == 1 else "transposed sum"
    return "einsum"


def adds_slices(rows: int, width: int, batch: int) -> bool:
    few = tuning.SLICED_ROWS if batch == 1 else tuning.SLICED_ROWS // 2
    return width >= tuning.SLICED_WIDTH and rows <= few and _on_cpu()


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def matmul(x, a, half: str | None = None):
    if half is not None:
        return half_product.multiply(x, a, half, _sums_in_single_precision)
    if not _on_cpu():
        return jnp.matmul(x, a)
    return large_product.multiply(x, a, jax.lax.optimization_barrier)


def _sums_in_single_precision(x, a):
    return jnp.matmul(x, a, preferred_element_type=jnp.float32)


def convolves_faster_in_graph() -> bool:
    """There is nothing but XLA."""
    return False


def gradients(function, tensors) -> list:
    return jax.grad(function)(tensors)


def variable_values(model):
    """Copies on the host: training takes the memory of the variables and gives it back when an
    epoch ends.
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(() if optimizer is None else optimizer.variables)]
    pairs = zip(variables, present_values(variables), strict=True)
    return [(variable, np.array(value)) for variable, value in pairs if not _is_lost(value)]


def restore_variables(model, values) -> None:
    """Give the variables those of `variable_values` if one was lost, all of them so that they fit
    together.
    """
    if any(map(_is_lost, present_values([variable for variable, _ in values]))):
        for variable, value in values:
            variable.assign(value)
    model.reset_metrics()


def _is_lost(value) -> bool:
    return value is None or value.is_deleted()


def finish_batch(model) -> None:
    """Keras keeps the values that a batch gave aside until the epoch ends."""
    model.jax_state_sync()
