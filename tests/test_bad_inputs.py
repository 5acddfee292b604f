"""Input that makes no sense ends in an error that says what of it and why, and changes nothing."""

import ast
import functools
import traceback
import warnings
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from nengo.exceptions import NengoException

from bad_inputs import others, simulator
from bad_inputs.shared import Fine, Shared

TABLES = {
    f"{module.__name__.split('.')[-1]}, {name.lower()}": getattr(module, name)
    for module in (simulator, others)
    for name in module.TABLES
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Shared(tmp_path_factory.mktemp("inputs"))
    yield made
    made.sim.close()
    if filtering:
        keras.config.enable_traceback_filtering()


@functools.cache
def raises(path: str) -> list[range]:
    """The lines of a file on which something is raised on purpose."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return [
        range(node.lineno, node.end_lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
    ]


def is_clear(error: BaseException) -> bool:
    """Whether an error is one that Nengo, Keras or we raise to say what is wrong, and not one that
    something inside comes upon.
    """
    if isinstance(error, click.ClickException):
        return True
    if not isinstance(error, (NengoException, ValueError, TypeError, OSError, KeyError)):
        return False
    if isinstance(error, OSError) and error.filename is not None:
        return True
    frame = traceback.extract_tb(error.__traceback__)[-1]
    packages = ("nengo_dl", "nengo", "keras", "click")
    ours = any(part in packages for part in Path(frame.filename).parts)
    return ours and any(frame.lineno in lines for lines in raises(frame.filename))


def tried(shared, name, call, value):
    """What is wrong with a call that is given a value; None for nothing."""
    fine = isinstance(value, Fine)
    what = f"{name}: {value!r:.60}".replace("\n", "")
    try:
        call(shared, value.value if fine else value)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        if fine or not is_clear(error):
            return f"{what} -> {type(error).__name__}: {str(error)[:160]} ({where})"
    else:
        if not fine:
            return f"{what} is taken"
        shared.restart()
    return None


@pytest.mark.core
@pytest.mark.parametrize("table", TABLES)
def test_bad_inputs_are_told_and_change_nothing(shared, table):
    if table == "others, graphs":
        pytest.importorskip("nir")
    problems = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, call, values in TABLES[table]:
            problems += [tried(shared, name, call, value) for value in values]
        after = shared.measure()
    problems = [problem for problem in problems if problem]
    same = all(map(np.array_equal, shared.numbers, after))
    assert same and not problems, "\n".join([f"{len(problems)}, {same=}", *problems])


@pytest.mark.core
def test_a_compile_that_fails_leaves_what_was_compiled_before(shared):
    shared.restart()
    x, y = {shared.inp: shared.x}, {shared.probe: shared.y}
    shared.sim.reset(seed=1)
    before = shared.sim.evaluate(x, y, verbose=0)
    with pytest.raises(TypeError, match="nobody"):
        shared.sim.compile("sgd", loss={shared.spikes: "mae"}, nobody=1)
    with pytest.raises(ValueError, match="x"):
        shared.sim.compile("x", loss={shared.spikes: "mae"})
    shared.sim.reset(seed=1)  # undoes what the rule has learned
    assert shared.sim.evaluate(x, y, verbose=0) == before
    shared.restart()


def test_there_are_many():
    assert sum(len(values) for rows in TABLES.values() for _, _, values in rows) > 1000
