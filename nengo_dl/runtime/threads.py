"""Threads in which what does not depend on each other is computed side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any


def in_threads(n_threads: int, function: Callable, values: Iterable[Any]) -> list[Any]:
    """Results of a function, one for each value; what it calls must not use these threads."""
    jobs = [_pool(n_threads).submit(function, value) for value in values]
    try:
        return [job.result() for job in jobs]
    finally:
        wait(jobs)  # after an interruption, too, nothing goes on


@lru_cache(maxsize=4)
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="nengo_dl")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
