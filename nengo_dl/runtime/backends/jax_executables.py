"""What XLA compiled for JAX, shared by all simulators of networks of the same structure, and how it
is freed.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import jax
from nengo.exceptions import SimulationError

from nengo_dl import tuning
from nengo_dl.runtime.backends import memory_maps
from nengo_dl.runtime.backends.shared_functions import chunk_functions


def shared_by_key(jitted, key, name: str):
    """As ``jitted``, but what it compiles is kept for all functions of this key."""
    now = settings()
    own = _Compiled()
    _all_compiled.add(own)

    def run(arguments, fixed, state, rows, first_step, n_steps):
        values = arguments, fixed, state, rows, first_step, n_steps
        # rows are the same for all items, or different for each
        shapes = tuple(row.shape[1] for row in rows)
        function = own.get(shapes)
        if function is None:
            leaves, tree = jax.tree.flatten(values)
            function = own[shapes] = kept(
                (name, key, now, tree, tuple(map(type_of, leaves))),
                lambda: jitted.lower(*values).compile(),
            )
        return function(*values)

    return run


def settings() -> tuple:
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
            "the process has used nearly all of its memory maps, without which JAX cannot "
            f"compile; {memory_maps.ADVICE}"
        )
    return True


def kept(key: Any, make: Callable[[], Any]) -> Any:
    """What `chunk_functions` has of this key. JAX's own caches keep what was traced, some 3 MB of a
    network, also for functions that are gone; they are cleared when as many were compiled as
    `chunk_functions` keeps.
    """

    def compile() -> Any:
        global _n_compiled
        may_compile()
        _n_compiled += 1
        if _n_compiled % tuning.KEPT_FUNCTIONS == 0:
            jax.clear_caches()
        return make()

    return chunk_functions.get(key, compile)


def _give_up() -> None:
    chunk_functions.clear()
    for compiled in list(_all_compiled):
        compiled.clear()
    gc.collect()
    if memory_maps.used() > tuning.HIGH_SHARE:
        jax.clear_caches()
        gc.collect()


def type_of(value) -> tuple:
    return value.shape, value.dtype, getattr(value, "weak_type", False)
