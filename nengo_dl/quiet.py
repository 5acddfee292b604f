"""Keeps what TensorFlow reports of the machine while it is loaded off the terminal."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

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


class LoadedIn(MetaPathFinder):
    """Finds a package as Python does, and lets it be loaded in a context, whoever imports it.

    Parameters
    ----------
    package
        Name of the package.
    context
        Makes the context.
    """

    def __init__(self, package: str, context: Callable[[], AbstractContextManager[Any]]):
        self.package, self.context = package, context

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find the package with the other finders."""
        if fullname != self.package or self not in sys.meta_path:
            return None
        place = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            spec.loader = _LoaderIn(spec.loader, self.context)
        return spec


class _LoaderIn(Loader):
    """A loader that works in a context."""

    def __init__(self, loader: Any, context: Callable[[], AbstractContextManager[Any]]):
        self._loader, self._context = loader, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; from then on the module has that one."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._context():
            self._loader.exec_module(module)
