"""Names that TensorFlow keeps for itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from nengo_dl._private import found, has

_eager = found("tensorflow.python.eager.context:context")
_execute = found("tensorflow.python.eager.execute:execute")
_EagerTensor = found("tensorflow.python.framework.ops:EagerTensor")
_in_xla = found("tensorflow.python.ops.control_flow_util:GraphOrParentsInXlaContext")
_barrier = found("tensorflow.compiler.tf2xla.python.xla:optimization_barrier")

# -- tensors ---------------------------------------------------------------------------------------

EagerTensor = _EagerTensor or type(tf.constant(0))


def tensor_of(array: np.ndarray) -> tf.Tensor:
    """The values of an array as a tensor, in the memory of the array where TensorFlow can.

    `tf.constant` copies, and takes three times as long for small ones.
    """
    if _EagerTensor is None or _eager is None:
        return tf.constant(array)
    return _EagerTensor(array, _eager().device_name, None)


# -- calls of concrete functions -------------------------------------------------------------------


def direct_call(function: Any, jit: bool) -> tuple[Callable[[list], list], Callable] | None:
    """A concrete function as two: one from a list of tensors to a list of tensors, without
    TensorFlow's checks in Python, and one that gives that list the structure of its results.

    On a small network the checks take several times as long as what is computed.
    """
    inner: Any = getattr(function, "_inference_function", None)
    if _eager is None or not has(inner, "function_type") or not has(_eager(), "call_function"):
        return None
    eager, n_outputs = _eager(), len(inner.function_type.flat_outputs)
    captured, launched = list(function.captured_inputs), _launch(inner) if jit else None

    def call(tensors: list) -> list:
        # `inner` keeps the function of this name alive
        arguments = [*tensors, *captured]
        if launched is not None:
            return launched(arguments)
        return eager.call_function(inner.name, arguments, n_outputs) or []  # None if it has none

    return call, inner.function_type.pack_output


def _launch(function: Any) -> Callable[[list], list] | None:
    """A call of a function (`AtomicFunction`) that XLA compiles for the processor, from a list of
    all its inputs; None for functions that the operation cannot call, which has variables as its
    last inputs.

    Where TensorFlow itself calls a function of `tf.function(jit_compile=True)`, it keeps for ever a
    copy of the function's graph, with a stack trace for each operation, in which it looked for the
    arguments that have to be known to compile: about 2 MB. This calls it by the operation that
    TensorFlow uses for this inside, which looks for nothing.
    """
    if _execute is None or tf.config.list_logical_devices("GPU"):
        return None
    types = [given.dtype for given in function.graph.inputs]
    n_variables = types.count(tf.resource)
    values = types[: len(types) - n_variables]
    if tf.resource in values:
        return None
    results = [result.dtype.as_datatype_enum for result in function.function_type.flat_outputs]
    attributes: tuple[Any, ...] = (
        *("Tconstants", []),
        *("Targs", [dtype.as_datatype_enum for dtype in values]),
        *("Nresources", n_variables),
        *("Tresults", results),
        *("function", function.name),
    )
    return partial(_execute, b"XlaLaunch", len(results), attrs=attributes, ctx=_eager(), name=None)


# -- XLA -------------------------------------------------------------------------------------------


def is_in_xla() -> bool:
    """Whether what is traced now will be compiled by XLA."""
    if _in_xla is not None:
        return _in_xla(tf.compat.v1.get_default_graph())
    if tf.executing_eagerly():
        return False
    # only outside of XLA a branch is marked as one that another operation is made of
    operation = tf.cond(tf.constant(True), lambda: tf.constant(0), lambda: tf.constant(1)).op
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    try:
        return not operation.get_attr("_lower_using_switch_merge")
    except ValueError:
        return True


def stored(value: Any) -> Any:
    """A tensor that XLA does not compute within what reads it."""
    return value if _barrier is None else _barrier(value)[0]
