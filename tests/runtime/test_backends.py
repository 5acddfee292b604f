"""Each backend is a module with the functions of `Backend`."""

import importlib
import inspect

import pytest

from nengo_dl import keras_backend
from nengo_dl.runtime.backends.protocol import Backend

FUNCTIONS = {n: f for n, f in vars(Backend).items() if inspect.isfunction(f) and n[0] != "_"}


@pytest.mark.parametrize("name", keras_backend.SUPPORTED)
def test_functions_and_their_arguments(name):
    pytest.importorskip(name)
    backend = importlib.import_module(f"nengo_dl.runtime.backends.{name}")
    assert backend.name == name
    for attribute in Backend.__annotations__:
        assert hasattr(backend, attribute)
    assert len(FUNCTIONS) > 30
    for function, contract in FUNCTIONS.items():
        _, *expected = inspect.signature(contract).parameters.values()
        given = inspect.signature(getattr(backend, function)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in given] == [
            (p.name, p.kind, p.default) for p in expected
        ], function
