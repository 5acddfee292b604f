"""Packages that need not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nengo_dl.distribution import how_to_install


@contextmanager
def installed(extra: str) -> Iterator[None]:
    """Where an import inside of it fails, the error says how to install what an extra of nengo_dl
    brings.

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
            f"{package} is not installed; {how_to_install(extra)} (the extra {extra!r})",
            name=package,
        ) from error
