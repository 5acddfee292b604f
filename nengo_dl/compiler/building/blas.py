"""The threads of the matrix library that NumPy and SciPy come with.

A product of small matrices is over before OpenBLAS has woken its other threads, and where those do
not get a core of their own at once, it waits for them: a product that takes 0.3 ms on one core took
11 ms on two cores that had other work. Many small systems are solved side by side in threads of
ours, each with one core.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import scipy

#: beginnings and ends that the names of its functions have in the builds that there are
PREFIXES, SUFFIXES = ("", "scipy_"), ("", "64_", "_64")

_lock = threading.Lock()
_entered = 0
_before: list[int] = []


def n_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenBLAS takes one thread for each call meanwhile; other libraries stay as they are."""
    global _entered
    with _lock:
        if _entered == 0:
            _before[:] = [get() for get, _ in _libraries()]
            _set([1] * len(_before))
        _entered += 1
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            if _entered == 0:
                _set(_before)


def _set(numbers: list[int]) -> None:
    for (_, set_number), number in zip(_libraries(), numbers, strict=True):
        set_number(number)


@cache
def _libraries() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """Functions that tell and set the number of threads of each OpenBLAS."""
    found = []
    for path in _paths():
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # not for this machine
            continue
        for prefix, suffix in product(PREFIXES, SUFFIXES):
            get = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            set_number = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
            if get is not None and set_number is not None:
                found.append((get, set_number))
    return found


def _paths() -> list[Path]:
    """Where the wheels of NumPy and SciPy keep their libraries."""
    found: list[Path] = []
    for package in (np, scipy):
        folder = Path(str(package.__file__)).parent
        for place in (folder.parent / f"{package.__name__}.libs", folder / ".dylibs"):
            found.extend(path for path in place.glob("*openblas*") if path.is_file())
    return found
