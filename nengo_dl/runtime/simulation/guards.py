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
        # Python delivers signals to the main thread only
        if callable(handler) and threading.current_thread() is threading.main_thread():
            self._handler = handler
            _functions.signal(signal.SIGINT, self._receive)
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


class OneThread:
    """Context manager that only one thread can be in, as often as it likes; in others it raises an
    error.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise SimulationError(
                "the simulator is running in another thread, but only one thread at a time can use "
                "it; create one simulator per thread (for one network, they compile only once)"
            )

    def __exit__(self, *_: Any) -> None:
        self._lock.release()

    def check(self) -> None:
        """Raise the error if another thread is inside."""
        with self:
            pass
