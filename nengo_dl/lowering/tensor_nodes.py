"""TensorNodes: functions of tensors, and Keras layers and models, as operators."""

from __future__ import annotations

import keras
import keras.ops as ops
import numpy as np
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError

from nengo_dl.compiler.kernel import Kernel, Prepared, register


class SimTensorNode(Operator):
    """Calls a function of tensors once a step.

    Parameters
    ----------
    call
        ``call(t, x, state, training) -> (outputs, state)`` where ``x`` has shape (minibatch,
        size_in) and the state is a list of tensors.
    time, input, output
        Signals; ``input`` may be None.
    layer
        The Keras layer whose variables the call uses, or None.
    state
        Signals that carry the state of a recurrent cell.
    """

    def __init__(
        self,
        call,
        time: Signal,
        input: Signal | None,
        output: Signal,
        layer: keras.layers.Layer | None = None,
        state: tuple[Signal, ...] = (),
        tag: str | None = None,
    ):
        super().__init__(tag=tag)
        self.call, self.layer = call, layer
        self.sets, self.incs = [output], []
        self.reads = [time] if input is None else [time, input]
        self.updates = list(state)

    @property
    def input(self) -> Signal | None:
        """The signal that the function is given, if any."""
        return self.reads[1] if len(self.reads) > 1 else None

    @property
    def output(self) -> Signal:
        """The signal that the function sets."""
        return self.sets[0]

    def make_step(self, signals, dt, rng):
        """TensorNodes run in nengo_dl only."""

        def step():
            raise SimulationError(
                f"{self.tag} is a TensorNode, which only nengo_dl.Simulator can run; use a "
                "nengo.Node "
                "with a Python function for other simulators"
            )

        return step


class TensorNodeKernel(Kernel):
    """One TensorNode."""

    def merge_key(self, op):
        return (id(op),)

    def reads(self, op):
        return (*op.reads, *op.updates)

    def prepare(self, ops_, settings):
        (op,) = ops_
        batch, dtype = settings.minibatch_size, settings.dtype
        size_in = 0 if op.input is None else op.input.size
        shapes = [(batch, *sig.shape) for sig in op.updates]

        def step(context, constants, time, *operands):
            operands = [_for_each_item(x, batch) for x in operands]
            x = operands.pop(0) if size_in else None
            state = [ops.reshape(s, shape) for s, shape in zip(operands, shapes, strict=True)]

            def call():
                return op.call(ops.reshape(time, ()), x, state, context.training)

            output, state = context.variables.run(call)
            results = (output, *state)
            return tuple(ops.cast(ops.reshape(r, (batch, -1)), dtype) for r in results)

        layer = op.layer
        return Prepared(
            step,
            weights=() if layer is None else tuple(layer.trainable_variables),
            carried=() if layer is None else tuple(layer.non_trainable_variables),
            layer=layer,
        )


def _for_each_item(x, batch: int):
    return x if x.shape[0] == batch else ops.broadcast_to(x, (batch, x.shape[1]))


@register(SimTensorNode)
def _choose_tensor_node(op):
    return TensorNodeKernel()


def state_signal(size: tuple[int, ...], name: str) -> Signal:
    """A signal that starts at zero."""
    return Signal(np.zeros(size), name=name)
