"""Comparing the speed of two functions."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Times of two functions that were measured in turns.

    Attributes
    ----------
    ours, theirs
        Seconds, one a repetition.
    work
        How much more ``ours`` does in a call than ``theirs``: the size of the minibatch.
    """

    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    work: float = 1.0

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster ``ours`` is than ``theirs``, one ratio a repetition."""
        return tuple(
            self.work * theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)
        )

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)


def compare(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int = 5,
    work: float = 1.0,
    warm_up: bool = True,
) -> Comparison:
    """Time two functions in turns, so that what else the machine does meets both alike.

    Parameters
    ----------
    ours, theirs
        Functions of no arguments.
    repeats
        How many times each is timed.
    work
        See `Comparison`.
    warm_up
        Whether each is called once before, untimed.
    """
    if warm_up:
        ours()
        theirs()
    times = [(seconds_of(ours), seconds_of(theirs)) for _ in range(repeats)]
    ours_times, theirs_times = zip(*times, strict=True)
    return Comparison(ours_times, theirs_times, work)


def seconds_of(function: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
