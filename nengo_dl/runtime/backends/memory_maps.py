"""How many memory maps the process has, and may have.

What XLA compiles for a network takes 10 to 60 of them. Where the system gives no more (the limit is
``vm.max_map_count``, 65,530 on most Linux systems), XLA ends the process with a segmentation fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nengo_dl import tuning

MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
ADVICE = (
    "close simulators that are no longer needed, start a new process, or let the system give out "
    "more (`sysctl vm.max_map_count`)"
)


def used() -> float:
    """The share of the process's memory maps that are taken; 0 where the system has no such
    limit.
    """
    try:
        limit = int(LIMIT.read_text())
        with MAPS.open("rb") as lines:
            return sum(1 for _ in lines) / limit
    except (OSError, ValueError):
        return 0.0


def has_room(give_up: Callable[[], None]) -> bool:
    """Whether XLA may compile one more function; where there is little room, ``give_up`` is to make
    some.
    """
    if used() < tuning.HIGH_SHARE:
        return True
    give_up()
    return used() < tuning.FULL_SHARE
