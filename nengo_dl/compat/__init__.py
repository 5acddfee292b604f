"""Names and calls of earlier versions of NengoDL, each with a warning that says what to write now.

Nothing else of nengo_dl depends on what is in this folder, but for the decorators and base classes
by which older calls reach the classes that have them now: it can be taken away with these.

``modules`` holds modules that earlier versions had; they are imported as ``nengo_dl.builder`` and
so on (see ``nengo_dl.__path__``).
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "tf_compat":
        raise AttributeError(f"module 'nengo_dl.compat' has no attribute {name!r}")
    import tensorflow as tf

    from nengo_dl.compat.arguments import warn

    warn("nengo_dl.compat.tf_compat", "tensorflow.compat.v1")
    return tf.compat.v1
