"""TensorFlow: a graph loop, compiled by XLA unless the step holds something that XLA cannot
compile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from nengo_dl._private.tensorflow import EagerTensor, direct_call, tensor_of
from nengo_dl.runtime.backends import tensorflow_slice_update
from nengo_dl.runtime.backends.shared_functions import chunk_functions
from nengo_dl.runtime.backends.tensorflow_blocks import (  # noqa: F401  (it belongs to the backend)
    block_function,
)
from nengo_dl.runtime.backends.tensorflow_devices import (  # noqa: F401  (it belongs to the backend)
    in_force,
)
from nengo_dl.runtime.backends.tensorflow_executables import executables
from nengo_dl.runtime.backends.tensorflow_products import (  # noqa: F401  (they belong to the backend)
    adds_slices,
    convolves_faster_in_graph,
    half_convolution,
    matmul,
    product_form,
)
from nengo_dl.runtime.backends.tensorflow_refusal import (  # noqa: F401  (it belongs to the backend)
    is_refusal,
    loses_seed_in_xla,
    traced_for_xla,
)
from nengo_dl.runtime.backends.tensorflow_scan import (  # noqa: F401  (they belong to the backend)
    checkpoint,
    recomputing_scan,
    run_steps,
    scan,
)
from nengo_dl.runtime.step.chunk import Chunk

#: bytes to a multiple of which an array has to begin to be a tensor without being copied
ALIGNMENT = 64
logger = logging.getLogger(__name__)
name = "tensorflow"
compiles_host_calls = False
#: compiled functions of short runs read variables themselves; three reads from outside take as long
#: as such a run
reads_variables = True
tensorflow_slice_update.register()


@contextmanager
def precision(dtype: str):
    """TensorFlow needs nothing to compute in 64 bits."""
    yield


def placement(device: str | None):
    return nullcontext() if device is None else tf.device(device)


def fused_scan() -> None:
    """There are no kernels of our own."""


def devices() -> list[str]:
    return [
        f"/{d.device_type.lower()}:{d.name.rsplit(':', 1)[-1]}"
        for d in tf.config.list_logical_devices()
    ]


def free_memory() -> None:
    """TensorFlow tells what is in use, and not how much there is."""


def none_in_force():
    """What is made in the scope of a strategy stays in it."""
    return nullcontext()


def tensor(values: np.ndarray, dtype: str):
    return tf.constant(values, dtype=dtype)


def shared(size: int, dtype: str) -> tuple[np.ndarray, Any]:
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(size * itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    vector = memory[start : start + size * itemsize].view(dtype)
    made = tensor_of(vector)
    # only what is on the CPU, and aligned as TensorFlow wants it, is not a copy
    return vector, made if np.shares_memory(np.asarray(made), vector) else vector


def split(vector, sizes) -> list:
    return tf.split(vector, sizes)


def array(value) -> np.ndarray:
    return value.numpy()


def host_call(function, tensors, shapes):
    """Call numpy code; TensorFlow keeps such calls in program order, and XLA cannot compile
    them.
    """
    if not shapes:
        tf.numpy_function(lambda *a: function(*a) or (), tensors, [])
        return []
    results = tf.numpy_function(function, tensors, [dtype for _, dtype in shapes])
    if tf.is_tensor(results):  # outside of a graph, of a single result
        results = [results]
    for result, (shape, _) in zip(results, shapes, strict=True):
        result.set_shape(shape)
    return results


def chunk_function(chunk: Chunk, jit: bool | None):
    """A function ``(arguments, fixed, state, rows, first_step, n_steps) -> (state, outputs)``.

    ``jit``: True compiles with XLA, False does not, None tries and falls back to the plain graph.
    """
    return _with_fallback(partial(_compile, chunk), jit)


def compiled_for(function, tensors, jit: bool | None, key=None, quickly: bool = False):
    specs = [tf.TensorSpec(value.shape, value.dtype) for value in map(_tensor, tensors)]

    def compile_with(jit: bool):
        concrete = None

        def make():
            return _concrete(lambda *t: function(list(t)), jit, specs)

        def run(tensors):
            nonlocal concrete
            if concrete is None:
                own = None if key is None else (name, key, jit, tuple(specs))
                concrete, _ = chunk_functions.get(own, make)
            return concrete(tensors)

        return run

    return _with_fallback(compile_with, jit)


def may_compile(owner: Any = None) -> bool:
    return executables.may_compile(owner)


def can_be_short(jit: bool | None) -> bool:
    return jit is not False


def versions(variables) -> list:
    """Whether a Keras variable has changed cannot be seen, but `read` finds what it is."""
    return []


def reference(variable):
    return variable.value.handle


def trace(function, tensors) -> None:
    tf.function(function, autograph=False).get_concrete_function(tensors)


def read(reference, variable):
    value = tf.raw_ops.ReadVariableOp(resource=reference, dtype=variable.dtype)
    value.set_shape(variable.shape)
    return value


def _with_fallback(compile_with: Callable[[bool], Callable], jit: bool | None) -> Callable:
    """A function compiled with XLA or not; where that is left open, without if XLA refuses it."""
    if jit is not None:
        return compile_with(jit)
    compiled = compile_with(True)

    def run(*arguments):
        nonlocal compiled
        try:
            return compiled(*arguments)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not is_refusal(error):
                raise
            logger.info("XLA cannot compile this network, running it as a plain graph: %s", error)
            compiled = compile_with(False)
            return compiled(*arguments)

    return run


def _compile(chunk: Chunk, jit: bool):
    concrete: dict[tuple, Callable] = {}

    def run(arguments, fixed, state, rows, first_step, n_steps):
        arrays = map(tensor_of, (*rows, first_step, n_steps))
        flat = [*arguments.values(), *fixed, *state, *arrays]
        # rows are the same for all items, or different for each
        shapes = tuple(row.shape[1] for row in rows)
        if shapes not in concrete:
            names, counts = tuple(arguments), (len(fixed), len(state), len(rows))
            types = tuple((tuple(value.shape), value.dtype) for value in flat)
            key = None if chunk.key is None else (name, chunk.key, jit, names, counts, types)
            concrete[shapes] = chunk_functions.get(
                key, lambda: _concrete(partial(_run_chunk, chunk, names, counts), jit, flat)
            )
        call, pack = concrete[shapes]
        return pack(call(flat))

    return run


def _concrete(function: Callable, jit: bool, tensors: list) -> tuple[Callable, Callable]:
    """A function of tensors, compiled for those of these shapes, as `_flat_call`; not yet by XLA,
    which compiles when it is called.
    """
    jit = jit and may_compile()
    # `direct_call` wants variables last
    order = sorted(range(len(tensors)), key=lambda k: tensors[k].dtype == tf.resource)
    traced = tf.function(
        lambda *given: function(*_in_order(given, order)), jit_compile=jit, autograph=False
    )
    trace = partial(traced_for_xla, traced) if jit else traced.get_concrete_function
    call, pack = _flat_call(trace(*(tensors[k] for k in order)), order, jit)
    if jit:
        executables.count(call)
    return call, pack


def _in_order(values, order: list[int]) -> list:
    """Values that came in this order, by their numbers."""
    return [value for _, value in sorted(zip(order, values, strict=True), key=lambda pair: pair[0])]


def _flat_call(function, order: list[int], jit: bool) -> tuple[Callable, Callable]:
    """A concrete function as two: one from a list of tensors, in another order than its arguments,
    to a list of tensors, and one that gives that list the structure of its results.
    """
    direct = direct_call(function, jit)
    if direct is None:
        return lambda tensors: tf.nest.flatten(function(*(tensors[k] for k in order))), partial(
            tf.nest.pack_sequence_as, function.structured_outputs
        )
    call, pack = direct
    return lambda tensors: call([_tensor(tensors[k]) for k in order]), pack


def _tensor(value) -> tf.Tensor:
    if type(value) is EagerTensor:
        return value
    # of arrays, this is the faster one
    return tf.constant(value) if type(value) is np.ndarray else tf.convert_to_tensor(value)


def _run_chunk(chunk: Chunk, names: tuple[str, ...], counts: tuple[int, int, int], *flat):
    """The loop over the steps, of the tensors of `_compile`."""
    given = iter(flat)
    arguments = {name: next(given) for name in names}
    fixed, state, rows = ([next(given) for _ in range(n)] for n in counts)
    first_step, n_steps = given
    invariant = chunk.invariant(arguments, fixed)
    return run_steps(chunk, invariant, state, rows, first_step, n_steps)


def stacks_batches(model) -> bool:
    """Whether batches that Keras gives run in blocks, too, where Keras would have a graph: for that
    graph all batches have the same shapes, or shapes that are not known.
    """
    return not model.run_eagerly


def output_shapes(function, shapes, dtype: str):
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    return tf.nest.map_structure(lambda value: tuple(value.shape), traced.structured_outputs)


def gradients(function, tensors) -> list:
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(tensors)
    return tape.gradient(value, tensors)


def variable_values(model) -> None:
    """TensorFlow changes variables in place, so that they always have a value."""


def restore_variables(model, values) -> None:
    """There is nothing to restore."""


def finish_batch(model) -> None:
    """Variables have the values after the last batch."""
