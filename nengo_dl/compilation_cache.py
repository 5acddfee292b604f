"""The folder in which compiled code is kept for later processes."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

from nengo_dl import tuning


def folder(compiler: str) -> Path | None:
    """The folder of what a version of a compiler made for this processor: code for another one may
    have instructions that this one has not. None where there can be no such folder.
    """
    found = cache_folder() / f"{compiler}-{processor()}"
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_own(found):
            return None
        shrink(found)
    except OSError:
        return None
    return found


def cache_folder() -> Path:
    """Where the system wants the caches of this package to be."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nengo_dl"


def processor() -> str:
    """Another text for a processor with other instructions."""
    words = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        wanted = ("model name", "flags", "Features", "CPU part")
        words += sorted({line for line in lines if line.startswith(wanted)})
    except OSError:  # another system
        pass
    return hashlib.sha256(repr(words).encode()).hexdigest()[:16]


def is_own(found: Path) -> bool:
    """Whether nobody else can put code into a folder, which is run as it is."""
    if not os.access(found, os.R_OK | os.W_OK):
        return False
    return not hasattr(os, "getuid") or found.stat().st_uid == os.getuid()


def shrink(found: Path, most: int = tuning.CACHE_BYTES) -> None:
    """Where there is more than ``most``, remove the files that were not used for the longest
    time.
    """
    with os.scandir(found) as entries:
        files = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
    size = sum(stat.st_size for _, stat in files)
    if size <= most:
        return
    for path, stat in sorted(files, key=lambda file: max(file[1].st_atime, file[1].st_mtime)):
        Path(path).unlink(missing_ok=True)  # another process may have been here
        size -= stat.st_size
        if size <= most // 2:
            return
