"""Python's search for unreachable objects, put off while very many are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_later() -> Iterator[None]:
    """Do not look for cycles of unreachable objects meanwhile.

    Building a network makes millions of objects that stay; going through all of them again and
    again, as their number grows, takes a quarter of the time. Afterwards the collector is as it
    was: what was made counts as young, and is gone through once.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
