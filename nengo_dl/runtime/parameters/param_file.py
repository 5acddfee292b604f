"""The file that holds the parameters of a network: ``.npz`` without pickled objects.

``parameters/<object>/<attribute>`` holds a parameter, ``state/<name>`` a part of the state, and
``nengo_dl/format`` and ``nengo_dl/dtype`` say how to read them. What a file says about itself is
read first; arrays are only unpacked once they are known to be wanted. Needs NumPy only.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.runtime.checks import checked_path
from nengo_dl.runtime.parameters.whole_file import write_whole

FORMAT = 1
DTYPES = ("float32", "float64")
#: as many differences an error lists
MAX_LISTED = 12


@dataclass(frozen=True)
class Header:
    """What a file says about one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    parameters
        (name of the object, attribute) -> array, or its `Header`.
    state
        Name -> array or `Header`; empty where only the parameters were saved.
    dtype
        Precision of the simulation, "float32" or "float64".
    """

    parameters: Mapping[tuple[str, str], Any]
    state: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"

    def renumbered(self, names: Iterable[tuple[str, str]]) -> Contents:
        """The same under these names, where they differ in numbers at the end only: those that
        Keras gives to layers go on when a program makes its model once more.
        """
        names = list(names)
        if set(names) == set(self.parameters):
            return self
        of_stem: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for obj, attribute in names:
            of_stem.setdefault((_stem(obj), attribute), []).append((obj, attribute))
        wanted = {stem: iter(found) for stem, found in of_stem.items()}
        renamed = {}
        for (obj, attribute), value in self.parameters.items():
            name = next(wanted.get((_stem(obj), attribute), iter(())), None)
            if name is None:
                return self
            renamed[name] = value
        return replace(self, parameters=renamed) if len(renamed) == len(names) else self


def _stem(name: str) -> str:
    """The name of an object without the numbers at the ends of its parts."""
    return re.sub(r"(_\d+)+(?=$|[/. ])", "", name)


def with_suffix(path: str | os.PathLike) -> Path:
    """``path``, with ``.npz`` added where it does not end so."""
    path = checked_path("path", path)
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")


# -- writing ---------------------------------------------------------------------------------------


def write(path: str | os.PathLike, contents: Contents) -> None:
    """Write a file, which replaces an older one only once it is complete.

    A symbolic link stays one: the file that it points to is written. A file keeps its mode. What a
    killed process left behind is removed.
    """
    path = with_suffix(path)
    arrays = {f"parameters/{obj}/{name}": v for (obj, name), v in contents.parameters.items()}
    arrays.update({f"state/{name}": value for name, value in contents.state.items()})
    arrays.update(
        {"nengo_dl/format": np.asarray(FORMAT), "nengo_dl/dtype": np.array(contents.dtype)}
    )
    write_whole(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]  # no array is named allow_pickle


# -- reading ---------------------------------------------------------------------------------------


def read(
    path: str | os.PathLike,
    differences: Callable[[Contents], list[str]],
    include_state: bool = False,
    names: Iterable[tuple[str, str]] = (),
) -> Contents:
    """Read a file that fits.

    Parameters
    ----------
    path
        The file.
    differences
        Called with the headers of everything in the file, before any of it is unpacked; returns in
        words what does not fit, see `raise_differences`.
    include_state
        Whether the state is wanted too.
    names
        Those of the parameters in the network, in its order, see `Contents.renumbered`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    nengo.exceptions.ValidationError
        If it is damaged, does not fit, was not written by `write`, or by a later version.
    """
    path = with_suffix(path)
    with open(path, "rb") as file:
        try:
            archive = _Archive(file)
            dtype = archive.check(path)
        except ValidationError:
            raise
        except Exception as error:  # the libraries raise nearly anything where a file is damaged
            raise _damaged(path, error) from None
        raise_differences(path, differences(_sorted(archive.headers, dtype).renumbered(names)))
        wanted = ("parameters/", "state/") if include_state else ("parameters/",)
        try:
            arrays = {n: archive.array(n) for n in archive.headers if n.startswith(wanted)}
        except Exception as error:
            raise _damaged(path, error) from None
    return _sorted(arrays, dtype).renumbered(names)


class _Archive:
    """The arrays in a zip file, by name, and their headers."""

    def __init__(self, file: Any):
        self.is_archive = True
        start = file.read(len(np.lib.format.MAGIC_PREFIX))
        file.seek(0)
        if start == np.lib.format.MAGIC_PREFIX:  # a single array, of another program
            self.is_archive, self.headers = False, {}
            return
        self.zip = zipfile.ZipFile(file)
        self.entries = {i.filename.removesuffix(".npy"): i for i in self.zip.infolist()}
        if len(self.entries) != len(self.zip.infolist()):
            raise ValueError("it contains two arrays with the same name")
        self.headers = {name: self._header(entry) for name, entry in self.entries.items()}

    def _header(self, entry: zipfile.ZipInfo) -> Header:
        with self.zip.open(entry) as file:
            version = np.lib.format.read_magic(file)
            if version not in _READ_HEADER:
                raise ValueError(f"{entry.filename} has version {version} of NumPy's format")
            shape, _, dtype = _READ_HEADER[version](file)
            size = file.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{entry.filename} contains Python objects")
        if size != entry.file_size:
            raise ValueError(f"{entry.filename} does not have the stated size")
        return Header(shape, dtype)

    def array(self, name: str) -> np.ndarray:
        """Unpack one array."""
        with self.zip.open(self.entries[name]) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def check(self, path: Path) -> str:
        """Check what the file says about itself; returns the precision of the simulation."""
        version = self.headers.get("nengo_dl/format")
        dtype = self.headers.get("nengo_dl/dtype")
        if version is None or dtype is None:
            raise ValidationError(
                f"{path} was not written by Simulator.save_params: it lacks the entries that "
                "describe its format. Nothing was changed",
                attr="path",
            )
        if version.shape != () or version.dtype.kind not in "iu":
            raise ValueError("its format is not an integer")
        if dtype.shape != () or dtype.dtype.kind != "U" or dtype.dtype.itemsize > 64:
            raise ValueError("its precision is not a name")
        number, precision = int(self.array("nengo_dl/format")), str(self.array("nengo_dl/dtype"))
        if number > FORMAT:
            raise ValidationError(
                f"{path} has format {number}, which a later version of nengo_dl writes; this one "
                f"reads formats up to {FORMAT}. Upgrade nengo_dl. Nothing was changed",
                attr="path",
            )
        if number < 1:
            raise ValueError(f"its format is {number}; the first one is 1")
        if precision not in DTYPES:
            raise ValueError(f"its precision is {precision!r}; known are {', '.join(DTYPES)}")
        return precision


_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _sorted(entries: Mapping[str, Any], dtype: str) -> Contents:
    """Arrays or headers by what they are; what has another name belongs to somebody else."""
    parameters, state = {}, {}
    for name, value in entries.items():
        kind, _, rest = name.partition("/")
        if kind == "parameters":
            obj, _, attribute = rest.rpartition("/")
            parameters[obj, attribute] = value
        elif kind == "state":
            state[rest] = value
    return Contents(parameters, state, dtype)


def _damaged(path: Path, error: Exception) -> ValidationError:
    # NumPy advises to allow pickles, which would run code from the file
    reason = "a header cannot be read" if "pickle" in str(error) else str(error)
    return ValidationError(
        f"{path} is damaged, or is not a file of parameters: {reason or type(error).__name__}. "
        "Nothing was changed",
        attr="path",
    )


# -- comparing -------------------------------------------------------------------------------------


def check_names(
    expected: Mapping[tuple[str, str], object], found: Mapping[tuple[str, str], object]
) -> list[str]:
    """What one side has and the other lacks, in words."""
    missing = [
        f"the file has no {name} of {obj!r}" for obj, name in expected if (obj, name) not in found
    ]
    extra = [
        f"the file has {name} of {obj!r}, which the network has not"
        for obj, name in found
        if (obj, name) not in expected
    ]
    return missing + extra


def differing_array(
    key: tuple[str, str], found: Any, allowed: Sequence[tuple[int | None, ...]]
) -> list[str]:
    """What is wrong with the type or shape of an array, or of its header, in words.

    None in a shape stands for any length.
    """
    what = f"{key[1]} of {key[0]!r}"
    if found.dtype.kind not in "fiub":
        return [f"{what} holds {found.dtype}, not numbers"]
    if not any(_fits(found.shape, shape) for shape in allowed):
        expected = " or ".join(str(shape).replace("None", "any") for shape in allowed)
        return [f"{what} has shape {found.shape} in the file, expected {expected}"]
    return []


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(shape) == len(expected) and all(
        e is None or n == e for n, e in zip(shape, expected, strict=True)
    )


def integer(value: Any, low: int, high: int) -> bool:
    """Whether an array, or a number, is one integer in a range, both ends included."""
    value = np.asarray(value)
    return value.shape == () and value.dtype.kind in "iu" and low <= int(value) <= high


def raise_differences(path: str | os.PathLike, differences: Sequence[str]) -> None:
    """Raise an error that lists the differences, if there are any."""
    if not differences:
        return
    listed = list(differences[:MAX_LISTED])
    if len(differences) > len(listed):
        listed.append(f"and {len(differences) - len(listed)} more")
    raise ValidationError(
        f"{with_suffix(path)} does not fit this network: {'; '.join(listed)}. It has to be a "
        "network made by the "
        "same code as the one that was saved. Nothing was changed",
        attr="path",
    )
