"""A digest of everything that a value consists of, the closures of functions included."""

from __future__ import annotations

import functools
import hashlib
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from nengo.params import FrozenObject, ObsoleteParam, iter_params

#: packages whose functions and classes stay what they are while a process runs
FIXED = ("nengo_dl", "nengo", "keras", "numpy", "tensorflow", "jax", "builtins")
#: packages whose objects consist of their attributes, and the modules of what those inherit from
OPEN, OPEN_BASES = "nengo_dl", ("builtins", "abc", "typing")
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...))


class NoFingerprint(Exception):
    """A value may change in a way that cannot be seen, or is a user's own code."""


def fingerprint(value: Any) -> str:
    """Equal for values that act alike.

    Of functions, their code and what they close over counts; what they find in their modules does
    not, so only those of `FIXED` packages are taken.

    Raises
    ------
    NoFingerprint
        If there is anything in the value about which that cannot be said.
    """
    walk = _Walk()
    walk.add(value)
    return walk.digest.hexdigest()


class _Walk:
    """Follows a value to all its parts; the second time that it meets one, it notes which."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self._met: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no id comes twice

    def _note(self, *words: Any) -> None:
        self.digest.update(repr(words).encode())

    def add(self, value: Any) -> None:
        """Add a value and its parts to the digest."""
        if type(value) in PLAIN or isinstance(value, (np.generic, np.dtype)):
            self._note(type(value).__name__, value)
        elif id(value) in self._met:
            self._note("again", self._met[id(value)])
        else:
            self._met[id(value)] = len(self._met)
            self._alive.append(value)
            self._add_object(value)

    def _add_object(self, value: Any) -> None:
        kind = type(value)
        if kind in (tuple, list):
            self._add_parts(kind.__name__, value)
        elif kind is dict:
            self._add_parts("dict", [part for item in value.items() for part in item])
        elif kind is slice:
            self._add_parts("slice", (value.start, value.stop, value.step))
        elif kind is range:
            self._note(value)
        elif kind is np.ndarray and not value.dtype.hasobject:
            self._note("array", value.dtype.str, value.shape)
            self.digest.update(np.ascontiguousarray(value).data)
        elif isinstance(value, np.ufunc):
            self._note("ufunc", _name_of_ufunc(value))
        elif isinstance(value, (type, BuiltinFunctionType)):
            self._note("name", _lasting_name(value))
        elif kind is functools.partial:
            self._add_parts("partial", (value.func, value.args, value.keywords))
        elif kind is MethodType:
            self._add_parts("method", (value.__func__, value.__self__))
        elif kind is FunctionType:
            self._add_function(value)
        elif kind is CodeType:
            self._add_parts("code", (value.co_code, value.co_names, value.co_consts))
        else:
            self._add_instance(value)

    def _add_parts(self, kind: str, parts: Any) -> None:
        self._note(kind, len(parts))
        for part in parts:
            self.add(part)

    def _add_function(self, function: FunctionType) -> None:
        self._note("function", _name(function))
        if not _is_found(function):
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
            defaults = (function.__defaults__, function.__kwdefaults__)
            self._add_parts("made of", (function.__code__, cells, *defaults))

    def _add_instance(self, value: Any) -> None:
        self._note("instance", _lasting_name(type(value)))
        if isinstance(value, FrozenObject):
            names = _parameter_names(type(value))  # type: ignore[arg-type]
            self._add_parts("with", [part for n in names for part in (n, getattr(value, n))])
        elif all(_is_open(cls) for cls in type(value).__mro__):
            self.add(dict(vars(value)))
        else:
            raise NoFingerprint(f"no way to look into {type(value)}")


@functools.lru_cache(maxsize=64)
def _parameter_names(cls: type) -> tuple[str, ...]:
    """Names of what an object of a class is made of, in their order."""
    names = iter_params(cls)
    return tuple(name for name in names if not isinstance(getattr(cls, name), ObsoleteParam))


def _name(value: Any) -> str:
    """Where a function or a class is defined, if that is in a package that stays as it is."""
    module = value.__module__ or "builtins"
    if module.split(".")[0] not in FIXED:
        raise NoFingerprint(f"{module}.{value.__qualname__} is not a part of nengo_dl")
    return f"{module}.{value.__qualname__}"


def _lasting_name(value: Any) -> str:
    """As `_name`, of what is not made anew by each call of a function."""
    if "<locals>" in value.__qualname__:
        raise NoFingerprint(f"{value} is one of several of its name")
    return _name(value)


def _name_of_ufunc(ufunc: np.ufunc) -> str:
    if getattr(np, ufunc.__name__, None) is not ufunc:
        raise NoFingerprint(f"{ufunc} is not one of NumPy's")
    return ufunc.__name__


def _is_found(function: FunctionType) -> bool:
    """Whether its name alone says which function it is."""
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is function


def _is_open(cls: type) -> bool:
    """Whether what instances have of this class are attributes that `vars` names."""
    if cls.__module__ in OPEN_BASES:
        return cls.__module__ != "builtins" or cls is object
    return cls.__module__.split(".")[0] == OPEN and not vars(cls).get("__slots__")
