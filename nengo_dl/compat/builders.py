"""Builders of operators, which NengoDL 3 had: taken, and not used."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from nengo.builder.operator import Operator

from nengo_dl.compat.arguments import warn
from nengo_dl.compiler.kernel import has_kernel

Class = TypeVar("Class", bound=type)


class OpBuilder:
    """Base class of builders, whose methods nengo_dl does not call.

    Parameters
    ----------
    ops, signals, config
        Whatever a subclass passes on.
    """

    def __init__(self, ops: Any = None, signals: Any = None, config: Any = None):
        self.ops, self.config = ops, config

    def build_pre(self, signals: Any, config: Any) -> None:
        """Was called before the steps."""

    def build_step(self, signals: Any) -> None:
        """Was called for each step."""

    def build_post(self, signals: Any) -> None:
        """Was called after the steps."""

    @staticmethod
    def mergeable(x: Any, y: Any) -> bool:
        """Whether two operators were computed together."""
        return False


class Builder:
    """Registry of builders.

    Attributes
    ----------
    builders
        Operator type -> the builder that was registered.
    """

    builders: dict[type[Operator], type] = {}

    @classmethod
    def register(cls, nengo_op: type[Operator]) -> Callable[[Class], Class]:
        """Decorator that registers a builder of operators of a type, and warns that it is not
        used.

        Raises
        ------
        TypeError
            For anything but an operator type.
        """
        if not inspect.isclass(nengo_op) or not issubclass(nengo_op, Operator):
            raise TypeError(f"expected a subclass of nengo.builder.Operator, got {nengo_op!r}")

        def decorate(builder: Class) -> Class:
            name = nengo_op.__name__
            runs = f"operators of type {name} run by their own NumPy step, without a gradient"
            if has_kernel(nengo_op):
                runs = f"operators of type {name} are computed by nengo_dl's own kernel"
            warnings.warn(
                f"nengo_dl.builder.Builder.register is deprecated: {builder.__name__} is not used, "
                f"{runs}. To compute them in tensors, write a nengo_dl.compiler.kernel.Kernel and "
                "enter it with nengo_dl.compiler.kernel.register, or for a neuron type use "
                "nengo_dl.register_neurons",
                DeprecationWarning,
                stacklevel=2,
            )
            cls.builders[nengo_op] = builder
            return builder

        return decorate


def builders_of(module: str) -> Callable[[str], type]:
    """The ``__getattr__`` of a module of builders: each name that ends so is one."""

    @functools.cache
    def builder(name: str) -> type:
        contents = {"__module__": module, "__doc__": "Accepted, and not used; see `OpBuilder`."}
        return type(name, (OpBuilder,), contents)

    def __getattr__(name: str) -> type:
        if name.startswith("_") or not name.endswith("Builder"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(
            f"{module}.{name}, which is not used here,",
            "nengo_dl.register_neurons or a nengo_dl.compiler.kernel.Kernel",
        )
        return builder(name)

    return __getattr__
