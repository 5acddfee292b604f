"""Simulators in processes that were forked."""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import keras
from nengo.exceptions import SimulationError

from nengo_dl import tuning

#: whether this process was forked from another one
forked = False


def _note_fork() -> None:
    global forked
    forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


class Watch:
    """Finds out whether something hangs in a forked process.

    The threads with which TensorFlow and JAX compute do not survive a fork. Much runs without them;
    what needs one waits for ever.
    """

    def __init__(self) -> None:
        self._seen = threading.Event()

    def is_needed(self) -> bool:
        """Whether this process was forked, and has not computed as is to be watched."""
        return forked and not self._seen.is_set()

    def well(self) -> None:
        """There was a result."""
        self._seen.set()

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What ``function`` returns or raises; where that hangs before there was a result, an
        error.
        """
        if not self.is_needed():
            return function(*args, **kwargs)
        outcome: dict[str, Any] = {}
        context = contextvars.copy_context()

        def run() -> None:
            try:
                outcome["result"] = context.run(function, *args, **kwargs)
            except BaseException as error:
                outcome["error"] = error

        thread = threading.Thread(target=run, daemon=True, name="nengo_dl-forked")
        thread.start()
        self._wait(thread)
        if "error" in outcome:
            raise outcome["error"]
        self.well()
        return outcome["result"]

    def _wait(self, thread: threading.Thread) -> None:
        while thread.is_alive():
            start, computed = time.monotonic(), time.process_time()
            while thread.is_alive() and time.monotonic() - start < tuning.PATIENCE_SECONDS:
                thread.join(0.1)
            most = tuning.IDLE_SECONDS + 0.01 * tuning.PATIENCE_SECONDS
            idle = time.process_time() - computed < most
            if thread.is_alive() and idle and not self._seen.is_set():
                raise SimulationError(
                    "this process was forked from one that had used "
                    f"{keras.backend.backend()}, so it lacks the threads for which this call "
                    "waits; instead of forking, start new processes with "
                    'multiprocessing.get_context("spawn") or joblib\'s "loky", or use nengo_dl in '
                    "the parent only after forking"
                )
