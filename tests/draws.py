"""Where the choices of a random network come from: a seed, hypothesis, or an earlier run.

Everything is made of one kind of choice, an integer in a range, so that the three sources are three
functions. Hypothesis makes integers smaller to simplify an example; hence the simplest option comes
first wherever something is chosen, and a chance is not taken at 0.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


class Draws:
    """Random choices, made of integers.

    Parameters
    ----------
    integer
        Takes a lowest and a highest value and returns an integer in that range, ends included.
    group
        Calls the function it is given. The choices made in the meantime belong together: hypothesis
        leaves out all of them or none.
    """

    def __init__(
        self,
        integer: Callable[[int, int], int],
        group: Callable[[Callable[[], Any]], Any] = lambda body: body(),
    ):
        self.integer = integer
        self.group = group

    def number(self, low: float, high: float) -> float:
        return low + (high - low) * self.integer(0, 10**6) / 10**6

    def chance(self, probability: float) -> bool:
        return self.integer(0, 999) >= 1000 * (1 - probability)

    def choice(self, options: Sequence) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def array(self, shape: int | tuple, low: float = -1, high: float = 1) -> np.ndarray:
        """Uniform numbers, all of them from one choice."""
        return self.generator().uniform(low, high, size=shape)

    def generator(self) -> np.random.RandomState:
        return np.random.RandomState(self.integer(0, 2**31 - 1))

    def repeat(self, low: int, high: int, body: Callable[[], Any]) -> None:
        """Call ``body`` at least ``low`` and at most ``high`` times."""

        def once(required: bool) -> bool:
            if not required and not self.chance(0.7):
                return False
            body()
            return True

        for i in range(high):
            if not self.group(lambda required=i < low: once(required)):
                return


def seeded(seed: int) -> Draws:
    """Choices that follow from a seed."""
    rng = np.random.RandomState(seed)
    return Draws(lambda low, high: int(rng.randint(low, high + 1)))


def replayed(integers: Iterable[int]) -> Draws:
    """The choices that were recorded in an earlier run."""
    remaining = iter(integers)
    return Draws(lambda low, high: next(remaining))


def drawn(draw: Callable, record: list[int]) -> Draws:
    """Choices that hypothesis makes in a composite strategy, appended to ``record``."""
    from hypothesis import strategies as st

    def integer(low: int, high: int) -> int:
        record.append(draw(st.integers(low, high)))
        return record[-1]

    return Draws(integer, group=lambda body: draw(st.builds(body)))
