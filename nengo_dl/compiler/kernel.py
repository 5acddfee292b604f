"""The contract of an operator family, and the registry in which lowerings enter theirs.

A :class:`Kernel` tells the compiler what an operator reads and writes and which operators can be
computed together, and makes the function that computes them. The compiler only asks; the functions
themselves (``keras.ops``) live in ``nengo_dl.lowering``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from nengo.builder.operator import Copy, Operator, Reset, TimeUpdate
from nengo.builder.probe import SimProbe
from nengo.builder.signal import Signal

from nengo_dl.compiler.operators import CopyUpdate

#: rows and columns from which on a matrix is multiplied in half precision, where that is wanted:
#: smaller ones do not fill what multiplies matrices on a GPU
HALF_PRECISION_SIZE = 16


@dataclass(frozen=True)
class Settings:
    """What a kernel may need to know when it is made: fixed for the life of a simulator."""

    dt: float
    dtype: str
    minibatch_size: int
    lif_smoothing: float | None = None
    surrogate: Any = None
    #: how many threads of ours divide the items of a minibatch
    threads: int = 1
    #: ``product_form(n, rows, columns, batch)``: the fastest way to multiply small matrices on the
    #: backend
    product_form: Callable[[int, int, int, int], str] = lambda *_: "einsum"
    #: ``matmul(x, a, half=None)``: the backend's product of two matrices
    matmul: Callable[..., Any] | None = None
    #: the type in half precision to which the operands of products of larger matrices are rounded
    half: str | None = None
    #: ``half_convolution(function, half)``: the same convolution with operands in half precision
    half_convolution: Callable[[Callable, str], Callable] = lambda function, _: function
    #: ``adds_slices(rows, width, batch)``: whether the backend sums rows faster one after the other
    adds_slices: Callable[[int, int, int], bool] = lambda *_: False

    def half_for(self, rows: int, columns: int) -> str | None:
        """The type in half precision to which the operands of a product are rounded; None where
        that is not wanted, and for small matrices.
        """
        return self.half if min(rows, columns) >= HALF_PRECISION_SIZE else None


@dataclass(frozen=True)
class Prepared:
    """A group made ready to run.

    ``step(context, constants, *operands)`` returns one tensor for each signal of ``writes``.
    ``constants`` are given to the compiled function as arguments, under the same names. The step
    reads the ``weights`` of the kernel's Keras layer, and changes its ``carried`` variables.
    ``arrange`` holds, by the number of an operand, a function that brings it into the form that the
    step wants; where the operand is constant that is done once, before the loop. ``host_function``
    is what a kernel ``on_host`` calls, for a loop that calls it itself:
    ``host_function(host, batch, step_index, operands, results)``. ``matrix`` is the number of
    elements of the matrix, if it is only one, that all items are multiplied with. ``sequence`` is
    as ``step``, for all steps at once, of a kernel that `Kernel.carries` states: what changes from
    step to step is (batch, n_steps, width), the states are those before the first step and those
    after the last one; ``context.step_index`` is the first step.
    """

    step: Callable[..., tuple[Any, ...]]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    weights: tuple[Any, ...] = ()
    carried: tuple[Any, ...] = ()
    arrange: dict[int, Callable] = field(default_factory=dict)
    host_function: Callable[..., None] | None = None
    matrix: int = 0
    sequence: Callable[..., tuple[Any, ...]] | None = None


class Kernel(ABC):
    """How the operators of one family are merged, and what one step of a group computes.

    Operands and results are tensors of shape ``(batch, width)`` (batch 1: the same for each item),
    where ``width`` is the sum of the sizes of the operators' signals, in the order of the operators
    in the group.
    """

    #: whether a step calls Python code on the host
    on_host = False
    #: whether a step that is computed again gives the same again, and does nothing else
    repeatable = True
    #: whether in training a gradient passes from the results to the operands
    differentiable = True
    #: whether a step only depends on its operands, so that many can be computed at once, as items
    #: of a larger batch, where they do not depend on each other
    every_step_alone = False
    #: the operands that are states, and the results that are their next values, where all steps can
    #: be computed at once nevertheless (``Prepared.sequence``)
    carries: Mapping[int, int] = MappingProxyType({})
    #: whether results that are many more numbers than the operands, and are needed in the next step
    #: only, may be computed there, from these operands; they are zero where the operands are
    deferrable = False
    #: whether a step convolves
    convolves = False
    #: the Keras layer that a step calls, and whether that has weights
    layer: Any = None
    has_weights = False
    #: the operand that is read once for all operators in a row that have it in common
    shared: int | None = None

    @abstractmethod
    def merge_key(self, op: Operator) -> Hashable:
        """Operators with equal keys may be in one group."""

    def reads(self, op: Operator) -> tuple[Signal, ...]:
        """The signals whose present value the step needs."""
        return tuple(op.reads)

    def operands(self, ops: Sequence[Operator]) -> list[tuple[Signal, ...]]:
        """For each operand of a group, the signals that it consists of."""
        return list(zip(*(self.reads(op) for op in ops), strict=True))

    def writes(self, op: Operator) -> tuple[Signal, ...]:
        """The signals that the step computes: set or updated, or incremented if in ``op.incs``."""
        return (*op.sets, *op.incs, *op.updates)

    @abstractmethod
    def prepare(self, ops: Sequence[Operator], settings: Settings) -> Prepared:
        """Make the step function of a group."""


class SingleOperatorKernel(Kernel):
    """A kernel whose operators are each a group of their own."""

    def merge_key(self, op: Operator) -> Hashable:
        """See `Kernel`."""
        return (id(op),)

    def prepare(self, ops: Sequence[Operator], settings: Settings) -> Prepared:
        """See `Kernel`."""
        (op,) = ops
        return self.prepare_one(op, settings)

    @abstractmethod
    def prepare_one(self, op: Operator, settings: Settings) -> Prepared:
        """Make the step function of an operator."""


_registry: dict[type[Operator], Callable[[Operator], Kernel | None]] = {}
_fallback: list[Kernel] = []
_chosen: WeakKeyDictionary[Operator, Kernel] = WeakKeyDictionary()

#: Operators that only say where values come from; the layout resolves them and nothing is computed.
WIRING = (Reset, Copy, CopyUpdate, TimeUpdate, SimProbe)


def register(operator_type: type[Operator]):
    """Decorator: ``choose(op) -> Kernel | None`` picks the kernel of operators of this type.

    Subclasses use it too, unless they override ``make_step``. Where it returns None the operator
    runs on the host.
    """

    def decorate(choose):
        _registry[operator_type] = choose
        return choose

    return decorate


def register_fallback(kernel: Kernel) -> Kernel:
    """Set the kernel of operators that have no other."""
    _fallback[:] = [kernel]
    return kernel


def has_kernel(operator_type: type[Operator]) -> bool:
    """Whether operators of a type are computed in tensors, or at least some of them."""
    registered = (cls for cls in operator_type.__mro__ if cls in _registry or cls in WIRING)
    return any(_same_maths(operator_type, cls) for cls in registered)


def is_wiring(op: Operator) -> bool:
    """Whether ``op`` only moves values."""
    return type(op) in WIRING


def kernel_for(op: Operator) -> Kernel:
    """The kernel that computes ``op``: the registered one of its type, or the host fallback."""
    if op not in _chosen:
        _chosen[op] = _choose(op)
    return _chosen[op]


def _choose(op: Operator) -> Kernel:
    for cls in type(op).__mro__:
        if cls in _registry:
            kernel = None
            if _same_maths(type(op), cls):
                kernel = _registry[cls](op)
            return kernel if kernel is not None else _fallback[0]
    return _fallback[0]


def _same_maths(cls: type[Operator], registered: type[Operator]) -> bool:
    # operators of our own (DotSet, ...) say how they differ through what they set and increment
    return cls.make_step is registered.make_step or cls.__module__.startswith("nengo_dl.")


class OperatorSignals:
    """The signals that an operator sets, increments or updates, and those whose present values it
    needs.
    """

    __slots__ = ("incs", "reads", "writes")

    def __init__(self, op: Operator):
        kernel = None if is_wiring(op) else kernel_for(op)
        self.reads = tuple(op.reads) if kernel is None else kernel.reads(op)
        self.writes = (
            (*op.sets, *op.incs, *op.updates) if kernel is None else tuple(kernel.writes(op))
        )
        self.incs = op.incs


def merge_key(op: Operator) -> Hashable:
    """Operators with equal keys may be computed together."""
    if is_wiring(op):
        return (type(op),)
    kernel = kernel_for(op)
    return (type(kernel), kernel.merge_key(op))


def is_host_call(op: Operator) -> bool:
    """Whether ``op`` runs Python code on the host once a step."""
    return not is_wiring(op) and kernel_for(op).on_host
