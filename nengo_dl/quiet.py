"""Keeps what TensorFlow reports of the machine while it is loaded off the terminal."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: lines that are no warning and no error: information, and the words that go before it
NOISE = re.compile(rb"I\d{4} .*|WARNING: All log messages before absl::InitializeLog.*")
#: the search for a GPU, where there is no driver of one
NO_GPU = re.compile(rb"[EW]\d{4} .*(failed call to cuInit|Could not find cuda drivers).*")
#: where Linux has a driver for NVIDIA's GPUs
DRIVER = "/proc/driver/nvidia"


@contextmanager
def without_noise() -> Iterator[None]:
    """Pass on what is written to stderr meanwhile, but for `NOISE`.

    TensorFlow writes some lines whatever ``TF_CPP_MIN_LOG_LEVEL`` says, as it reads that after it
    has looked for a GPU. They come from C++, past ``sys.stderr``: what is replaced is the file
    descriptor. Each other line is passed on as soon as it is complete.
    """
    try:
        before = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    end = b"nengo_dl %d" % threading.get_ident()
    reading, writing = os.pipe()
    done = threading.Event()
    thread = threading.Thread(target=_pass_on, args=(reading, before, end, done), daemon=True)
    thread.start()
    _flush()
    os.dup2(writing, 2)
    try:
        yield
    finally:
        _flush()
        os.dup2(before, 2)
        os.write(writing, b"\n" + end + b"\n")
        os.close(writing)
        done.wait()


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


def _pass_on(reading: int, to: int, end: bytes, done: threading.Event) -> None:
    """Until the last process that writes has ended; ``done`` is set when this one has."""
    no_gpu = not os.path.exists(DRIVER)
    with os.fdopen(reading, "rb") as lines, os.fdopen(to, "wb", buffering=0) as stderr:
        held = b""  # a line end: that before `end` is ours
        for line in lines:
            if line.rstrip() == end:
                held = b""
                done.set()
            elif line == b"\n":
                stderr.write(held)
                held = line
            elif not NOISE.match(line) and not (no_gpu and NO_GPU.match(line)):
                stderr.write(held + line)
                held = b""
        stderr.write(held)
    done.set()
