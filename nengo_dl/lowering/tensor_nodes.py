"""TensorNodes: functions of tensors, and Keras layers and models, as operators."""

from __future__ import annotations

import warnings

import keras
import keras.ops as ops
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError

from nengo_dl._private.keras import flattened, kept_weights
from nengo_dl.compiler.kernel import Prepared, SingleOperatorKernel, register


class SimTensorNode(Operator):
    """Calls a function of tensors once a step.

    Parameters
    ----------
    call
        ``call(t, x, state, training, batch) -> (outputs, state)`` where ``x`` and the outputs have
        shape (minibatch, size) and the state is a list of tensors.
    time, input, output
        Signals; ``input`` may be None.
    layer
        The Keras layer whose variables the call uses, or None.
    state
        Signals that carry the state of a recurrent cell.
    takes_time
        Whether the call looks at ``t``.
    """

    def __init__(
        self,
        call,
        time: Signal,
        input: Signal | None,
        output: Signal,
        layer: keras.layers.Layer | None = None,
        state: tuple[Signal, ...] = (),
        takes_time: bool = True,
        tag: str | None = None,
    ):
        super().__init__(tag=tag)
        self.call, self.layer, self.takes_time = call, layer, takes_time
        self.sets: list[Signal] = [output]
        self.incs: list[Signal] = []
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
                "nengo.Node with a Python function for other simulators"
            )

        return step


class TensorNodeKernel(SingleOperatorKernel):
    """One TensorNode."""

    repeatable = False  # it may draw random numbers, or print

    def __init__(self, op: SimTensorNode):
        self.layer = op.layer
        self.has_weights = op.layer is not None and bool(split_variables(op.layer)[0])
        self.every_step_alone = (
            not op.takes_time
            and not op.updates
            and op.layer is not None
            and sees_each_item_alone(op.layer)
        )

    def reads(self, op):
        return (*(op.reads if op.takes_time else op.reads[1:]), *op.updates)

    def prepare_one(self, op, settings):
        minibatch_size, dtype = settings.minibatch_size, settings.dtype
        size_in = 0 if op.input is None else op.input.size
        shapes = [(minibatch_size, *sig.shape) for sig in op.updates]

        def step(context, constants, *operands):
            operands = list(operands)
            time = ops.reshape(operands.pop(0), ()) if op.takes_time else None
            # many steps at once are a larger batch
            batch = max(minibatch_size, *(x.shape[0] for x in operands), 1)
            operands = [_for_each_item(x, batch) for x in operands]
            x = operands.pop(0) if size_in else None
            state = [ops.reshape(s, shape) for s, shape in zip(operands, shapes, strict=True)]
            # what a layer passes on in its own precision
            state = [ops.cast(s, op.layer.compute_dtype or dtype) for s in state]

            def call():
                return op.call(time, x, state, context.training, batch)

            output, state = context.variables.run(call)
            if context.training and context.variables.dropped_losses:
                warnings.warn(
                    f"a layer in {op.tag} adds a loss when it is called (an activity regularizer, "
                    "or add_loss), which is not part of the loss of the network; give a Probe of "
                    "its output a loss instead (nengo_dl.losses.Regularize)",
                    stacklevel=2,
                )
            results = (output, *state)
            return tuple(ops.cast(ops.reshape(r, (batch, -1)), dtype) for r in results)

        weights, carried = ([], []) if op.layer is None else split_variables(op.layer)
        return Prepared(step, weights=tuple(weights), carried=tuple(carried))


def _for_each_item(x, batch: int):
    return x if x.shape[0] == batch else ops.broadcast_to(x, (batch, x.shape[1]))


@register(SimTensorNode)
def _choose_tensor_node(op):
    return TensorNodeKernel(op)


#: layers without state, randomness or a look at the rest of the batch
_ALONE = frozenset(
    getattr(keras.layers, name)
    for name in """
    Activation AveragePooling1D AveragePooling2D AveragePooling3D Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D
    DepthwiseConv2D ELU EinsumDense Flatten GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D InputLayer
    LayerNormalization LeakyReLU MaxPooling1D MaxPooling2D MaxPooling3D PReLU Permute ReLU
    Rescaling Reshape SeparableConv1D SeparableConv2D Softmax UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """.split()
)


def sees_each_item_alone(layer: keras.layers.Layer) -> bool:
    """Whether many calls of a layer can be one call with a larger batch. That is known of Keras's
    own layers only, and of sequences of them.
    """
    if type(layer) is keras.Sequential:
        return all(sees_each_item_alone(inner) for inner in layer.layers)
    return type(layer) in _ALONE and layer.activity_regularizer is None


def split_variables(layer: keras.layers.Layer) -> tuple[list, list]:
    """The variables of a layer that a step reads only, and those that it may change.

    Weights that training would change if they were not frozen are of the first kind; as part of the
    carry a large frozen model would be kept once for each step.
    """
    kept = {id(variable) for inner in flattened(layer) for variable in kept_weights(inner)}
    frozen = [v for v in layer.non_trainable_variables if id(v) in kept]
    carried = [v for v in layer.non_trainable_variables if id(v) not in kept]
    return [*layer.trainable_variables, *frozen], carried
