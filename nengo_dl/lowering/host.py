"""Python code in the loop: functions of Nodes and connections, and every operator without a
lowering of its own.

An operator without a lowering runs Nengo's own numpy step, once for each item of the minibatch, on
copies of its signals. Its state travels in the carry like any other, so that it is reset, saved and
batched in the same way.
"""

from __future__ import annotations

from copy import copy, deepcopy

import keras.ops as ops
import numpy as np
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal, SignalDict
from nengo.utils.numpy import maxint

from nengo_dl.compiler.kernel import Kernel, Prepared, register, register_fallback


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
    """

    def __init__(self, op: Operator, dt: float, rng: np.random.RandomState, item: int = 0):
        if has_random_state(op):
            op = _with_own_random_states(op, item)
        self.signals = SignalDict()
        op.init_signals(self.signals)
        self.op = op
        self.step = op.make_step(self.signals, dt, rng)

    def run(self, given: dict[Signal, np.ndarray], wanted: tuple[Signal, ...]) -> list[np.ndarray]:
        """Set the signals ``given``, step, and return copies of those ``wanted``."""
        for sig, value in given.items():
            self.signals[sig][...] = np.reshape(value, sig.shape)
        for sig in self.op.incs:
            self.signals[sig][...] = 0
        self.step()
        return [self.signals[sig].copy() for sig in wanted]


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


class PythonFunctionKernel(Kernel):
    """A Python function of (t), (t, x) or (x): a Node's or a connection's."""

    on_host = True
    differentiable = False

    def merge_key(self, op):
        return (id(op),)

    def reads(self, op):
        return () if op.x is None else (op.x,)

    def writes(self, op):
        return () if op.output is None else (op.output,)

    def prepare(self, ops_, settings):
        return _host_step(self, ops_[0], settings)


class HostKernel(Kernel):
    """Any operator, by its numpy step."""

    on_host = True
    differentiable = False

    def merge_key(self, op):
        return (id(op),)

    def reads(self, op):
        # what it sets and updates may also be the state from which it starts
        signals = dict.fromkeys((*op.reads, *op.sets, *op.updates))
        return tuple(sig for sig in signals if not _is_fixed(op, sig))

    def prepare(self, ops_, settings):
        return _host_step(self, ops_[0], settings)


def _is_fixed(op: Operator, sig: Signal) -> bool:
    return sig.sparse or (sig.readonly and sig not in (*op.sets, *op.incs, *op.updates))


def _host_step(kernel: Kernel, op: Operator, settings) -> Prepared:
    reads, writes = kernel.reads(op), kernel.writes(op)
    dtype = settings.dtype
    sizes = [sig.size for sig in writes]

    def step(context, constants, *operands):
        batch = max((x.shape[0] for x in operands), default=1)

        def on_host(step_index, *values):
            results = []
            for item in range(batch):
                given = {
                    sig: value[min(item, len(value) - 1)]
                    for sig, value in zip(reads, values, strict=True)
                }
                results.append(context.host.run(op, item, int(step_index), given, writes))
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                return [
                    np.stack([np.asarray(r[i], dtype=dtype).ravel() for r in results])
                    for i in range(len(writes))
                ]

        # JAX would fail where TensorFlow gives no gradient
        operands = [ops.stop_gradient(x) for x in operands]
        results = context.host_call(
            on_host, (context.step_index, *operands), [((batch, size), dtype) for size in sizes]
        )
        return tuple(ops.reshape(r, (batch, size)) for r, size in zip(results, sizes, strict=True))

    return Prepared(step)


@register(SimPyFunc)
def _choose_python_function(op):
    return PythonFunctionKernel()


register_fallback(HostKernel())
