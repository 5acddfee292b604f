"""Older names of arguments."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable)


def warn(old: str, now: str, stacklevel: int = 3) -> None:
    """Warn that something is of an earlier version, and say what to write now."""
    warnings.warn(f"{old} is deprecated, use {now}", DeprecationWarning, stacklevel=stacklevel)


def older_arguments(
    convert: Callable[[Any], Any] = lambda value: value, **names: str
) -> Callable[[Function], Function]:
    """Decorator of a function or method that takes older names of its arguments too.

    Parameters
    ----------
    convert
        From a value of the older arguments to one of the present.
    names
        Older name -> present name.

    Examples
    --------
    ::

        @older_arguments(include_non_trainable="include_state")
        def save_params(self, path, include_state=False): ...
    """

    def decorate(function: Function) -> Function:
        name = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in kwargs.keys() & names.keys():
                now, value = names[old], kwargs.pop(old)
                if now in kwargs:
                    raise TypeError(f"{name} got both {now} and {old}, its older name; give {now}")
                warn(f"the argument {old} of {name}", now)
                if value is not None:
                    kwargs[now] = convert(value)
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def ignored_arguments(**reasons: str) -> Callable[[Function], Function]:
    """Decorator of a function or method that warns of arguments of earlier versions that have no
    effect any more, and says why.
    """

    def decorate(function: Function) -> Function:
        name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for old in kwargs.keys() & reasons.keys():
                del kwargs[old]
                warnings.warn(
                    f"the argument {old} of {name} is ignored: {reasons[old]}",
                    DeprecationWarning,
                    stacklevel=2,
                )
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def shows_progress(value: Any) -> bool:
    """Whether an argument is meant as Nengo's ``progress_bar``."""
    return isinstance(value, bool) or all(hasattr(value, name) for name in ("update", "close"))


def nengo_places(place: int, *names: str) -> Callable[[Function], Function]:
    """Decorator of a method that takes positional arguments from a place on as Nengo's method has
    them, if the first of them is a ``progress_bar``.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            given = args[place:]
            if given and shows_progress(given[0]) and len(given) <= len(names):
                args, kwargs = args[:place], {**dict(zip(names, given, strict=False)), **kwargs}
            return function(self, *args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def size_as_shape(size: Any) -> tuple[Any, ...] | None:
    """A ``shape_in`` or ``shape_out`` from version 2's ``size_in`` or ``size_out``."""
    return None if size is None or size == 0 else (size,)
