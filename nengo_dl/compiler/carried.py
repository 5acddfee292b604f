"""Which signals carry a value from one step to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from nengo.builder.operator import Copy, Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.kernel import OperatorSignals
from nengo_dl.compiler.signals import (
    Indices,
    as_array,
    covers,
    positions_of,
    signal_size,
    take,
    view_indices,
)


class Carried:
    """Finds the base signals whose value at the start of a step matters, and those that are written
    at all.
    """

    def __init__(
        self,
        plan: Sequence[tuple[Operator, ...]],
        signals: Mapping[Operator, OperatorSignals],
        probed: Sequence[Signal],
    ):
        self.written: dict[Signal, tuple[int, int]] = {}  # base -> (group, operand) of last writer
        self.carried: dict[Signal, None] = {}
        self._set: set[Signal] = set()
        self._partly_set: dict[Signal, np.ndarray] = {}
        for index, group in enumerate(plan):
            for op in group:
                for sig in (*signals[op].reads, *signals[op].incs):
                    self._read(sig)
            for op in group:
                self._write(op, signals[op], index)
        for sig in probed:
            self._read(sig)
        # read before it was set, and written at some point of the step
        self.carried = {base: None for base in self.carried if base in self.written}

    def _read(self, sig: Signal) -> None:
        base = sig.base
        if base in self._set or base in self.carried:
            return
        partly = self._partly_set.get(base)
        if partly is None or not np.all(partly[as_array(view_indices(sig))]):
            self.carried[base] = None

    def _write(self, op: Operator, signals: OperatorSignals, index: int) -> None:
        for slot, sig in enumerate(signals.writes):
            base = sig.base
            self.written[base] = (index, slot)
            if sig in signals.incs or base in self._set:
                continue
            indices = _target(op)
            if indices is None:
                indices = view_indices(sig)
            size = signal_size(base)
            if covers(indices, size):
                self._set.add(base)
            else:
                partly = self._partly_set.setdefault(base, np.zeros(size, dtype=bool))
                partly[as_array(indices)] = True


def _target(op: Operator) -> Indices | None:
    """Elements of the base that a Copy with a destination slice writes."""
    if type(op) is Copy and op.dst_slice is not None:
        return take(view_indices(op.dst), positions_of(op.dst.shape, op.dst_slice))
    return None
