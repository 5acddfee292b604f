"""The order of the operators inside each group, so that operands are whole tensors or slices of
them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.kernel import OperatorSignals, is_wiring

Plan = Sequence[tuple[Operator, ...]]
#: behind all that is known
UNKNOWN = (math.inf, 0)


def order_signals(plan: Plan, n_passes: int = 3) -> tuple[list[Signal], list[tuple]]:
    """Sort each group by where the values that it reads come from.

    Going through the plan in its order, the operators of a group are sorted by the position of the
    first signal they read that an earlier group computes, so that what is computed side by side is
    read side by side; what only later groups compute is where the pass before has put it.
    ``n_passes`` bounds the number of passes; they end as soon as one changes nothing.

    Returns the signals in the order in which they are written, and the plan with its groups sorted.
    """
    plan = [tuple(group) for group in plan]
    signals = {op: _Signals(op) for group in plan if not is_wiring(group[0]) for op in group}
    positions = _Positions()
    for _ in range(n_passes):
        before = plan
        positions.begin_pass()
        plan = [_sort_group(i, group, positions, signals) for i, group in enumerate(plan)]
        if plan == before:
            break
    position = positions.of
    plan = [_sort_by_target(group, position) if is_wiring(group[0]) else group for group in plan]
    return _written_signals(plan), plan


def noop_order_signals(plan: Plan, **_) -> tuple[list[Signal], list[tuple]]:
    """Leave the groups as the planner made them."""
    return _written_signals(plan), list(plan)


def _written_signals(plan: Plan) -> list[Signal]:
    written = (sig.base for group in plan for op in group for sig in OperatorSignals(op).writes)
    return list(dict.fromkeys(written))


class _Signals:
    """What all passes ask about an operator that is computed.

    ``reads`` are pairs of a base signal and where in it the signal begins, ``writes`` are pairs of
    a base signal and whether it is written anew.
    """

    __slots__ = ("reads", "writes")

    def __init__(self, op: Operator):
        signals = OperatorSignals(op)
        self.reads = [(s.base, s.elemoffset) for s in signals.reads if not s.sparse]
        self.writes = [(s.base, s not in signals.incs) for s in signals.writes]


class _Positions:
    """The group in which each signal is first written, and its place there.

    ``of`` has what this pass found so far and, for what it has not come to, what the last one
    found.
    """

    def __init__(self) -> None:
        self.of: dict[Signal, tuple[float, int]] = {}
        self._found: set[Signal] = set()

    def begin_pass(self) -> None:
        """Forget which signals the last pass has found, but not where."""
        self._found.clear()

    def found(self, base: Signal, position: tuple[float, int], again: bool = False) -> None:
        """Enter a position, unless this pass has one for the signal; with ``again`` even then."""
        if again or base not in self._found:
            self._found.add(base)
            self.of[base] = position


def _sort_group(index: int, group: tuple, positions: _Positions, signals: Mapping) -> tuple:
    if is_wiring(group[0]):
        _pass_on(group, positions)
        return group
    return _sort_computed(index, group, positions, signals)


def _pass_on(group: tuple, positions: _Positions) -> None:
    """A Copy passes on the position of what it copies, the first one where several meet."""
    for op in group:
        for source in op.reads[:1]:
            if source.base in positions.of:
                for target in OperatorSignals(op).writes:
                    positions.found(target.base, positions.of[source.base])


def _sort_by_target(group: tuple, position: Mapping[Signal, tuple]) -> tuple:
    """So that parameters that are copied lie as what is added to them."""

    def key(op: Operator) -> tuple:
        return min(
            (position.get(sig.base, UNKNOWN) for sig in OperatorSignals(op).writes), default=UNKNOWN
        )

    return tuple(sorted(group, key=key))


def _sort_computed(
    index: int, group: tuple, positions: _Positions, signals: Mapping[Operator, _Signals]
) -> tuple:
    position = positions.of

    def key(op: Operator) -> tuple:
        known = [
            (*position[base], offset) for base, offset in signals[op].reads if base in position
        ]
        return min(known, default=(*UNKNOWN, 0))

    group = tuple(sorted(group, key=key))
    for i, op in enumerate(group):
        for base, anew in signals[op].writes:
            positions.found(base, (index, i), again=anew)
    return group
