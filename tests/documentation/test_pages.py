"""The Python code of README.md and of the pages in docs runs, and prints what they show."""

import re

import keras
import pytest
from nengo.builder import Builder

from documentation.pages import PAGES, blocks, expected_outputs, run, same
from nengo_dl.converter import base

#: run by the tests of what they describe, which look at more than what is printed
ELSEWHERE = ("docs/extending.md", "docs/visualization.md")
WITH_CODE = [
    name
    for name, path in PAGES.items()
    if name not in ELSEWHERE
    and any(block.language == "python" for block in blocks(path.read_text()))
]
MARK = re.compile(r"|new program|warns|needs \w+|not run: .+")


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """What pages register is forgotten."""
    monkeypatch.setattr(base, "_registry", dict(base._registry))
    monkeypatch.setattr(Builder, "builders", dict(Builder.builders))
    custom = keras.saving.get_custom_objects()
    before = dict(custom)
    yield
    custom.clear()
    custom.update(before)


@pytest.mark.parametrize("name", WITH_CODE)
def test_page(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = PAGES[name]
    shown = expected_outputs(path.read_text())
    for block, printed, _ in run(path):
        if block.line in shown:
            output = shown[block.line].text
            assert same(printed, output), (
                f"line {block.line} prints\n{printed}\ninstead of\n{output}"
            )


@pytest.mark.parametrize(
    "printed, shown, expected",
    [
        ("a 1.04\n", "a 1.0\n", True),
        ("a 1.14\n", "a 1.0\n", False),
        ("[0.1  2]\n", "[0.1 2]\n", True),
        ("[0.1  3]\n", "[0.1 2]\n", False),
        ("-1.2e-05", "-1.3e-05", True),
        ("-1.2e-05", "-1.3e-04", False),
        ("anything at all, 3", "any... 3", True),
        ("anything at all, 3", "any... 4", False),
        ("shape (2, 3)", "shape (2, 3)", True),
        ("1.0 and more", "1.0", False),
    ],
)
def test_comparison_of_outputs(printed, shown, expected):
    assert same(printed, shown) == expected


def test_blocks_of_output_follow_code():
    for name, path in PAGES.items():
        page = path.read_text()
        outputs = [block for block in blocks(page) if block.language == "output"]
        assert len(outputs) == len(expected_outputs(page)), name


def test_marks_are_known():
    for name, path in PAGES.items():
        for block in blocks(path.read_text()):
            assert MARK.fullmatch(block.mark), (name, block.line, block.mark)
