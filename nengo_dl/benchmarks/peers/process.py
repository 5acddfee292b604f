"""The parent of a `worker`: starting it, and talking to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nengo_dl

WORKER = Path(__file__).with_name("worker.py")


class NotMeasured(Exception):
    """Something is not installed, or failed; the message says what."""


@dataclass(frozen=True)
class Job:
    """What a worker does; see `worker.prepare`.

    Attributes
    ----------
    module, function
        Where in ``benchmarks/`` the job is.
    arguments
        Of the function.
    work
        How much is done in one unit of a run: the size of the minibatch where there is one.
    cores
        Number of processor cores it may use; None for all.
    """

    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    work: float = 1.0
    cores: int | None = None


class Worker:
    """A process that does a job; ends with the context.

    Parameters
    ----------
    job
        What to do.
    python
        Interpreter; None for this one, and then with this package.
    environment
        Environment variables that are set in addition.

    Raises
    ------
    NotMeasured
        If something is not installed, or fails.
    """

    def __init__(
        self, job: Job, python: str | None = None, environment: dict[str, str] | None = None
    ) -> None:
        variables = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several share a GPU
            **os.environ,
            **(environment or {}),
        }
        root = str(Path(nengo_dl.__file__).parents[1])
        path = variables.pop("PYTHONPATH", "")
        if python is None:
            variables["PYTHONPATH"] = os.pathsep.join([root, path]) if path else root
        description = {name: getattr(job, name) for name in ("module", "function", "arguments")}
        try:
            self._process = subprocess.Popen(
                [
                    python or sys.executable,
                    str(WORKER),
                    json.dumps({**description, "cores": job.cores}),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=variables,
            )
        except OSError as error:
            raise NotMeasured(f"{python} does not start: {error}") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.job = job
        self.facts: dict[str, Any] = {}
        self.peak_mb = 0.0
        self.user_seconds = 0.0
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def run(self, n: int) -> float:
        """Seconds that ``n`` units of work take."""
        try:
            self._input.write(f"run {n}\n")
            self._input.flush()
        except BrokenPipeError:
            pass  # its last words are still to be read
        return self._answer()["seconds"]

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):  # it ended before it had read all
            self._input.close()
        self._output.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._output.readline()
        if not line:
            raise NotMeasured(f"ended with status {self._process.wait()}")
        answer = json.loads(line)
        if "missing" in answer:
            raise NotMeasured(f"not installed ({answer['missing']})")
        if "error" in answer:
            raise NotMeasured(answer["error"])
        self.facts, self.peak_mb = answer["facts"], answer["peak_mb"]
        self.user_seconds = answer.get("user_seconds", 0.0)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
