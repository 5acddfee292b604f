"""Runs the Python code of a Markdown page and compares what it prints with what the page shows.

The blocks of a page are one program: each continues the one before. The line before a block may
say otherwise:

``<!-- new program -->``
    Nothing of the blocks before is known.
``<!-- needs MODULE -->``
    It is run where this module is installed.
``<!-- not run: REASON -->``
    It cannot be run.
``<!-- warns -->``
    It has to give a warning.

A block of the language ``output`` is what the Python block before it prints. ``...`` stands for
anything, and numbers are equal when they are within one unit of the last digit that is shown.

``python tests/documentation/pages.py PAGE...`` writes what is printed into the pages.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nengo

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts),
    )
}

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>[\w-]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A block of code of a page."""

    language: str
    text: str
    mark: str
    line: int
    span: tuple[int, int]


def blocks(page: str) -> Iterator[Block]:
    """All blocks in the text of a page."""
    for found in _BLOCK.finditer(page):
        line = page.count("\n", 0, found.start("text")) + 1
        yield Block(found["language"], found["text"], found["mark"] or "", line, found.span("text"))


def run(path: Path) -> list[tuple[Block, str, dict[str, Any]]]:
    """Run the Python blocks of a page in the working directory.

    Returns
    -------
    list of (block, what it printed, the names that it left)
    """
    found, names = [], {}
    for block in blocks(path.read_text()):
        if not _runs(block):
            continue
        if block.mark == "new program":
            names = {}
        names.setdefault("__name__", "page")
        # so that the lines of a traceback are those of the page
        code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            if block.mark == "warns":
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    exec(code, names)
                assert caught, f"{path.name}, line {block.line}: no warning"
            else:
                exec(code, names)
        found.append((block, printed.getvalue(), dict(names)))
    return found


def _runs(block: Block) -> bool:
    if block.language != "python" or block.mark.startswith("not run: "):
        return False
    needed = block.mark.partition("needs ")[2]
    return not needed or importlib.util.find_spec(needed) is not None


def expected_outputs(page: str) -> dict[int, Block]:
    """Line of a Python block -> the block of output that follows it."""
    everything = list(blocks(page))
    pairs = zip(everything, everything[1:], strict=False)
    return {a.line: b for a, b in pairs if a.language == "python" and b.language == "output"}


def same(printed: str, shown: str) -> bool:
    """Whether a text is what a page shows."""
    pattern, numbers, end = [], [], 0
    for found in _NUMBER.finditer(shown):
        pattern.append(_as_pattern(shown[end : found.start()]))
        pattern.append(f"({_NUMBER.pattern})")
        numbers.append(found[0])
        end = found.end()
    pattern.append(_as_pattern(shown[end:]))
    match = re.fullmatch(r"\s*" + "".join(pattern).strip() + r"\s*", printed, re.DOTALL)
    return match is not None and all(map(_close, match.groups(), numbers))


def _as_pattern(text: str) -> str:
    parts = (r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in text.split("..."))
    return ".*?".join(parts)


def _close(printed: str, shown: str) -> bool:
    digits, _, exponent = shown.partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    exact = "." not in shown and not exponent
    return abs(float(printed) - float(shown)) <= (0 if exact else 1.001 * unit)


def update(path: Path) -> None:
    """Write what the blocks print into the blocks of output, where it is not the same."""
    page = path.read_text()
    shown = expected_outputs(page)
    for block, printed, _ in reversed(run(path)):
        output = shown.get(block.line)
        if output is not None and not same(printed, output.text):
            start, end = output.span
            page = page[:start] + printed + page[end:]
    path.write_text(page)


if __name__ == "__main__":
    nengo.rc.set("progress", "progress_bar", "False")
    for name in sys.argv[1:]:
        update(Path(name))
