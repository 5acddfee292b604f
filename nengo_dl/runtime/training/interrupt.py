"""Ctrl-C between two chunks of a run and not inside one."""

from __future__ import annotations

import importlib
import signal
import sys
import threading

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
        self._received = False
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
        if self._received:
            self._handler(number, frame)
        self._received = True

    def check(self) -> None:
        """Do now what Ctrl-C does, by default raise KeyboardInterrupt."""
        if self._received:
            self._received = False
            self._handler(signal.SIGINT, None)
