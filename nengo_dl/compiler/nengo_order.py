"""The order in which `nengo.Simulator` without its optimizer runs operators.

It is that of `nengo.utils.graphs.toposort` of `nengo.utils.simulator.operator_dependency_graph`,
found with numbers in place of operators: Nengo's takes ten times as long for large networks.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.exceptions import BuildError

Users = dict[Signal, list[int]]


def nengo_order(operators: Sequence[Operator]) -> list[Operator]:
    """The operators in Nengo's order.

    Raises
    ------
    nengo.exceptions.BuildError
        If they wait for each other.
    """
    followers = _followers(operators)
    waiting = [0] * len(operators)
    for after in followers:
        for vertex in after:
            waiting[vertex] += 1
    ready = deque(vertex for vertex, n in enumerate(waiting) if not n)
    order = []
    while ready:
        vertex = ready.popleft()
        order.append(operators[vertex])
        for follower in followers[vertex]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(order) < len(operators):
        raise BuildError(
            "Input graph has cycles. This usually occurs because too many connections have no "
            "synapses. Try setting more synapses to '0' instead of 'None'."
        )
    return order


def _followers(operators: Sequence[Operator]) -> list[dict[int, None]]:
    """For each operator those that wait for it, in the order in which Nengo finds them."""
    sets, incs, reads, updates = (
        _users(operators, phase) for phase in ("sets", "incs", "reads", "updates")
    )
    views = _Views((sets, incs, reads))
    followers: list[dict[int, None]] = [{} for _ in operators]
    for earlier, later in (((sets,), incs), ((sets, incs), reads), ((sets, incs, reads), updates)):
        for signal, users in later.items():
            after = dict.fromkeys(users)
            before = dict.fromkeys(
                vertex
                for view in (signal, *views.sharing(signal))
                for phase in earlier
                for vertex in phase.get(view, ())
            )
            for vertex in before:
                followers[vertex].update(after)
    return followers


def _users(operators: Sequence[Operator], phase: str) -> Users:
    users: Users = defaultdict(list)
    for vertex, op in enumerate(operators):
        for signal in getattr(op, phase):
            users[signal].append(vertex)
    return dict(users)


class _Views:
    """Which signals share memory."""

    def __init__(self, phases: Iterable[Users]):
        by_base: dict[Signal, dict[Signal, None]] = defaultdict(dict)
        for phase in phases:
            for signal in phase:
                by_base[signal.base][signal] = None
        #: of bases that have several views, where each view begins and ends
        self._bounds = {
            base: {view: _bytes_of(view.initial_value) for view in views}
            for base, views in by_base.items()
            if len(views) > 1 or base not in views
        }

    def sharing(self, signal: Signal) -> list[Signal]:
        """The other signals that have elements of this one."""
        bounds = self._bounds.get(signal.base)
        if bounds is None:
            return []
        low, high = _bytes_of(signal.initial_value)
        return [
            view
            for view, (start, stop) in bounds.items()
            if view is not signal and start < high and low < stop
        ]


def _bytes_of(array: np.ndarray) -> tuple[int, int]:
    """Where the elements of an array begin and end in memory."""
    start = array.__array_interface__["data"][0]
    spans = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
    if array.size == 0:
        return start, start
    first = start + sum(span for span in spans if span < 0)
    return first, start + sum(span for span in spans if span > 0) + array.itemsize
