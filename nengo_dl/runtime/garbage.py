"""Python's search for unreachable objects, put off while very many are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collected_later() -> Iterator[None]:
    """Do not look for cycles of unreachable objects meanwhile.

    Building a network makes millions of objects that stay; going through all of them again and
    again, as their number grows, takes a quarter of the time. Afterwards they count as old, so that
    the search for young ones does not go through them either.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_freeze_count() == 0:  # else others would be thawed, too
                gc.freeze()
                gc.unfreeze()
            gc.enable()
