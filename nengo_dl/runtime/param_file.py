"""The file that holds the parameters of a network: ``.npz`` without pickled objects.

``parameters/<object>/<attribute>`` holds a parameter, ``state/<name>`` a part of the state, and
``nengo_dl/format`` and
``nengo_dl/dtype`` say how to read them. Needs NumPy only.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from nengo.exceptions import ValidationError

FORMAT = 1
#: as many differences an error lists
MAX_LISTED = 12


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes
    ----------
    parameters
        (name of the object, attribute) -> array.
    state
        Name -> array; empty where only the parameters were saved.
    dtype
        Precision of the simulation, "float32" or "float64".
    """

    parameters: Mapping[tuple[str, str], np.ndarray]
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    dtype: str = "float64"


def with_suffix(path: str | os.PathLike) -> Path:
    """``path``, with ``.npz`` added where it does not end so."""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")


def write(path: str | os.PathLike, contents: Contents) -> None:
    """Write a file, which replaces an older one only once it is complete."""
    path = with_suffix(path)
    arrays = {f"parameters/{obj}/{name}": v for (obj, name), v in contents.parameters.items()}
    arrays.update({f"state/{name}": value for name, value in contents.state.items()})
    arrays.update(
        {"nengo_dl/format": np.asarray(FORMAT), "nengo_dl/dtype": np.array(contents.dtype)}
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is named allow_pickle
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike) -> Contents:
    """Read and check a whole file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    nengo.exceptions.ValidationError
        If it is damaged, was not written by `write`, or by a later version.
    """
    path = with_suffix(path)
    try:
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValidationError(
            f"{path} is damaged, or is not a file of parameters: {error}. Nothing was changed",
            attr="path",
        ) from error
    except (AttributeError, TypeError) as error:  # a single array, not an archive of them
        raise ValidationError(_foreign(path), attr="path") from error
    if "nengo_dl/format" not in arrays or "nengo_dl/dtype" not in arrays:
        raise ValidationError(_foreign(path), attr="path")
    version = int(arrays["nengo_dl/format"])
    if version > FORMAT:
        raise ValidationError(
            f"{path} has format {version}, which a later version of nengo_dl writes; this one "
            "reads formats up "
            f"to {FORMAT}. Upgrade nengo_dl. Nothing was changed",
            attr="path",
        )
    parameters, state = {}, {}
    for name, value in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "parameters":
            obj, _, attribute = rest.rpartition("/")
            parameters[obj, attribute] = value
        elif kind == "state":
            state[rest] = value
    return Contents(parameters, state, str(arrays["nengo_dl/dtype"]))


def _foreign(path: Path) -> str:
    return (
        f"{path} was not written by Simulator.save_params: it lacks the entries that say how to "
        "read it. "
        "Nothing was changed"
    )


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
