"""A folder in which the results of a sweep are kept, one file for each group of points.

``sweep.json`` says what the sweep is; a file of a group is an ``npz`` archive without pickled
objects: ``points`` and ``errors``, and ``<number>/<name>`` for each array of a point.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.runtime.parameters.whole_file import write_whole
from nengo_dl.sweeps.job import Job
from nengo_dl.sweeps.points import Points
from nengo_dl.sweeps.rows import Row

logger = logging.getLogger(__name__)

FORMAT = 1
DESCRIPTION = "sweep.json"


class Store:
    """The rows of a sweep on disk.

    Parameters
    ----------
    folder
        Where they are; made where there is none.
    job, points, own_data
        What the sweep is.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the folder holds another sweep, or something else.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        job: Job,
        points: Points,
        own_data: Mapping[str, np.ndarray],
    ):
        self.folder = Path(folder)
        self._check(_description(job, points, own_data))
        self._paths: dict[int, Path] = {}
        self._errors: dict[int, str] = {}
        #: errors of this run that are not kept
        self._unsaved: dict[int, str] = {}
        self._names: dict[str, None] = {}
        for path in sorted(self.folder.glob("points-*.npz")):
            self._add(path)

    def _check(self, description: dict[str, Any]) -> None:
        path = self.folder / DESCRIPTION
        if not path.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise ValidationError(
                    f"{self.folder} has files, but no {DESCRIPTION}: it is no folder of a sweep. "
                    "Choose one that is empty, or not there yet",
                    attr="store",
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(description, indent=1)
            write_whole(path, lambda file: file.write(text.encode()))
            return
        found = json.loads(path.read_text())
        different = [key for key in description if found.get(key) != description[key]]
        if different:
            key = different[0]
            raise ValidationError(
                f"{self.folder} holds another sweep: {_difference(found, description, key)}. "
                "Choose another folder for this one, or remove the old one",
                attr="store",
            )

    # -- writing -----------------------------------------------------------------------------------

    def add(self, rows: list[Row]) -> None:
        """Write rows; when this returns they are on disk, whole."""
        self._unsaved.update({row.number: row.error for row in rows if row.again})
        rows = [row for row in rows if not row.again]
        if not rows:
            return
        arrays: dict[str, np.ndarray] = {
            "points": np.array([row.number for row in rows]),
            "errors": np.array([row.error for row in rows], dtype=np.str_),
        }
        for row in rows:
            for name, value in row.values.items():
                arrays[f"{row.number}/{name}"] = value
        numbers = " ".join(str(row.number) for row in rows).encode()
        digest = hashlib.sha256(numbers).hexdigest()[:8]
        path = self.folder / f"points-{rows[0].number:06d}-{digest}.npz"
        write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
        self._add(path)

    # -- reading -----------------------------------------------------------------------------------

    def _add(self, path: Path) -> None:
        try:
            with _opened(path) as file:
                pairs = zip(file["points"].tolist(), file["errors"].tolist(), strict=True)
                names = [name.partition("/")[2] for name in file.files if "/" in name]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            logger.warning("%s cannot be read (%s); its points run again", path, error)
            return
        self._names.update(dict.fromkeys(names))
        for number, text in pairs:
            if not text:  # an earlier or later try may have raised
                self._errors.pop(number, None)
                self._paths[number] = path
            elif number not in self._paths:
                self._errors[number] = text

    @property
    def done(self) -> frozenset[int]:
        """Numbers of the points that need not run again."""
        return frozenset((*self._paths, *self._errors))

    @property
    def errors(self) -> Mapping[int, str]:
        return {**self._errors, **self._unsaved}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)

    def values(self, name: str) -> Iterator[tuple[int, np.ndarray]]:
        for path in dict.fromkeys(self._paths.values()):
            with _opened(path) as file:
                for number in file["points"].tolist():
                    if f"{number}/{name}" in file.files:
                        yield number, file[f"{number}/{name}"]

    def row(self, number: int) -> dict[str, np.ndarray]:
        with _opened(self._paths[number]) as file:
            mine = [name for name in file.files if name.startswith(f"{number}/")]
            return {name.partition("/")[2]: file[name] for name in mine}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The arrays of a file; it is closed also where it is none of NumPy's."""
    with open(path, "rb") as file, np.load(file) as arrays:
        yield arrays


# -- what a sweep is -------------------------------------------------------------------------------


def _description(job: Job, points: Points, own_data: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "make": _described(job.make),
        "steps": job.n_steps,
        "dt": job.dt,
        "analyse": _described(job.analyse),
        "data": _described(job.data if job.data is None or callable(job.data) else dict(job.data)),
        "data of points": _described(dict(own_data)),
        "points": [_described(parameters) for parameters in points.parameters],
    }


def _described(value: Any) -> Any:
    """A value as JSON, the same in each process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _described(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(part) for part in value]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype.str} {value.shape} {digest}"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _difference(found: dict[str, Any], expected: dict[str, Any], key: str) -> str:
    there, here = found.get(key), expected[key]
    if key == "points" and isinstance(there, list):
        if len(there) != len(here):
            return f"it has {len(there)} points, this one {len(here)}"
        i = next(i for i, (a, b) in enumerate(zip(there, here, strict=True)) if a != b)
        there, here, key = there[i], here[i], f"point {i}"
    return f"its {key!r} is {there!r}, this one's {here!r}"
