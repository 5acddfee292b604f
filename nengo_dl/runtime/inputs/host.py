"""Operators that run in Python: those in the loop and those whose values are computed ahead.

They are made in the order in which nengo.Simulator makes them, so that a process without a seed
draws the same one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np
from nengo.builder import Model
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Operator
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError
from nengo.processes import Piecewise, PresentInput
from nengo.synapses import LinearFilter
from nengo.utils.numpy import maxint

from nengo_dl.compiler.nengo_order import nengo_order
from nengo_dl.lowering.host import ERRORS, HostOperator, has_random_state
from nengo_dl.runtime.checks import N_SEEDS
from nengo_dl.runtime.inputs.process_rows import Rows, StepFailed, make_rows

#: processes that draw no random numbers
DETERMINISTIC = (PresentInput, Piecewise, LinearFilter)


def item_seed(seed: int, item: int) -> int:
    """Seed for an item of the minibatch; the first has the simulator's own."""
    return (seed + item) % N_SEEDS


def differs_by_item(op: Operator) -> bool:
    """Whether an operator computed ahead gives each item of a minibatch numbers of its own."""
    if isinstance(op, SimProcess):
        return op.process.seed is None and not isinstance(op.process, DETERMINISTIC)
    return has_random_state(op)


class HostRuntime:
    """Holds one `HostOperator` or `Rows` for each operator and item, and the first error that one
    raised, with its step.

    An error must not unwind through the compiled loop: it is kept, the operators give zeros from
    that step on, and the caller keeps the steps before it and raises it as soon as the loop
    returns.
    """

    def __init__(
        self,
        model: Model,
        minibatch_size: int,
        in_loop: Iterable[Operator],
        ahead: Iterable[Operator],
        labels: dict[Operator, str],
        threads: int = 1,
    ):
        self.model = model
        self.minibatch_size = minibatch_size
        self.labels, self.threads = labels, threads
        self._in_loop = frozenset(in_loop)
        self._ahead = frozenset(ahead)
        self._operators: dict[tuple[Operator, int], HostOperator] = {}
        self._rows: dict[tuple[Operator, int], Rows] = {}
        self._order = self._making_order()
        self._places = {op: place for place, op in enumerate(self._order)}
        self.failure: tuple[BaseException, int] | None = None

    def _making_order(self) -> list[Operator]:
        """The operators that draw from the simulator's random numbers, or that run here, in Nengo's
        order.
        """
        needed = self._in_loop | self._ahead
        counts = any(map(_depends_on_seed, needed))
        found = [op for op in self.model.operators if op in needed or (counts and _draws(op))]
        added = sorted(needed.difference(found), key=str)  # the compiler's own draw nothing
        if len(found) > 1 and not all(map(self._only_reads_time, found)):
            relevant = frozenset(found)
            found = [op for op in nengo_order(self.model.operators) if op in relevant]
        return found + added

    def _only_reads_time(self, op: Operator) -> bool:
        """Whether Nengo takes the operator as soon as the time is there: several of these in the
        order in which they were built.
        """
        return op.reads == [self.model.time] and not op.incs and not op.updates

    def place(self, op: Operator) -> int:
        """Where an operator stands in Nengo's order."""
        return self._places[op]

    def labels_in_loop(self) -> list[str]:
        """What runs in each step, in words."""
        return [self.labels.get(op, str(op)) for op in self._in_loop]

    def reset(self, seed: int) -> None:
        """Make every operator anew."""
        self.failure = None
        self._operators.clear()
        self._rows.clear()
        for item in range(self.minibatch_size):
            self._make(item, np.random.RandomState(item_seed(seed, item)), self._wanted(item))

    def _wanted(self, item: int) -> frozenset[Operator]:
        ahead = (op for op in self._ahead if item == 0 or differs_by_item(op))
        return self._in_loop | frozenset(ahead)

    def _make(self, item: int, rng: np.random.RandomState, wanted: Iterable[Operator]) -> None:
        dt = self.model.dt
        clock = [(self.model.time, dt), (self.model.step, 1)]
        for op in self._order:
            if op in wanted and op in self._ahead:
                if type(op) is not SimPyFunc:
                    self._rows[op, item] = make_rows(op, dt, rng, item, clock)
            elif op in wanted:
                self._operators[op, item] = HostOperator(op, dt, rng, item, clock)
            elif _draws(op):
                rng.randint(maxint)

    def remake(self, op: Operator, seed: int) -> None:
        """Put one operator that is computed ahead, for all items, back to its first step."""
        for item in range(self.minibatch_size):
            if (op, item) in self._rows:
                self._make(item, np.random.RandomState(item_seed(seed, item)), {op})

    def has_state(self, op: Operator) -> bool:
        """Whether the values of an operator that is computed ahead depend on the steps before."""
        return self._rows[op, 0].has_state

    def draws_alone(self, op: Operator) -> bool:
        """Whether the values of an operator that is computed ahead may be computed in a thread: no
        code of the user's runs, and it has random numbers of its own.
        """
        return self._rows[op, 0].draws_alone

    def fill(self, op: Operator, item: int, rows: np.ndarray, first_step: int) -> None:
        """Set ``rows``, (n_steps, *shape), to the values of an operator that is computed ahead;
        zeros from the first step on in which an operator raised an error.
        """
        n = self.steps_before_failure(first_step, len(rows))
        rows[n:] = 0
        try:
            with ERRORS():
                self._rows[op, item].fill(rows[:n], first_step)
        except StepFailed as failed:
            rows[failed.number :] = 0
            assert failed.__cause__ is not None
            self.fail(op, failed.__cause__, first_step + failed.number)

    def random_states(self) -> dict[str, np.random.RandomState]:
        """The random states of neurons that draw in the loop, by a name that is the same each time
        a network is built.
        """
        places = {op: i for i, op in enumerate(self.model.operators)}
        return {
            f"{places[op]:05d} {name} of item {item}": rng
            for (op, item), operator in self._operators.items()
            if op in self._in_loop and has_random_state(op)
            for name, rng in operator.op.state_extra.items()
        }

    def drawing_unseen(self) -> list[Operator]:
        """Processes in the loop that may draw random numbers out of our sight."""
        return [
            op
            for op in self._in_loop
            if isinstance(op, SimProcess) and not isinstance(op.process, DETERMINISTIC)
        ]

    def run(
        self,
        op: Operator,
        item: int,
        step: int,
        reads: Sequence[Signal],
        values: Iterable[np.ndarray],
        writes: Sequence[Signal],
    ) -> list[np.ndarray]:
        """One step of ``op`` for one item, as `HostOperator.run`; zeros from the first step on in
        which an operator raised an error.
        """
        if self.failure is None or step < self.failure[1]:
            operator = self._operators[op, item]
            try:
                with ERRORS():
                    return operator.run(step, reads, values, writes)
            except BaseException as error:  # raised again outside of the loop
                self.fail(op, error, step)
        return [np.zeros(sig.shape) for sig in writes]

    def fail(self, op: Operator, error: BaseException, step: int) -> None:
        """An operator raised an error in a step before that of any other error."""
        self.failure = (_with_note(error, self._origin(op, step)), step)

    def steps_before_failure(self, first_step: int, n_steps: int) -> int:
        """How many of these steps come before the first one in which an operator failed."""
        if self.failure is None:
            return n_steps
        return min(max(self.failure[1] - first_step, 0), n_steps)

    def _origin(self, op: Operator, step: int) -> str:
        what = (
            f"the function of {self.labels.get(op, op)}" if isinstance(op, SimPyFunc) else str(op)
        )
        return f"raised by {what} in step {step}, at {step * self.model.dt:g} s"


def _with_note(error: BaseException, note: str) -> BaseException:
    """``error`` so that its traceback also says ``note``."""
    if sys.version_info >= (3, 11):
        error.add_note(note)
    elif error.__cause__ is None:
        error.__cause__ = SimulationError(note)
    return error


def _draws(op: Operator) -> bool:
    return isinstance(op, SimProcess) and op.process.seed is None


def _depends_on_seed(op: Operator) -> bool:
    """Whether the random numbers of a simulator matter to an operator; other code may ask for
    them.
    """
    return differs_by_item(op) if isinstance(op, SimProcess) else not isinstance(op, SimPyFunc)
