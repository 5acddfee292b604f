"""Everything public has a docstring and is on a page of the API reference."""

import importlib.util
import inspect
import re
import types
from pathlib import Path

import pytest

import nengo_dl
from documentation.pages import PAGES
from nengo_dl.settings import SETTINGS

#: modules whose names need a package that may not be installed
MISSING = [name for name in ("nir",) if importlib.util.find_spec(name) is None]
#: of these the reference describes what they hold
MODULES = {
    name: getattr(nengo_dl, name)
    for name in nengo_dl.__all__
    if isinstance(getattr(nengo_dl, name), types.ModuleType) and name not in MISSING
}
DIRECTIVE = re.compile(r"^\.\. (auto\w+|data|currentmodule):: ([\w.]+)", re.MULTILINE)


def public_names(module):
    """Those of ``__all__`` that are no modules."""
    listed = module.__all__
    return [name for name in listed if not isinstance(getattr(module, name), types.ModuleType)]


def resolve(name):
    """The object of a dotted name."""
    head, _, tail = name.rpartition(".")
    if not head:
        return importlib.import_module(name)
    parent = resolve(head)
    # a function goes before a module of the same name
    return getattr(parent, tail) if hasattr(parent, tail) else importlib.import_module(name)


def documented():
    """The objects that the pages of the reference describe."""
    found = []
    for name, path in PAGES.items():
        if not name.startswith("docs/api/") or Path(name).stem in MISSING:
            continue
        current = ""
        for directive, target in DIRECTIVE.findall(path.read_text()):
            if directive == "currentmodule":
                current = target
            else:
                full = target if target.startswith("nengo_dl") else f"{current}.{target}"
                found.append(resolve(full))
    return found


PUBLIC = {
    **{
        f"nengo_dl.{name}": getattr(nengo_dl, name)
        for name in nengo_dl.__all__
        if name not in (*MODULES, *MISSING, "__version__")
    },
    **{
        f"nengo_dl.{module}.{name}": getattr(MODULES[module], name)
        for module in MODULES
        for name in public_names(MODULES[module])
    },
}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring(name):
    value = PUBLIC[name]
    if callable(value):  # a constant is described where it stands
        inherited = {getattr(base, "__doc__", None) for base in getattr(value, "__mro__", ())[1:]}
        assert value.__doc__ and value.__doc__ not in inherited


@pytest.mark.parametrize("name", MODULES)
def test_docstring_of_module(name):
    assert MODULES[name].__doc__


@pytest.mark.parametrize("name", [n for n in dir(nengo_dl.Simulator) if not n.startswith("_")])
def test_docstring_of_simulator(name):
    assert inspect.getdoc(inspect.getattr_static(nengo_dl.Simulator, name))


def test_everything_public_is_in_the_reference():
    found = {id(value) for value in documented()}
    missing = [name for name, value in PUBLIC.items() if id(value) not in found]
    assert not missing


def test_every_setting_is_in_the_guide():
    page = PAGES["docs/configuration.md"].read_text()
    assert [name for name in SETTINGS if f"`{name}`" not in page] == []
    docstring = inspect.getdoc(nengo_dl.configure_settings)
    assert [name for name in SETTINGS if f"\n{name} :" not in docstring] == []


def test_what_a_module_defines_for_others_is_in_all():
    for name, module in MODULES.items():
        defined = {
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) or inspect.isclass(value)
            if value.__module__ == module.__name__ and not key.startswith("_")
        }
        assert defined <= set(module.__all__), name
