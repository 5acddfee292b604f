"""Files that are there as a whole or not at all. Needs nothing but Python."""

from __future__ import annotations

import glob
import os
import platform
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Any], Any]) -> None:
    """Let ``write(file)`` write a file, which replaces an older one only once it is complete.

    A symbolic link stays one: the file that it points to is written. A file keeps its mode. What a
    killed process left behind is removed.
    """
    path = Path(os.path.realpath(path))
    _remove_abandoned(path)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    temporary = path.with_name(f"{_temporary(path)}{os.getpid()}-{threading.get_ident()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        # never readable by more people than the file that it becomes
        descriptor = os.open(temporary, flags, 0o666 if mode is None else 0o600)
        with open(descriptor, "wb") as file:
            if mode is not None:
                os.chmod(temporary, mode)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> str:
    """How the names of unfinished files begin that processes of this computer write."""
    return f".{path.name}.{platform.node()}-"


def _remove_abandoned(path: Path) -> None:
    """Remove unfinished files of processes that are no more."""
    if os.name != "posix":  # where a process cannot be asked about by a signal
        return
    prefix = _temporary(path)
    for other in path.parent.glob(f"{glob.escape(prefix)}*.tmp"):
        pid = other.name.removeprefix(prefix).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            with suppress(OSError):
                other.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True
