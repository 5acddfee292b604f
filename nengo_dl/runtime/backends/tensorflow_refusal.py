"""What XLA refuses to compile, or compiles to something else, known before it is asked.

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
    refused = sorted(_operations(concrete) & ON_HOST)
    if refused:
        raise tf.errors.UnimplementedError(
            None, None, f"unsupported operations, which run on the host: {', '.join(refused)}"
        )
    return concrete


def _operations(concrete) -> set[str]:
    """The names of all operations of a concrete function, also of those in its loops."""
    graph = concrete.graph.as_graph_def()
    inner = (node.op for called in graph.library.function for node in called.node_def)
    return {*(node.op for node in graph.node), *inner}


#: operations whose random numbers come from the seed of `tf.random`, and in XLA from nowhere
SEEDED = frozenset(
    """
    Multinomial ParameterizedTruncatedNormal RandomGamma RandomPoisson RandomPoissonV2 RandomShuffle
    RandomStandardNormal RandomUniform RandomUniformInt TruncatedNormal
    """.split()
)


def loses_seed_in_xla(function, shapes, dtype: str) -> bool:
    """Whether what ``function`` draws for tensors of these shapes has no seed once XLA compiles
    it.
    """
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    try:
        traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    except Exception:  # the simulation will say so
        return False
    return not SEEDED.isdisjoint(_operations(traced))
