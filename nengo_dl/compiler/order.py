"""The order of the operators inside each group, so that operands are whole tensors or slices of
them.
"""

from __future__ import annotations

from collections.abc import Sequence

from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.kernel import is_wiring, kernel_for

Plan = Sequence[tuple[Operator, ...]]


def order_signals(plan: Plan, n_passes: int = 10) -> tuple[list[Signal], list[tuple]]:
    """Sort each group by where the values that it reads come from.

    Going through the plan in its order, the operators of a group are sorted by the position of the
    first signal they read that an earlier group computes, so that what is computed side by side is
    read side by side. ``n_passes`` bounds the number of passes; they end as soon as one changes
    nothing.

    Returns the signals in the order in which they are written, and the plan with its groups sorted.
    """
    plan = [tuple(group) for group in plan]
    position: dict[Signal, tuple[int, int]] = {}
    for _ in range(n_passes):
        before = plan
        plan = [_sort_group(i, group, position) for i, group in enumerate(plan)]
        if plan == before:
            break
    signals = dict.fromkeys(sig.base for group in plan for op in group for sig in _written(op))
    return list(signals), plan


def noop_order_signals(plan: Plan, **_) -> tuple[list[Signal], list[tuple]]:
    """Leave the groups as the planner made them."""
    signals = dict.fromkeys(sig.base for group in plan for op in group for sig in _written(op))
    return list(signals), list(plan)


def _written(op: Operator) -> tuple[Signal, ...]:
    return (*op.sets, *op.incs, *op.updates) if is_wiring(op) else kernel_for(op).writes(op)


def _sort_group(index: int, group: tuple, position: dict) -> tuple:
    if is_wiring(group[0]):
        # a Copy passes on the position of what it copies, the first one where several meet
        for op in group:
            for source in op.reads[:1]:
                if source.base in position:
                    for target in (*op.sets, *op.incs, *op.updates):
                        position.setdefault(target.base, position[source.base])
        return group
    kernel = kernel_for(group[0])
    unknown = (len(position) + index + 1, 0)

    def key(op: Operator) -> tuple:
        known = [
            (*position[sig.base], sig.elemoffset)
            for sig in kernel.reads(op)
            if not sig.sparse and sig.base in position
        ]
        return min(known, default=(*unknown, 0))

    group = tuple(sorted(group, key=key))
    for i, op in enumerate(group):
        for sig in kernel.writes(op):
            if sig not in op.incs or sig.base not in position:
                position[sig.base] = (index, i)
    return group
