"""The commands that the pages show exist, with their options."""

import importlib.util
import re
import shlex

import click
import pytest

from documentation.pages import PAGES, ROOT, blocks
from nengo_dl.cli import main

SHELL = ("", "bash", "console")
PROGRAM = re.compile(r"nengo-dl |python -m |scripts/")


def commands(page):
    """Command lines in blocks and in the text of a page, word by word."""
    lines = [
        line.removeprefix("$ ")
        for block in blocks(page)
        if block.language in SHELL
        for line in block.text.replace("\\\n", " ").splitlines()
        if PROGRAM.search(line)
    ]
    lines += re.findall(r"(?<!`)`((?:nengo-dl|python -m nengo_dl|\.?/?scripts/)[^`]*)`(?!`)", page)
    for line in lines:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)  # a variable of the environment
        if words:
            yield words


def check_options(words):
    """Follow a command line of ``nengo-dl`` to its command and look its options up."""
    command, context = main, click.Context(main)
    words = iter(words[1:])
    while isinstance(command, click.Group) and (word := next(words, None)) is not None:
        if word.isupper():  # the name of an argument, in a line that explains
            return
        if word.startswith("-"):
            assert word in options_of(command)
            return
        command = command.get_command(context, word)
        assert command is not None, f"there is no command {word}"
    if command.context_settings.get("ignore_unknown_options"):
        return
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in options_of(command), word


def options_of(command):
    parameters = command.get_params(click.Context(command))
    return {name for parameter in parameters for name in parameter.opts}


@pytest.mark.parametrize("name", PAGES)
def test_commands(name):
    for words in commands(PAGES[name].read_text()):
        program = words[0]
        if program == "nengo-dl":
            check_options(words)
        elif words[:2] == ["python", "-m"] and words[2].startswith("nengo_dl"):
            assert importlib.util.find_spec(words[2]) is not None, words
        elif program.removeprefix("./").startswith("scripts/"):
            assert (ROOT / program).is_file(), words


@pytest.mark.parametrize(
    "line", ["nengo-dl nonesuch", "nengo-dl demo --nonesuch", "nengo-dl --nonesuch"]
)
def test_what_does_not_exist_is_found(line):
    with pytest.raises(AssertionError):
        check_options(shlex.split(line))


def test_what_exists_is_found():
    (words,) = commands("```bash\nKERAS_BACKEND=jax nengo-dl demo --seconds 0.1 # short\n```\n")
    assert words == ["nengo-dl", "demo", "--seconds", "0.1"]
    check_options(words)
