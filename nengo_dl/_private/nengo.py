"""Names that Nengo keeps for itself."""

from __future__ import annotations

import numpy as np
from nengo.builder.signal import Signal

#: what a signal consists of; where a version of Nengo has more, it makes them itself
FIELDS = {"_name", "_initial_value", "_base", "_offset", "_readonly"}
SAME_FIELDS = set(vars(Signal(np.zeros(1)))) == FIELDS


def new_signal(view: np.ndarray, name: str | None, readonly: bool) -> Signal:
    """A signal with an initial value, which nobody else may change, without Nengo's checks."""
    if not SAME_FIELDS:
        return Signal(view, name=name, readonly=readonly)
    view.setflags(write=False)
    signal = Signal.__new__(Signal)
    signal._name, signal._initial_value = name, view
    signal._base, signal._offset, signal._readonly = None, 0, readonly
    return signal
