"""Rewrites of the list of operators, one small function each.

A simplification takes the operators and returns operators that compute the same. It may take a
second argument, the signals it must treat as unknown although nothing in the simulation changes
them: inputs and trainable parameters.
"""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from operator import is_

import numpy as np
from nengo.builder.operator import (
    BsrDotInc,
    Copy,
    DotInc,
    ElementwiseInc,
    Operator,
    Reset,
    SparseDotInc,
)
from nengo.builder.signal import Signal
from nengo.builder.transforms import ConvInc, ConvTransposeInc

from nengo_dl import tuning
from nengo_dl.compiler.operators import DotSet, ElementwiseSet, as_set

Operators = list[Operator]
Simplification = Callable[..., Operators]
NOTHING: frozenset[Signal] = frozenset()
#: types of operators that keep no state and do nothing besides computing what they write
PURE = frozenset(
    {
        *(Reset, Copy, DotInc, SparseDotInc, BsrDotInc, ElementwiseInc),
        *(ConvInc, ConvTransposeInc, DotSet, ElementwiseSet),
    }
)


class _OperatorList(list):
    """Operators, and how many of them write each base signal that is written: counted once, and
    after a simplification only where it changed something.
    """

    def __init__(self, operators: Iterable[Operator], writers: Counter | None = None):
        super().__init__(operators)
        self.writers = _count_writers(self) if writers is None else writers

    def changed_to(self, operators: Operators) -> _OperatorList:
        """These operators in the place of those here, which are not used any more."""
        before, after = set(self), set(operators)
        self.writers.update(_count_writers(after - before))
        self.writers.subtract(_count_writers(before - after))
        return _OperatorList(operators, self.writers)


def _count_writers(operators: Iterable[Operator]) -> Counter:
    return Counter(
        [
            sig.base
            for op in operators
            for signals in (op.sets, op.incs, op.updates)
            for sig in signals
        ]
    )


class _Constants:
    """Answers which signals keep their initial value."""

    def __init__(self, operators: Iterable[Operator], unknown: frozenset[Signal]):
        known = operators.writers if isinstance(operators, _OperatorList) else None
        self.writers = known or _count_writers(operators)
        self.unknown = unknown

    def value(self, signal: Signal) -> np.ndarray | None:
        """The value of a signal that nothing changes, else None."""
        if self.writers.get(signal.base) or signal.base in self.unknown:
            return None
        value = signal.initial_value
        return value if type(value) is np.ndarray else None  # not of one that is sparse


def remove_unmodified_resets(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Drop a Reset that restates the initial value of a signal that nothing else writes."""
    constants = _Constants(operators, unknown)

    def redundant(op: Operator) -> bool:
        return (
            type(op) is Reset
            and constants.writers.get(op.dst.base) == 1
            and bool(np.all(op.dst.initial_value == op.value))
        )

    return [op for op in operators if not redundant(op)]


def remove_zero_incs(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Drop increments by a product with a factor that is always zero, or by a signal that is."""
    constants = _Constants(operators, unknown)

    def is_zero(sig: Signal) -> bool:
        value = constants.value(sig)
        return value is not None and not value.any()

    def adds_nothing(op: Operator) -> bool:
        if type(op) in (DotInc, ElementwiseInc):
            return is_zero(op.A) or is_zero(op.X)
        return type(op) is Copy and op.inc and is_zero(op.src)

    return [op for op in operators if not adds_nothing(op)]


def remove_reset_incs(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Replace a Reset to zero and the first increment of the whole signal by one operator that
    sets.
    """
    resets = {op.dst: op for op in operators if type(op) is Reset and op.value == 0}
    replaced: dict[Operator, Operator] = {}
    dropped: set[Operator] = set()
    for op in operators:
        incs = op.incs
        reset = resets.get(incs[0]) if len(incs) == 1 else None
        if reset is None or reset in dropped or not _fills_target(op):
            continue
        setter = as_set(op)
        if setter is not None:
            replaced[op] = setter
            dropped.add(reset)
    return [replaced.get(op, op) for op in operators if op not in dropped]


def _fills_target(op: Operator) -> bool:
    return not (type(op) is Copy and op.dst_slice is not None)


def remove_constant_copies(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Replace a Copy of a signal that is one number throughout, and constant, by a Reset to that
    number.
    """
    constants = _Constants(operators, unknown)

    def replace(op: Operator) -> Operator:
        if type(op) is not Copy or op.inc or op.dst_slice is not None:
            return op
        value = constants.value(op.src)
        if value is None or value.size == 0 or np.any(value != (first := value.flat[0])):
            return op
        return Reset(op.dst, value=float(first), tag=op.tag)

    return [replace(op) for op in operators]


def remove_identity_muls(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Replace a product with one (or with the identity matrix), which is constant, by a Copy."""
    constants = _Constants(operators, unknown)

    def replace(op: Operator) -> Operator:
        if not isinstance(op, (DotInc, ElementwiseInc)) or isinstance(op, SparseDotInc):
            return op
        if op.X.shape != op.Y.shape:
            return op
        a = constants.value(op.A)
        if a is None or not _is_identity(a, isinstance(op, DotInc)):
            return op
        return Copy(op.X, op.Y, inc=bool(op.incs), tag=op.tag)

    return [replace(op) for op in operators]


def _is_identity(a: np.ndarray, is_dot: bool) -> bool:
    if is_dot and a.ndim == 2:
        return a.shape[0] == a.shape[1] and np.array_equal(a, np.eye(len(a)))
    return bool(np.all(a == 1)) and (a.ndim < 2 and (not is_dot or a.size == 1))


def split_outer_products(operators: Operators, unknown: frozenset = NOTHING) -> Operators:
    """Replace a product with a constant matrix of rank one, as of a gate that inhibits all neurons
    of an ensemble, by two: with a row, which gives one number, and of that with a column.

    Parts that several such products share are computed once: a gate often has many targets.
    """
    constants = _Constants(operators, unknown)
    numbers: dict[tuple[Signal, bytes], Signal] = {}
    rewritten = []
    for op in operators:
        matrix = constants.value(op.A) if type(op) is DotInc else None
        factors = None if matrix is None else _outer_factors(matrix)
        if factors is None:
            rewritten.append(op)
            continue
        column, row = (Signal(value, name=f"{op.A.name}.factor") for value in factors)
        key = op.X, row.initial_value.tobytes()
        if key not in numbers:
            numbers[key] = Signal(np.zeros(1), name=f"{op.A.name}.product")
            rewritten.append(Reset(numbers[key], tag=op.tag))
            rewritten.append(DotInc(row, op.X, numbers[key], tag=op.tag))
        rewritten.append(ElementwiseInc(column, numbers[key], op.Y, tag=op.tag))
    return rewritten


def _outer_factors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """A column (n,) and a row (1, m) whose product is the matrix but for rounding; None where there
    are none, or where that would not be less work.
    """
    small = matrix.ndim != 2 or min(matrix.shape) < 2 or matrix.size < tuning.OUTER_ELEMENTS
    if small or matrix.dtype.kind != "f":
        return None
    # most matrices differ from a product in the first rows
    first = _factors(matrix[:2]) if matrix[:2].any() else ()
    return None if first is None or not matrix.any() else _factors(matrix)


def _factors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """As `_outer_factors`, of a matrix that is not zero."""
    i, j = np.unravel_index(np.argmax(np.abs(matrix)), matrix.shape)
    row, largest = matrix[i], matrix[i, j]
    column = matrix[:, j] / largest
    tolerance = 4 * np.finfo(matrix.dtype).eps * abs(largest)
    close = np.abs(matrix - column[:, None] * row).max() <= tolerance
    return (column, row[None]) if close else None


def remove_unread(operators: Iterable[Operator], wanted: Iterable[Signal]) -> Operators:
    """Drop what is computed and then read by nothing, for instance the decoded output of an
    EnsembleArray of which only other functions are used.

    Neurons, synapses and all other operators with a state stay, since ``sim.data`` and
    ``sim.signals`` show it. ``wanted`` are the signals that are read from outside.
    """
    operators = list(operators)
    readers = Counter(sig.base for sig in wanted)
    writers: dict[Signal, list[Operator]] = defaultdict(list)
    for op in operators:
        readers.update(sig.base for sig in (op.reads if type(op) in PURE else op.all_signals))
        if type(op) in PURE:
            writers[_written_base(op)].append(op)
    # what is never set as a whole adds up over the steps: it is a state
    anew = {sig for op in operators for sig in op.sets if not sig.is_view}
    unread = [base for base in writers if not readers[base] and base in anew]
    dropped: set[Operator] = set()
    while unread:
        for op in writers[unread.pop()]:
            dropped.add(op)
            for base in (sig.base for sig in op.reads):
                readers[base] -= 1
                if not readers[base] and base in writers and base in anew:
                    unread.append(base)
    return [op for op in operators if op not in dropped]


def _written_base(op: Operator) -> Signal:
    (written,) = op.sets or op.incs
    return written.base


default_simplifications: tuple[Simplification, ...] = (
    remove_unmodified_resets,
    remove_zero_incs,
    remove_identity_muls,
    remove_constant_copies,
    split_outer_products,
    remove_reset_incs,
)


def simplify(
    operators: Operators,
    simplifications: Iterable[Simplification] = default_simplifications,
    unknown: frozenset = NOTHING,
    max_passes: int = 10,
) -> Operators:
    """Apply the simplifications in turn until none of them finds anything more to do."""
    simplifications = list(simplifications)
    operators, idle = _OperatorList(operators), 0
    for rewrite in simplifications * max_passes:
        given = _OperatorList(operators, operators.writers)  # one that may be changed in place
        rewritten = list(rewrite(given, unknown) if _takes_unknown(rewrite) else rewrite(given))
        if len(rewritten) == len(operators) and all(map(is_, rewritten, operators)):
            idle += 1
        else:
            operators, idle = operators.changed_to(rewritten), 0
        if idle == len(simplifications):
            break
    return list(operators)


def _takes_unknown(rewrite: Simplification) -> bool:
    """Whether a function has an argument ``unknown``, or another one besides the operators that it
    needs.
    """
    positional = [
        p
        for p in inspect.signature(rewrite).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return any(p.name == "unknown" or p.default is p.empty for p in positional[1:])
