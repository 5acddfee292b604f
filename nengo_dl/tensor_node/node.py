"""The Nengo object whose output is computed with tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import nengo
from nengo.builder import Builder, Model
from nengo.builder.operator import Reset
from nengo.builder.signal import Signal
from nengo.exceptions import ValidationError
from nengo.params import Default

from nengo_dl.compat.arguments import older_arguments, size_as_shape
from nengo_dl.lowering.tensor_nodes import SimTensorNode
from nengo_dl.runtime.checks import checked_flag
from nengo_dl.tensor_node.calls import FunctionCall, TensorCall
from nengo_dl.tensor_node.layers import CellCall, LayerCall, is_recurrent
from nengo_dl.tensor_node.messages import describe_node
from nengo_dl.tensor_node.shapes import Shapes


class TensorNode(nengo.Node):
    """A Node whose output is a function of tensors, or a Keras layer or model.

    It is differentiable, and computes a whole minibatch at once. ``Simulator.fit`` trains the
    weights of layers.

    Parameters
    ----------
    tensor_func : function, keras.layers.Layer, or subclass of it
        A function of ``(t)``, ``(t, x)`` or ``(x)`` that uses the backend's tensors, or a layer or
        model. ``t`` is the time in seconds (a scalar), and ``x`` has shape
        ``(minibatch, *shape_in)``. A recurrent cell (a layer with a ``state_size``) keeps its state
        from step to step; so does the cell of a recurrent layer (``keras.layers.LSTM``) if
        ``shape_in`` has no time axis. The first axis of the result is the minibatch. A function of
        ``(t)`` may return a scalar or a vector without this axis, which is then the same for all
        items.
    shape_in : tuple of int, or list or dict of such tuples, optional
        Shape of the input of one item; by default there is no input. With several shapes, the
        function gets a list or dict of tensors, or one argument for each tensor if it takes more
        than one.
    shape_out : like shape_in, optional
        Shape of the output of one item. By default it is inferred by calling the function with
        symbolic tensors.
    pass_time : bool
        Whether ``t`` is the first argument. A Keras layer whose ``call`` takes one argument for
        its inputs gets the list ``[t, x]``.
    label : str, optional
        As in nengo.Node.

    Attributes
    ----------
    inputs, outputs
        The objects to connect to and from: the Node, or a list or dict of its parts if there are
        several tensors.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the function cannot be called in this way, or does not return floating-point tensors.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     square = nengo_dl.TensorNode(keras.ops.square, shape_in=(2,), pass_time=False)
    ...     merge = nengo_dl.TensorNode(keras.layers.Add(), shape_in=[(3,), (3,)], pass_time=False)
    ...     conn = nengo.Connection(nengo.Node([1, 2, 3]), merge.inputs[0], synapse=None)
    >>> square.shape_out, merge.shape_out
    ((2,), (3,))
    """

    @older_arguments(convert=size_as_shape, size_in="shape_in", size_out="shape_out")
    def __init__(
        self,
        tensor_func: Callable,
        shape_in: Any = None,
        shape_out: Any = None,
        pass_time: bool = True,
        label: str | None = Default,
    ):
        pass_time = checked_flag("pass_time", pass_time)
        inputs = None if shape_in is None else Shapes.of(shape_in, "shape_in")
        outputs = None if shape_out is None else Shapes.of(shape_out, "shape_out")
        if inputs is None and not pass_time:
            raise ValidationError(
                f"{describe_node(label, tensor_func)} would be called without arguments: give "
                "shape_in, or leave pass_time=True",
                attr="pass_time",
            )
        call = make_call(tensor_func, inputs, pass_time, outputs, label)
        super().__init__(
            output=call,
            size_in=0 if inputs is None else inputs.size,
            size_out=call.outputs.size,
            label=label,
        )

    @property
    def tensor_func(self) -> Callable:
        """The function, or the layer."""
        return self.output.tensor_func

    @property
    def shape_in(self) -> Any:
        """Shape of the input of one item; a list or dict of shapes for several inputs."""
        return None if self.output.inputs is None else self.output.inputs.value

    @property
    def shape_out(self) -> Any:
        """Shape of the output of one item; a list or dict of shapes for several outputs."""
        return self.output.outputs.value

    @property
    def pass_time(self) -> bool:
        """Whether the time is the first argument."""
        return self.output.pass_time

    @property
    def inputs(self) -> Any:
        """The object to connect to, or a list or dict of them."""
        return None if self.output.inputs is None else self._parts(self.output.inputs)

    @property
    def outputs(self) -> Any:
        """The object to connect from, or a list or dict of them."""
        return self._parts(self.output.outputs)

    def _parts(self, shapes: Shapes) -> Any:
        if shapes.kind == "one":
            return self
        return shapes.pack([self[part] for part in shapes.slices])


def make_call(
    tensor_func: Any,
    inputs: Shapes | None,
    pass_time: bool,
    outputs: Shapes | None,
    label: str | None,
) -> TensorCall:
    """What a TensorNode calls.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not something that can be called, or not like this.
    """
    if inspect.isclass(tensor_func) and issubclass(tensor_func, keras.layers.Layer):
        try:
            tensor_func = tensor_func()
        except TypeError as error:
            raise ValidationError(
                f"{describe_node(label, tensor_func)} cannot be created without arguments "
                f"({error}); give an instance",
                attr="tensor_func",
            ) from None
    if not callable(tensor_func):
        raise ValidationError(
            f"expected a function, a Keras layer or a Keras model, got {tensor_func!r}",
            attr="tensor_func",
        )
    kind: type[TensorCall] = FunctionCall
    if isinstance(tensor_func, keras.layers.Layer):
        kind = CellCall if is_recurrent(tensor_func, inputs) else LayerCall
    return kind(tensor_func, inputs, pass_time, outputs, label)


@Builder.register(TensorNode)
def build_tensor_node(model: Model, node: TensorNode) -> None:
    """Signals and operator of a TensorNode."""
    sig_in = None
    if node.size_in:
        sig_in = Signal(shape=node.size_in, name=f"{node}.in")
        model.add_op(Reset(sig_in))
    sig_out = Signal(shape=node.size_out, name=f"{node}.out")
    call: TensorCall = node.output
    state = tuple(Signal(value, name=f"{node}.state") for value in call.initial_state)
    model.sig[node]["in"], model.sig[node]["out"] = sig_in, sig_out
    for i, sig in enumerate(state):
        model.sig[node][f"state{i}"] = sig
    model.add_op(
        SimTensorNode(
            call.run,
            model.time,
            sig_in,
            sig_out,
            call.layer,
            state,
            takes_time=call.pass_time,
            tag=str(node),
        )
    )
    model.params[node] = None
