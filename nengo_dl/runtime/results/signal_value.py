"""An array whose owner is told of what is written into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np


class Memory:
    """The numbers of an array and of all views of it.

    Parameters
    ----------
    numbers
        The array.
    write
        Called with the numbers and a mask of those that were changed.
    """

    def __init__(self, numbers: np.ndarray, write: Callable[[np.ndarray, np.ndarray], None]):
        self.numbers, self._write = numbers, write

    @contextmanager
    def written(self) -> Iterator[None]:
        """Context in which something is written; where the owner refuses, it is undone."""
        before = self.numbers.copy()
        try:
            yield
            changed = self.numbers != before
            if changed.any():
                self._write(self.numbers, changed)
        except BaseException:
            self.numbers[...] = before
            raise


class SignalValue(np.ndarray):
    """The value of a signal, of which assignments to elements change the simulation, too."""

    _memory: Memory | None = None

    @classmethod
    def of(cls, memory: Memory) -> SignalValue:
        """The whole of a memory."""
        array = memory.numbers.view(cls)
        array._memory = memory
        return array

    def __array_finalize__(self, parent: Any) -> None:
        memory = getattr(parent, "_memory", None)
        # views, and no copies
        if memory is not None and np.may_share_memory(self, memory.numbers):
            self._memory = memory

    def __setitem__(self, key: Any, value: Any) -> None:
        with nullcontext() if self._memory is None else self._memory.written():
            super().__setitem__(key, value)

    def fill(self, value: Any) -> None:
        """Assign to all elements."""
        self[...] = value

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs) -> Any:
        """As of other arrays; ``value += 1`` is an assignment."""
        written = inputs[:1] if method == "at" else out
        if out:
            kwargs["out"] = tuple(map(_plain, out))
        with ExitStack() as stack:
            for array in written:
                if isinstance(array, SignalValue) and array._memory is not None:
                    stack.enter_context(array._memory.written())
            result = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        return out[0] if len(out) == 1 else out or result


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, SignalValue) else array
