"""Everything that nengo_dl sets for the whole process, and how to keep it from doing so.

What is set once stays: the backend of Keras (`choose_backend`), when parts of it are loaded
(`prepare_keras`), what TensorFlow says (`less_talk`, `load_quietly`), options of XLA's compiler
(`set_xla_flags`), the C library's memory management (`keep_freed_memory`), the thread in which JAX
computes (`compute_in_calling_thread`) and the folder in which it keeps what it compiled
(`keep_compiled`), both with `prepare_jax`.
What is set while something runs is put back: Keras's ``floatx`` (`floatx`), whether Python
collects garbage (`collected_later`), global random numbers (`same_random_numbers`) and, of one
thread, JAX's ``jax_enable_x64`` (`x64`). Each of `OPT_OUT` is left alone where the environment
variable of its name says ``0``.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext
from importlib.util import LazyLoader
from pathlib import Path
from typing import Any

import numpy as np

from nengo_dl import compilation_cache, keras_backend, saved_classes, tuning
from nengo_dl._private import KERAS_PARTS
from nengo_dl.loading import LoadedBy, load_in
from nengo_dl.quiet import without_noise

#: what is set -> the environment variable with which it is not
OPT_OUT = {
    "backend": "NENGO_DL_CHOOSE_BACKEND",
    "log level": "NENGO_DL_QUIET",
    "xla flags": "NENGO_DL_XLA_FLAGS",
    "malloc": "NENGO_DL_MALLOC",
    "synchronous dispatch": "NENGO_DL_SYNC_DISPATCH",
    "keras parts": "NENGO_DL_KERAS_PARTS_LATER",
    "floatx": "NENGO_DL_FLOATX",
    "x64": "NENGO_DL_ENABLE_X64",
    "compilation cache": "NENGO_DL_COMPILATION_CACHE",
    "jax convolutions": "NENGO_DL_JAX_CONVOLUTIONS",
}


def may_set(what: str) -> bool:
    """Whether the environment lets one of `OPT_OUT` be set."""
    return os.environ.get(OPT_OUT[what]) != "0"


# -- the backend -----------------------------------------------------------------------------------


def choose_backend(environment: MutableMapping[str, str]) -> None:
    """Let Keras use JAX where TensorFlow, its default, is not installed and JAX is.

    Where the variable ``KERAS_BACKEND`` is set, Keras is loaded, or its configuration file names
    another backend than TensorFlow, that is left as it is.
    """
    if not may_set("backend") or "KERAS_BACKEND" in environment or "keras" in sys.modules:
        return
    if keras_backend.name() == "tensorflow" and keras_backend.installed() == ["jax"]:
        environment["KERAS_BACKEND"] = "jax"


def less_talk(environment: MutableMapping[str, str]) -> None:
    """Keep TensorFlow from writing what it finds of the machine and what it compiles to stderr.

    Its warnings and errors are written as before. TensorFlow reads ``TF_CPP_MIN_LOG_LEVEL`` when it
    is imported; where it is set, it is left as it is.
    """
    if may_set("log level"):
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")


def load_quietly(environment: Mapping[str, str]) -> None:
    """Let TensorFlow be loaded without what it reports of the machine: see `nengo_dl.quiet`.

    Where ``TF_CPP_MIN_LOG_LEVEL`` asks for all that TensorFlow says, all of it is written.
    """
    loaded = "tensorflow" in sys.modules
    asked = environment.get("TF_CPP_MIN_LOG_LEVEL") == "0"
    if not loaded and not asked and may_set("log level"):
        load_in(_quietly, "tensorflow")


@contextmanager
def _quietly() -> Iterator[None]:
    with without_noise(), collected_later():
        yield
        # looks for GPUs now, and not when they are needed
        sys.modules["tensorflow"].config.list_physical_devices()


# -- XLA -------------------------------------------------------------------------------------------

FLAG = "--xla_backend_extra_options"
OPTIONS = {
    # Loops whose body touches fewer bytes become one native function, in place of a function for
    # each operation, which are called one after the other: of a step of a small network, most of
    # the time went into the calls. Not more: backpropagation through 200 steps of 784-256-10
    # neurons took 60 ms with 32 KB and 100 ms with 64 KB on TensorFlow, 85 and 115 ms on JAX, and
    # beyond that the XLA of TensorFlow 2.21 gives the sum of 32,768 elements to a library, and
    # cannot ("Fusion kind not implemented") call it from there.
    "xla_cpu_small_while_loop_byte_threshold": "32768",
    # One loop over the neurons writes voltages, refractory times and spikes, instead of one each
    "xla_cpu_use_multi_output_fusion": "true",
}


def set_xla_flags(environment: MutableMapping[str, str]) -> None:
    """Add `OPTIONS` to the variable ``XLA_FLAGS``, when nengo_dl is imported.

    XLA reads it once, before it compiles for the first time in a process. Where it already has
    ``--xla_backend_extra_options``, those are left as they are; versions of XLA that do not know an
    option ignore it.
    """
    flags = environment.get("XLA_FLAGS", "")
    if may_set("xla flags") and FLAG not in flags:
        options = ",".join(f"{name}={value}" for name, value in OPTIONS.items())
        environment["XLA_FLAGS"] = f"{flags} {FLAG}={options}".strip()


# -- memory ----------------------------------------------------------------------------------------

# mallopt's parameters, from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: bytes of a block, and bytes that are free at the end of the heap, from which on they are given
#: back; and the size of a block that versions of glibc before 2.35 accept
BLOCK, FREE, OLD_BLOCK = 2**30, 2**31 - 1, 2**25


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed, unless the environment says how it shall manage memory.

    JAX asks the C library for the memory of each computation on the processor, and the C library
    hands blocks of more than some 100 KiB back to the system as soon as they are free. The system
    fills them with zeros before it gives them out again, which took a third of an update through
    200 steps of 784-256-10 spiking neurons.

    Returns whether it was told.
    """
    given = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if given or not may_set("malloc") or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    block = mallopt(M_MMAP_THRESHOLD, BLOCK) or mallopt(M_MMAP_THRESHOLD, OLD_BLOCK)
    return bool(block and mallopt(M_TRIM_THRESHOLD, FREE))


# -- Python ----------------------------------------------------------------------------------------

#: more than the objects that Python itself takes from the collector; if there are others, they
#: stay there
FROZEN_BY_PYTHON = 1000


@contextmanager
def collected_later() -> Iterator[None]:
    """Do not look for cycles of unreachable objects meanwhile.

    Building a network makes millions of objects that stay; going through all of them again and
    again, as their number grows, takes a quarter of the time. Afterwards the collector is as it
    was: what was made counts as young, and is gone through soon; as old if there is much of it, as
    after some rounds of the collector, so it is gone through when the collector next looks at
    everything.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_count()[0] > tuning.OLD_OBJECTS and gc.get_freeze_count() < FROZEN_BY_PYTHON:
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Let global random numbers go on afterwards as before: Keras and JAX draw some when they are
    loaded, which a program may have seeded by then.
    """
    state, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(of_numpy)


# -- JAX -------------------------------------------------------------------------------------------


def prepare_jax() -> None:
    """Let JAX be loaded with our settings where Keras uses it: `set_up_jax`.

    With the first thing that anybody computes, a Keras model's weights say, JAX decides for good in
    which thread it computes and whether it keeps what it compiles.
    """
    if "jax" not in sys.modules:
        load_in(_while_jax_loads, "jax")
    elif keras_backend.name() == "jax":
        set_up_jax(sys.modules["jax"])


@contextmanager
def _while_jax_loads() -> Iterator[None]:
    with collected_later():
        yield
    if keras_backend.name() == "jax":
        set_up_jax(sys.modules["jax"])


def set_up_jax(jax: Any) -> None:
    """Make the settings of JAX that stay."""
    compute_in_calling_thread(jax)
    keep_compiled(jax)


def compute_in_calling_thread(jax: Any) -> None:
    """Let JAX compute on the processor in the thread that asks for it.

    Else each call of a compiled function wakes another thread and waits for it, which takes 40 us,
    as long as a step with a Python function of a small network. Once JAX has begun to compute on
    the processor this changes nothing.
    """
    if may_set("synchronous dispatch"):
        jax.config.update("jax_cpu_enable_async_dispatch", False)


def keep_compiled(jax: Any) -> Path | None:
    """Let JAX keep what it compiles for later processes, in a folder of the user's caches; not
    where its own ``jax_compilation_cache_dir`` is set.

    Returns the folder, None where nothing was set.
    """
    if not may_set("compilation cache") or jax.config.jax_compilation_cache_dir:
        return None
    folder = compilation_cache.folder(f"jax-{jax.lib.__version__}")
    if folder is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    if jax.config.jax_persistent_cache_min_compile_time_secs == 1.0:  # nobody has chosen another
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


def x64(jax: Any) -> Any:
    """Context in which JAX computes in 64 bits, in this thread; it does so only where it is told
    to.
    """
    if not may_set("x64"):
        return nullcontext()
    # where JAX 0.6 has it, the last one for Python 3.10
    return jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64(True)


# -- Keras -----------------------------------------------------------------------------------------

#: what Keras loads and few programs use: scikit-learn and matplotlib.pyplot, where they are
#: installed, take longer than all the rest of Keras
LATER = {*KERAS_PARTS, "keras.wrappers", "keras.visualization", "h5py", "requests"}


def prepare_keras() -> None:
    """Let `LATER` be loaded when something in them is asked for, and not with Keras, and let Keras
    find our classes when it reads a file.

    A part is in its place at once, as a module that loads itself: see `importlib.util.LazyLoader`.
    """
    if "keras" in sys.modules:
        saved_classes.register(sys.modules["keras"])
    else:
        load_in(_while_keras_loads, "keras")


@contextmanager
def _while_keras_loads() -> Iterator[None]:
    """See `prepare_keras`."""
    finder = LoadedBy(LATER if may_set("keras parts") else (), LazyLoader)
    sys.meta_path.insert(0, finder)
    try:
        with collected_later():
            yield
    finally:
        sys.meta_path.remove(finder)
    saved_classes.register(sys.modules["keras"])


class _Floatx:
    """Keras's ``floatx``, which is one for all threads: those that want another one wait until
    those that have it are done.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._users: list[int] = []  # threads
        self._before = ""

    @contextmanager
    def __call__(self, dtype: str, config: Any) -> Iterator[None]:
        """Context in which ``keras.config.floatx()`` is ``dtype``; ``config`` is keras.config."""
        if not may_set("floatx"):
            yield
            return
        own = threading.get_ident()
        with self._free:
            # who is inside already may not wait for itself
            self._free.wait_for(lambda: self._suits(dtype, config) or own in self._users)
            before = config.floatx()
            if not self._users:
                self._before = before
            self._users.append(own)
            config.set_floatx(dtype)
        try:
            yield
        finally:
            with self._free:
                self._users.remove(own)
                config.set_floatx(before if self._users else self._before)
                self._free.notify_all()

    def _suits(self, dtype: str, config: Any) -> bool:
        return not self._users or config.floatx() == dtype

    def forget(self) -> None:
        """In a forked process, in which the other threads are not."""
        self._free, self._users = threading.Condition(), []


floatx = _Floatx()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=floatx.forget)
