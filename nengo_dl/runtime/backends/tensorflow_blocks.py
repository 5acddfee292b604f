"""Training on TensorFlow, many batches in one call of a compiled function."""

from __future__ import annotations

import logging

import tensorflow as tf

from nengo_dl._private.tensorflow import tensor_of
from nengo_dl.runtime.backends.tensorflow_refusal import is_refusal, traced_for_xla

logger = logging.getLogger(__name__)


def block_function(model, batch_step, next_blocks):
    """A function ``(iterator) -> logs`` that trains or tests on the blocks that
    ``next_blocks(iterator)`` gives; without XLA where XLA cannot compile it.
    """
    devices = model.devices
    if devices is not None:
        model.jit_compile = False  # XLA would compute on one of them

    def run_block(count, block):
        def one(i):
            def run(block):
                batch_step(tf.nest.map_structure(lambda values: values[i], block))

            run(block) if devices is None else devices.run(run, block)
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
            place = _as_tensors if devices is None else devices.shared_out
            arguments = tf.constant(count), place(block)
            if devices is not None:  # else TensorFlow warns that it traces often
                function.get_concrete_function(*arguments)
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
