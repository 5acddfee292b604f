"""The distribution that pip installs nengo_dl from, its extras, and another one of that name."""

from __future__ import annotations

import re
import warnings
from importlib import metadata
from pathlib import Path

NAME = "nengo-dl4"
#: of other authors; it installs a package ``nengo_dl`` as well
OTHER = "nengo-dl"


def extras() -> dict[str, list[str]]:
    """For each extra, what it requires; nothing where nengo_dl was not installed by pip."""
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return {}
    required: dict[str, list[str]] = {e: [] for e in found.metadata.get_all("Provides-Extra") or ()}
    for line in found.requires or ():
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"](.+?)['\"]", marker)
        if extra is not None:
            required[extra[1]].append(requirement.strip())
    return required


def how_to_install(extra: str) -> str:
    """What to do to have what an extra requires."""
    required = extras().get(extra)
    if required is None:
        return f'run `pip install ".[{extra}]"` in a clone of nengo_dl'
    return f"run `pip install {' '.join(map(_quoted, required))}`"


def _quoted(requirement: str) -> str:
    return f'"{requirement}"' if re.search(r"[^\w.-]", requirement) else requirement


def missing(extra: list[str]) -> list[str]:
    """The names of those that are not installed, of what an extra requires."""
    names = [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in extra]
    return [name for name in names if version(name) is None]


def version(name: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_for_the_other() -> None:
    """Tell where NengoDL 3, or an earlier one, is installed too.

    Raises
    ------
    ImportError
        If it is in the same folder: each module is then that of whichever was installed last.
    """
    installed = version(OTHER)
    if installed is None or not re.match(r"[0-3]\.", installed):
        return
    what = (
        f"NengoDL {installed}, the distribution {OTHER!r}, is installed too, "
        "and is imported by the same name"
    )
    remedy = f"`pip uninstall {OTHER}`"
    folder = Path(__file__).resolve().parent
    if Path(str(metadata.distribution(OTHER).locate_file("nengo_dl"))).resolve() == folder:
        raise ImportError(
            f"{what}: the files of both are mixed in {folder}; {remedy}, "
            f"then install {NAME} again with `pip install --force-reinstall --no-deps`"
        )
    warnings.warn(
        f"{what}: which one runs depends on sys.path; this is {folder}. {remedy} leaves one",
        stacklevel=3,
    )
