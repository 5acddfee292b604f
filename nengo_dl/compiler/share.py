"""Products of several matrices with one vector, as one product with the matrices on top of each
other.

An ensemble's activities are often decoded for several connections. Read once for all of them they
need not be copied side by side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.kernel import is_wiring, kernel_for


def separate_shared(plan: Sequence[Sequence[Operator]]) -> list[tuple[Operator, ...]]:
    """Split groups whose kernel reads an operand once for several operators, so that in each group
    the same number of operators has an operand in common.
    """
    groups = []
    for group in plan:
        kernel = None if is_wiring(group[0]) else kernel_for(group[0])
        if kernel is None or kernel.shared is None:
            groups.append(tuple(group))
            continue
        keys = [place(kernel.reads(op)[kernel.shared]) for op in group]
        readers = Counter(keys)
        parts: dict[int, list[Operator]] = defaultdict(list)
        for op, key in zip(group, keys, strict=True):
            parts[readers[key]].append(op)
        groups.extend(tuple(part) for part in parts.values())
    return groups


def multiplicity(signals: Sequence[Signal]) -> int:
    """The number of times that each signal stands there, all at the same place and each equally
    often; 1 if they do not.
    """
    keys = [place(sig) for sig in signals]
    n = keys.count(keys[0])
    runs = [keys[i : i + n] for i in range(0, len(keys), n)]
    in_runs = all(len(set(run)) == 1 for run in runs) and len(keys) % n == 0
    return n if in_runs and len({run[0] for run in runs}) == len(runs) else 1


def place(signal: Signal) -> Hashable:
    """What two views of the same elements have in common."""
    return (signal.base, signal.elemoffset, signal.elemstrides, signal.shape)
