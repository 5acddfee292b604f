"""What keeps a run whole: one thread at a time, and no Ctrl-C inside a chunk of steps."""

from __future__ import annotations

import importlib
import signal
import sys
import threading
from typing import Any

from nengo.exceptions import SimulationError

# CPython's own functions, without the enumerations that `signal` makes of handlers: in a tenth of
# the time, which single steps notice
_functions = importlib.import_module(
    "_signal" if "_signal" in sys.builtin_module_names else "signal"
)


class DeferredInterrupt:
    """Context manager in which Ctrl-C waits for the next `check`; a second Ctrl-C does not wait.

    So a run ends with what was recorded, and the state of the network and of Python functions in it
    fit together.
    """

    def __init__(self):
        #: whether Ctrl-C is waiting
        self.received = False
        self._handler = None

    def __enter__(self) -> DeferredInterrupt:
        handler = _functions.getsignal(signal.SIGINT)
        if callable(handler):
            self._handler = handler
            try:
                _functions.signal(signal.SIGINT, self._receive)
            except ValueError:  # Python delivers signals to the main thread only
                self._handler = None
        return self

    def __exit__(self, *error) -> None:
        if self._handler is not None:
            _functions.signal(signal.SIGINT, self._handler)
            if error[0] is None:
                self.check()

    def _receive(self, number, frame) -> None:
        if self.received:
            self._handler(number, frame)
        self.received = True

    def check(self) -> None:
        """Do now what Ctrl-C does, by default raise KeyboardInterrupt."""
        if self.received:
            self.received = False
            self._handler(signal.SIGINT, None)


#: in what the backends say where a device has no memory left
NO_MEMORY = "RESOURCE_EXHAUSTED", "OOM when allocating", "Out of memory while trying to allocate"


def explain_memory(error: BaseException, n_items: int, training: bool = False) -> None:
    """Raise an error that says what to do where one is of a device that has no memory left."""
    told = [line for line in str(error).splitlines() if any(map(line.__contains__, NO_MEMORY))]
    if not told:
        return
    fewer = f"a minibatch_size of less than {n_items}" if n_items > 1 else "a smaller network"
    segments = " configure_settings(checkpoint_segments=True)," if training else ""
    raise SimulationError(
        f"the device has not enough memory for this; try {fewer},{segments} or "
        f"Simulator(..., device=...) with another one. It said: {told[0].strip()}"
    ) from error


class OneThread:
    """Context manager that only one thread can be in, as often as it likes; in others it raises an
    error.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0

    @property
    def is_inside(self) -> bool:
        """Whether a thread is inside."""
        return self._depth > 0

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise SimulationError(
                "the simulator is running in another thread, but only one thread at a time can use "
                "it; create one simulator per thread (for one network, they compile only once)"
            )
        self._depth += 1

    def __exit__(self, *_: Any) -> None:
        self._depth -= 1
        self._lock.release()

    def check(self) -> None:
        """Raise the error if another thread is inside."""
        with self:
            pass
