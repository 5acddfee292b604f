"""Processes that are several in a row, as an operator for each."""

from __future__ import annotations

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal

from nengo_dl.compiler.attributes import TrainedFilter, with_attributes
from nengo_dl.compiler.kernel import is_host_call
from nengo_dl.synapses import Delay


def in_series(op: Operator) -> tuple[Operator, ...]:
    """The operators of a delay and of what filters it, in place of the one that does both.

    What filters it is then computed as on any other connection. If Python does, it is one operator,
    whose random numbers are those that Nengo draws.
    """
    delay = op.process if isinstance(op, SimProcess) and op.input is not None else None
    if type(delay) is not Delay or delay.then is None:
        return (op,)
    own = {name: sig for name, sig in op.state.items() if not name.startswith("then ")}
    inner = {name.removeprefix("then "): s for name, s in op.state.items() if name not in own}
    delayed = Signal(np.zeros(op.input.shape), name=f"delayed {op.input.name}")
    after = SimProcess(delay.then, delayed, op.output, op.t, op.mode, inner, op.tag)
    if is_host_call(after):
        return (op,)
    first: Operator = SimProcess(delay.alone, op.input, delayed, op.t, "set", own, op.tag)
    if isinstance(op, TrainedFilter):
        first = with_attributes(first, op.attributes)
    return first, after
