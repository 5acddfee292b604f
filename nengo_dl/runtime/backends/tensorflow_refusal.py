"""What XLA refuses to compile: known before it is asked, where that can be known.

XLA writes about each refusal to the process's standard error, with a stack trace for each
operation, however it is dealt with.
"""

from __future__ import annotations

import tensorflow as tf

#: operations that call Python or print
ON_HOST = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "Print", "PrintV2", "StringFormat"}
_TEXTS = ("unsupported operations", "No registered", "compile-time constant")


def is_refusal(error: BaseException) -> bool:
    """Whether XLA says that it cannot compile something."""
    return any(text in str(error) for text in _TEXTS)


def traced_for_xla(function, *arguments):
    """The concrete function of a `tf.function` that XLA is going to compile.

    Raises
    ------
    tensorflow.errors.UnimplementedError
        As XLA would, where operations in it run on the host.
    """
    concrete = function.get_concrete_function(*arguments)
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(n for inner in graph.library.function for n in inner.node_def)]
    refused = sorted({node.op for node in nodes} & ON_HOST)
    if refused:
        raise tf.errors.UnimplementedError(
            None, None, f"unsupported operations, which run on the host: {', '.join(refused)}"
        )
    return concrete
