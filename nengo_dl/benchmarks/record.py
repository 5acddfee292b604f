"""What was run, where and when: the last lines of an example."""

from __future__ import annotations

import importlib
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from nengo_dl.version import __version__


def run_record(started: float) -> str:
    """Date, duration, machine and versions of a run, in two lines.

    Parameters
    ----------
    started
        ``time.time()`` at the start, in seconds.
    """
    import keras

    seconds = time.time() - started
    backend = keras.backend.backend()
    versions = {
        "nengo_dl": __version__,
        "Nengo": version("nengo"),
        "Keras": version("keras"),
        backend: importlib.import_module(backend).__version__,
    }
    return (
        f"run on {time.strftime('%Y-%m-%d', time.gmtime(started))} in {seconds / 60:.1f} minutes "
        f"on {_processor()} with {os.cpu_count()} cores\n"
        + ", ".join(f"{name} {value}" for name, value in versions.items())
    )


def _processor() -> str:
    """Name of the processor's model where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
