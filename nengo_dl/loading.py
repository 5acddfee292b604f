"""How modules of other packages are loaded, whoever imports them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def load_in(context: Callable[[], AbstractContextManager[Any]], name: str) -> None:
    """Let a module that is not loaded yet be loaded in a context, whoever imports it."""
    sys.meta_path.insert(0, LoadedBy({name}, partial(LoaderIn, context=context)))


class LoadedBy(MetaPathFinder):
    """Finds some modules as Python does, and gives them another loader.

    Parameters
    ----------
    names
        Full names of the modules.
    changed
        Makes the loader of the one that Python has found.
    """

    def __init__(self, names: Collection[str], changed: Callable[[Loader], Loader]):
        self.names, self.changed = names, changed

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module with the other finders."""
        if fullname not in self.names or self not in sys.meta_path:
            return None
        place = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            spec.loader = self.changed(spec.loader)
        return spec


class LoaderIn(Loader):
    """A loader that works in a context.

    Parameters
    ----------
    loader
        The module's own.
    context
        Makes the context.
    """

    def __init__(self, loader: Any, context: Callable[[], AbstractContextManager[Any]]):
        self._loader, self._context = loader, context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; from then on the module has that one."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._context():
            self._loader.exec_module(module)
