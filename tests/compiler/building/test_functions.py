"""Functions of all evaluation points at once give what they give for each."""

import math

import numpy as np
import pytest
from nengo.exceptions import BuildError

from nengo_dl.compiler.building import functions
from nengo_dl.compiler.building.functions import targets

TABLE = np.array([3.0, 1.0, 2.0])

#: functions, and whether they can be evaluated at all points at once
FUNCTIONS = {
    "element": (lambda x: x[0], True),
    "all": (lambda x: x, True),
    "product": (lambda x: x[0] * x[1], True),
    "list": (lambda x: [x[1], -x[0], 1], True),
    "tuple of arrays": (lambda x: (x[:2], x[2] + 1), True),
    "constant": (lambda x: 0.5, True),
    "constants": (lambda x: [1, 2], True),
    "square": (lambda x: x**2, True),
    "powers": (lambda x: x[0] ** 3 + 2 ** x[1], True),
    "roots": (lambda x: [abs(x[1]) ** 0.5, *(abs(x) ** 1.5), abs(x[0]) ** -1, 3.0 ** x[2]], True),
    "vector": (lambda x: x * TABLE + [1, 2, 3], True),
    "mixed": (lambda x: x[0] * x, True),
    "unpacked": (lambda x: (lambda a, b, c: a * b - c)(*x), True),
    "sum": (lambda x: np.sum(x) + x.prod() + sum(x), True),
    "sine": (lambda x: np.sin(x[0]) + np.cos(x), True),
    "branches": (lambda x: x[0] if x[0] > 0 else (1 if x[1] > 0.5 else -1), True),
    "between": (lambda x: 1 if -0.5 < x[0] < 0.5 and x[1] > 0 else 0, True),
    "maximum": (lambda x: max(x[0], x[1]), True),
    "max of all": (lambda x: max(x), True),
    "np.max": (lambda x: np.max(x) - np.min(x), True),
    "where": (lambda x: np.where(x > 0, x, 0), True),
    "clip": (lambda x: np.clip(x[0], -0.5, 0.5), True),
    "absolute": (lambda x: abs(x) + np.abs(x[0]), True),
    "ufunc": (np.tanh, True),
    "safe": (lambda x: np.sqrt(x[0]) if x[0] > 0 else 0.0, True),
    "math": (lambda x: math.sin(x[0]), False),
    "dot": (lambda x: np.dot(x, x), False),
    "matrix": (lambda x: x @ np.ones((3, 2)), False),
    "look-up": (lambda x: TABLE[int(abs(x[0]) * 2)], False),
    "array": (lambda x: np.array([x[0], x[2]]), False),
    "writes": (lambda x: x.__setitem__(0, 1) or x, False),
    "type": (lambda x: 1 if isinstance(x, np.ndarray) else 2, True),
    "all of them": (lambda x: float(np.all(x > 0)), False),
    "length": (lambda x: len(x) * x.ndim * x[0], True),
    "formatted": (lambda x: float(str(x[0])[:2] == "-0"), False),
}


@pytest.mark.core
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_values(name, monkeypatch):
    function, vectorized = FUNCTIONS[name]
    points = np.random.RandomState(0).uniform(-1, 1, size=(200, 3))
    single = [function(p.copy()) for p in points]
    single = [np.hstack(v) if isinstance(v, (tuple, list)) else v for v in single]
    expected = np.array(single, dtype=float).reshape(len(points), -1)
    calls = []

    def counted(x):
        calls.append(x)
        return function(x)

    values = targets(counted, points.copy(), expected.shape[1], "connection")
    np.testing.assert_array_equal(values, expected)
    if name != "type":
        assert (len(calls) < 50) == vectorized


@pytest.mark.core
def test_random_functions_are_evaluated_point_by_point():
    rng = np.random.RandomState(0)
    values = targets(lambda x: x + rng.normal(), np.zeros((200, 1)), 1, "connection")
    assert len(np.unique(values)) == 200


@pytest.mark.core
def test_too_many_cases(monkeypatch):
    monkeypatch.setattr(functions, "N_CASES", 4)
    points = np.random.RandomState(0).uniform(-1, 1, size=(100, 4))

    def function(x):
        return sum(2.0**i for i in range(4) if x[i] > 0)

    np.testing.assert_array_equal(
        targets(function, points, 1, "connection")[:, 0], [function(p) for p in points]
    )


@pytest.mark.core
def test_none_is_an_error():
    with pytest.raises(BuildError, match="of a connection"):
        targets(lambda x: None, np.zeros((100, 1)), 1, "of a connection")


@pytest.mark.core
def test_warnings_are_those_of_the_points():
    points = np.linspace(-1, 1, 100)[:, np.newaxis]
    with pytest.warns(RuntimeWarning, match="invalid value"):
        targets(np.arcsin, points * 2, 1, "connection")
