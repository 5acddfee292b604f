"""Compiled functions by what they depend on."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from nengo_dl import tuning


class SharedFunctions:
    """Compiled functions, for all simulators of a process.

    What is kept holds on to nothing of the simulator that it was compiled for.
    """

    def __init__(self, most: int = tuning.KEPT_FUNCTIONS):
        self._most = most
        self._lock = threading.Lock()
        self._functions: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable | None, make: Callable[[], Any]) -> Any:
        """The function of this key, made if there is none; without a key made, and not kept."""
        if key is None:
            return make()
        with self._lock:
            if key in self._functions:
                self._functions.move_to_end(key)
                return self._functions[key]
        made = make()  # takes its time, and other threads want other functions
        with self._lock:
            self._functions[key] = made
            while len(self._functions) > self._most:
                self._functions.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._functions.clear()

    def __len__(self) -> int:
        return len(self._functions)


#: those of chunks of a simulation
chunk_functions = SharedFunctions()
