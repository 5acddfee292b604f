"""Packages that need not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def installed(extra: str) -> Iterator[None]:
    """Where an import inside of it fails, the error says which extra of nengo-dl brings the
    package.

    Raises
    ------
    ImportError
        Where the package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise ImportError(
            f'{package} is not installed; `pip install "nengo-dl[{extra}]"` brings it', name=package
        ) from error
