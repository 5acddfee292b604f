"""Python code in the loop: functions of Nodes and connections, and every operator without a
lowering of its own.

An operator without a lowering runs Nengo's own numpy step, once for each item of the minibatch, on
copies of its signals. Its state travels in the carry like any other, so that it is reset, saved and
batched in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import keras.ops as ops
import numpy as np
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal, SignalDict
from nengo.exceptions import SimulationError
from nengo.utils.functions import function_name
from nengo.utils.numpy import maxint

from nengo_dl.compiler.kernel import (
    Kernel,
    Prepared,
    SingleOperatorKernel,
    register,
    register_fallback,
)

if TYPE_CHECKING:
    from nengo_dl.lowering.context import Host

#: context in which Nengo's steps run
ERRORS = partial(np.errstate, invalid="raise", divide="ignore")
#: values that Python looks through faster than numpy
FEW = 32


class HostOperator:
    """Nengo's step of one operator for one item of a minibatch.

    Parameters
    ----------
    op
        The operator; its signals and random states are copied, not shared.
    dt
        Time step in seconds.
    rng
        Passed on to ``op.make_step``, as nengo.Simulator does.
    item
        Place in the minibatch; the first item has the random states that Nengo's builder made.
    clock
        Signals that are a multiple of the number of the step, and of how much.
    """

    def __init__(
        self,
        op: Operator,
        dt: float,
        rng: np.random.RandomState,
        item: int = 0,
        clock: Sequence[tuple[Signal, float]] = (),
    ):
        if has_random_state(op):
            op = _with_own_random_states(op, item)
        self.signals = SignalDict()
        op.init_signals(self.signals)
        self.op = op
        signals = self.signals
        self._clock = [(signals[sig], unit) for sig, unit in clock if sig in signals]
        if type(op) is SimPyFunc:
            self.step = _function_step(op, self.signals)
        else:
            self.step = op.make_step(self.signals, dt, rng)

    def run(
        self,
        number: int,
        reads: Sequence[Signal],
        values: Iterable[np.ndarray],
        writes: Iterable[Signal],
    ) -> list[np.ndarray]:
        """Set the signals ``reads`` to ``values``, do the step of this number, and return the
        arrays of ``writes``, which the next step overwrites.
        """
        signals = self.signals
        for array, unit in self._clock:
            array[...] = number * unit
        for sig, value in zip(reads, values, strict=True):
            signals[sig][...] = value.reshape(sig.shape)
        for sig in self.op.incs:
            signals[sig][...] = 0
        self.step()
        return [signals[sig] for sig in writes]


def _function_step(op: SimPyFunc, signals: SignalDict) -> Callable[[], None]:
    """As ``op.make_step``, in a third of its time for a function of few dimensions."""
    function = op.fn
    output = None if op.output is None else signals[op.output]
    t = None if op.t is None else signals[op.t]
    x = None if op.x is None else signals[op.x]

    def step() -> None:
        arguments = () if x is None else (x.copy(),)
        value = function(*arguments) if t is None else function(t.item(), *arguments)
        if output is not None:
            set_output(function, value, output)

    return step


def set_output(function: Callable, value: Any, output: np.ndarray) -> None:
    """Set ``output`` to what ``function`` returned, with the checks of ``SimPyFunc.make_step``."""
    try:
        finite = value is not None and _is_finite(value)
        if finite:
            output[...] = value
    except (TypeError, ValueError) as error:
        raise SimulationError(
            f"Function '{function_name(function)}' returned a value {value!r} of invalid type "
            f"{type(value)!r}"
        ) from error
    if not finite:
        raise not_finite(function)


def not_finite(function: Callable) -> SimulationError:
    """The error for a function that returned a value that is not finite."""
    return SimulationError(f"Function '{function_name(function)}' returned non-finite value")


def _is_finite(value) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    finite = np.isfinite(value)
    if finite.ndim == 0:
        return bool(finite)
    if finite.size <= FEW:  # numpy's reductions take longer to begin
        return all(finite.ravel().tolist())
    return bool(np.all(finite))


def has_random_state(op: Operator) -> bool:
    """Whether Nengo's builder gave the operator a random state (that of stochastic neurons)."""
    return bool(getattr(op, "state_extra", None))


def _with_own_random_states(op: Operator, item: int) -> Operator:
    op = copy(op)
    op.state_extra = {name: _random_state(rng, item) for name, rng in op.state_extra.items()}
    return op


def _random_state(rng: np.random.RandomState, item: int) -> np.random.RandomState:
    rng = deepcopy(rng)
    return rng if item == 0 else np.random.RandomState((rng.randint(maxint) + item) % maxint)


class HostKernel(SingleOperatorKernel):
    """Any operator, by its numpy step."""

    on_host = True
    repeatable = False
    differentiable = False

    def reads(self, op):
        # what it sets and updates may also be the state from which it starts
        signals = dict.fromkeys((*op.reads, *op.sets, *op.updates))
        return tuple(sig for sig in signals if not _is_fixed(op, sig))

    def prepare_one(self, op, settings):
        return _host_step(self, op, settings)


class PythonFunctionKernel(HostKernel):
    """A Python function of (t), (t, x) or (x): a Node's or a connection's."""

    def reads(self, op):
        return () if op.x is None else (op.x,)

    def writes(self, op):
        return () if op.output is None else (op.output,)


def _is_fixed(op: Operator, sig: Signal) -> bool:
    return sig.sparse or (sig.readonly and sig not in (*op.sets, *op.incs, *op.updates))


@dataclass(frozen=True)
class HostFunction:
    """An operator's step in Python, for all items of a minibatch.

    Attributes
    ----------
    op
        The operator.
    reads, writes
        Signals whose values it is given, and of which it returns values.
    """

    op: Operator
    reads: tuple[Signal, ...]
    writes: tuple[Signal, ...]

    def __call__(
        self, host: Host, batch: int, step_index: int, values: Sequence, results: Sequence
    ) -> None:
        """Set ``results``, arrays (batch, size) for each of ``writes``, from the values of
        ``reads``, (batch or 1, size).
        """
        for item in range(batch):
            own = [value[item if len(value) > 1 else 0] for value in values]
            made = host.run(self.op, item, step_index, self.reads, own, self.writes)
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                for result, array in zip(results, made, strict=True):
                    result[item] = array.ravel()


def _host_step(kernel: Kernel, op: Operator, settings) -> Prepared:
    function = HostFunction(op, kernel.reads(op), kernel.writes(op))
    sizes = [sig.size for sig in function.writes]

    def step(context, constants, *operands):
        batch = max((x.shape[0] for x in operands), default=1)

        def on_host(step_index, *values):
            results = [np.empty((batch, size), settings.dtype) for size in sizes]
            function(context.host, batch, int(step_index), values, results)
            return results

        # JAX would fail where TensorFlow gives no gradient
        operands = [ops.stop_gradient(x) for x in operands]
        results = context.host_call(
            on_host,
            (context.step_index, *operands),
            [((batch, size), settings.dtype) for size in sizes],
        )
        return tuple(ops.reshape(r, (batch, size)) for r, size in zip(results, sizes, strict=True))

    return Prepared(step, host_function=function)


@register(SimPyFunc)
def _choose_python_function(op):
    return PythonFunctionKernel()


register_fallback(HostKernel())
