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

from nengo_dl._private.tensorflow import EagerTensor, direct_call, is_in_xla, stored, tensor_of
from nengo_dl.runtime.backends import large_product
from nengo_dl.runtime.backends.tensorflow_executables import executables, may_compile
from nengo_dl.runtime.backends.tensorflow_refusal import (  # noqa: F401  (it belongs to the backend)
    is_refusal,
    loses_seed_in_xla,
    traced_for_xla,
)
from nengo_dl.runtime.backends.tensorflow_scan import (  # noqa: F401  (they belong to the backend)
    checkpoint,
    recomputing_scan,
    scan,
)
from nengo_dl.runtime.chunk import Chunk, merge_outputs, split_outputs
from nengo_dl.runtime.reuse.functions import chunk_functions

#: bytes to a multiple of which an array has to begin to be a tensor without being copied
ALIGNMENT = 64
logger = logging.getLogger(__name__)
name = "tensorflow"
compiles_host_calls = False
#: compiled functions of short runs read variables themselves; three reads from outside take as long
#: as such a run
reads_variables = True


@contextmanager
def precision(dtype: str):
    """TensorFlow needs nothing to compute in 64 bits."""
    yield


def placement(device: str | None):
    """Context manager that puts new tensors on ``device``."""
    return nullcontext() if device is None else tf.device(device)


def devices() -> list[str]:
    """Names of the devices, as in "/cpu:0"."""
    return [
        f"/{d.device_type.lower()}:{d.name.rsplit(':', 1)[-1]}"
        for d in tf.config.list_logical_devices()
    ]


def tensor(array: np.ndarray, dtype: str):
    """A tensor on the device."""
    return tf.constant(array, dtype=dtype)


def argument(array: np.ndarray, dtype: str):
    """An array to call a compiled function with."""
    return tensor_of(np.asarray(array, dtype=dtype, order="C"))


def shared(size: int, dtype: str) -> tuple[np.ndarray, Any]:
    """A vector, and an argument of compiled functions whose values are those of the vector when
    such a function is called; to be filled again when the results of the call are there.
    """
    itemsize = np.dtype(dtype).itemsize
    memory = np.zeros(size * itemsize + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    vector = memory[start : start + size * itemsize].view(dtype)
    made = argument(vector, dtype)
    # only what is on the CPU, and aligned as TensorFlow wants it, is not a copy
    return vector, made if np.shares_memory(np.asarray(made), vector) else vector


def array(value) -> np.ndarray:
    """A tensor's values on the host."""
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


def compiled(function, jit: bool | None):
    """A function of a list of tensors that returns such a list, compiled when it is first called;
    later calls take tensors of the same shapes.
    """

    def compile_with(jit: bool):
        concrete = None

        def run(tensors):
            nonlocal concrete
            if concrete is None:
                concrete, _ = _concrete(lambda *t: function(list(t)), jit, tensors)
            return concrete(tensors)

        return run

    return _with_fallback(compile_with, jit)


def compiled_for(function, tensors, jit: bool | None, key=None):
    """As `compiled`, for tensors like these; with a key, shared by all functions of this key."""
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


def can_be_short(jit: bool | None) -> bool:
    """Whether functions are compiled as for any other simulator."""
    return jit is not False and not is_distributed()


def version(variable):
    """Whether a Keras variable has changed cannot be seen, but `read` finds what it is."""


def reference(variable):
    """What a compiled function reads the value of a Keras variable from."""
    return variable.value.handle


def read(handle, variable):
    """The value of a Keras variable, in a function that is given its `reference`."""
    value = tf.raw_ops.ReadVariableOp(resource=handle, dtype=variable.dtype)
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
        flat = [*arguments.values(), *fixed, *state, *rows, first_step, n_steps]
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
    invariant = chunk.prepare(arguments, fixed)
    return run_steps(chunk, invariant, state, rows, first_step, n_steps)


def run_steps(chunk: Chunk, invariant, state, rows, first_step, n_steps):
    """The loop over the steps, in a function that is compiled: state and outputs."""

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


def is_distributed() -> bool:
    """Whether Keras spreads models over several devices."""
    return tf.distribute.has_strategy()


def stacks_batches(model) -> bool:
    """Whether batches that Keras gives run in blocks, too, where Keras would have a graph: for that
    graph all batches have the same shapes, or shapes that are not known.
    """
    return not (model.run_eagerly or is_distributed())


def block_function(model, batch_step, next_blocks):
    """A function ``(iterator) -> logs`` that trains or tests on the blocks that
    ``next_blocks(iterator)`` gives; without XLA where XLA cannot compile it.
    """

    def run_block(count, block):
        def one(i):
            batch_step(tf.nest.map_structure(lambda values: values[i], block))
            return i + 1

        tf.while_loop(lambda i: i < count, one, [tf.constant(0)], parallel_iterations=1)
        return model.get_metrics_result()

    def compiled():
        return tf.function(run_block, jit_compile=bool(model.jit_compile), autograph=False)

    function, known = compiled(), not model.jit_compile

    def first(arguments):
        nonlocal function
        try:
            traced_for_xla(function, *arguments)
            return function(*arguments)
        except tf.errors.OpError as error:
            if not is_refusal(error):
                raise
            logger.info("XLA cannot compile this training, running a plain graph: %s", error)
            model.jit_compile = False
            function = compiled()
            return function(*arguments)

    def run(iterator):
        nonlocal known
        logs = None
        for block, count in next_blocks(iterator):
            arguments = tf.constant(count), _as_tensors(block)
            logs = function(*arguments) if known else first(arguments)
            known = True
        if logs is None:
            raise StopIteration
        return logs

    return run


def _as_tensors(block):
    """A structure of arrays as tensors, one for each array, in the memory of the arrays where
    TensorFlow can: nothing else uses it.
    """
    tensors = {}
    for array in tf.nest.flatten(block):
        if id(array) not in tensors:
            tensors[id(array)] = array if tf.is_tensor(array) else tensor_of(array)
    return tf.nest.map_structure(lambda array: tensors[id(array)], block)


def output_shapes(function, shapes, dtype: str):
    """Shapes of what ``function`` returns for tensors of these shapes, without computing it."""
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    return tf.nest.map_structure(lambda value: tuple(value.shape), traced.structured_outputs)


def product_form(n: int, rows: int, columns: int, batch: int) -> str:
    """The fastest of `nengo_dl.lowering.products.FORMS` for n matrices (rows, columns), from
    measurements with XLA on the CPU.
    """
    if n == 1:
        return "one matrix"
    if columns == 1:
        return "columns"
    if rows == 1:
        return "rows"
    return "einsum" if batch == 1 and columns > 16 else "matmul"


def matmul(x, a):
    """The product of two matrices."""
    if not is_in_xla() or _has_gpu():
        return tf.matmul(x, a)
    return large_product.multiply(x, a, stored)


def convolves_faster_in_graph() -> bool:
    """Whether convolutions are trained faster without XLA: by oneDNN, on the CPU."""
    return not _has_gpu()


def _has_gpu() -> bool:
    return bool(tf.config.list_logical_devices("GPU"))


def gradients(function, tensors) -> list:
    """Gradients of a scalar function of a list of tensors; None where there is none."""
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(tensors)
    return tape.gradient(value, tensors)


def variable_values(model) -> None:
    """TensorFlow changes variables in place, so that they always have a value."""


def restore_variables(model, values: None) -> None:
    """There is nothing to restore."""


def finish_batch(model) -> None:
    """Variables have the values after the last batch."""
