"""Keras layers, Keras models and functions of tensors inside Nengo networks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import nengo
import numpy as np
from nengo.base import NengoObject
from nengo.builder import Builder, Model
from nengo.builder.operator import Reset
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError, ValidationError
from nengo.neurons import NeuronType
from nengo.params import Default

from nengo_dl.lowering.tensor_nodes import SimTensorNode, state_signal
from nengo_dl.runtime import backends

Shape = tuple[int, ...]


class TensorNode(nengo.Node):
    """A Node whose output is a function of tensors, or a Keras layer or model.

    It is differentiable, computed for a whole minibatch at once, and the weights of a layer are
    trained by ``Simulator.fit``.

    Parameters
    ----------
    tensor_func : function, keras.layers.Layer, or subclass of it
        A function of ``(t)``, ``(t, x)`` or ``(x)`` in the backend's tensors, or a layer or model.
        ``t`` is the time in seconds (a scalar) and ``x`` has shape (minibatch, *shape_in). A
        recurrent cell (a layer with a ``state_size``) keeps its state from step to step.
    shape_in : tuple of int, optional
        Shape of the input of one item; none by default.
    shape_out : tuple of int, optional
        Shape of the output of one item. By default it is found by calling the function with
        symbolic tensors.
    pass_time : bool
        Whether ``t`` is the first argument.
    label : str, optional
        As in nengo.Node.
    size_in, size_out : int, optional
        Of version 2: short for ``shape_in=(size_in,)`` and ``shape_out=(size_out,)``.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the function cannot be called like this.
    """

    def __init__(
        self,
        tensor_func: Callable,
        shape_in: Sequence[int] | None = None,
        shape_out: Sequence[int] | None = None,
        pass_time: bool = True,
        label: str | None = Default,
        size_in: int | None = None,
        size_out: int | None = None,
    ):
        shape_in = _shape(shape_in, size_in, "shape_in")
        shape_out = _shape(shape_out, size_out, "shape_out")
        if shape_in is None and not pass_time:
            raise ValidationError(
                "the function would have no argument: give shape_in, or leave pass_time=True",
                attr="pass_time",
            )
        call = TensorCall(tensor_func, shape_in, pass_time, shape_out)
        super().__init__(
            output=call,
            size_in=0 if shape_in is None else int(np.prod(shape_in)),
            size_out=int(np.prod(call.shape_out)),
            label=label,
        )

    @property
    def tensor_func(self) -> Callable:
        """The function, or the layer."""
        return self.output.tensor_func

    @property
    def shape_in(self) -> Shape | None:
        """Shape of the input of one item."""
        return self.output.shape_in

    @property
    def shape_out(self) -> Shape:
        """Shape of the output of one item."""
        return self.output.shape_out

    @property
    def pass_time(self) -> bool:
        """Whether the time is the first argument."""
        return self.output.pass_time


class TensorCall:
    """What a TensorNode calls: the function or layer, and the shapes with which it is called."""

    def __init__(
        self,
        tensor_func: Callable,
        shape_in: Shape | None,
        pass_time: bool,
        shape_out: Shape | None,
    ):
        if inspect.isclass(tensor_func) and issubclass(tensor_func, keras.layers.Layer):
            tensor_func = tensor_func()
        if not callable(tensor_func):
            raise ValidationError(
                f"expected a function, a Keras layer or a Keras model, got {tensor_func!r}",
                attr="tensor_func",
            )
        self.tensor_func, self.shape_in, self.pass_time = tensor_func, shape_in, pass_time
        self.layer = tensor_func if isinstance(tensor_func, keras.layers.Layer) else None
        self.state_shapes: list[Shape] = []
        inferred = self._infer(shape_out)
        self.shape_out = inferred if shape_out is None else shape_out

    @property
    def is_cell(self) -> bool:
        """Whether the layer is a recurrent cell, called with its state."""
        return self.layer is not None and hasattr(self.layer, "state_size")and not isinstance(
            self.layer, keras.layers.RNN
        )  # fmt: skip

    def _infer(self, shape_out: Shape | None) -> Shape:
        if self.layer is None:
            return self._infer_function() if shape_out is None else shape_out
        arguments = []
        if self.pass_time:
            arguments.append(keras.KerasTensor(()))
        if self.shape_in is not None:
            arguments.append(keras.KerasTensor((None, *self.shape_in)))
        if self.is_cell:
            sizes = self.layer.state_size
            sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
            self.state_shapes = [s if isinstance(s, tuple) else (int(s),) for s in sizes]
            arguments.append([keras.KerasTensor((None, *shape)) for shape in self.state_shapes])
        try:
            output = self.layer(*arguments)
        except Exception as error:
            raise ValidationError(
                f"calling {self.layer!r} with symbolic tensors of shape (None, *{self.shape_in}) "
                f"failed: {error}",
                attr="tensor_func",
            ) from error
        output = output[0] if self.is_cell else output
        return tuple(output.shape[1:])

    def _infer_function(self) -> Shape:
        shapes = ([()] if self.pass_time else []) + (
            [] if self.shape_in is None else [(1, *self.shape_in)]
        )
        try:
            shape = backends.active().output_shapes(self.tensor_func, shapes, keras.config.floatx())
        except Exception as error:
            raise ValidationError(
                f"the output shape of {self.tensor_func!r} could not be found by calling it with "
                f"tensors of shapes {shapes}: {error}. Give shape_out",
                attr="tensor_func",
            ) from error
        if not isinstance(shape, tuple):
            raise ValidationError(
                f"{self.tensor_func!r} returns {shape}; expected one tensor", attr="tensor_func"
            )
        # without an input the result need not have the axis of the items
        return shape[1:] if len(shape) > 1 or self.shape_in is not None else shape

    def __call__(self, *_: Any) -> None:
        raise SimulationError(
            "this is the output of a TensorNode, which only nengo_dl.Simulator can run; use a "
            "nengo.Node "
            "with a Python function for other simulators"
        )

    def run(self, t: Any, x: Any, state: list, training: bool) -> tuple[Any, list]:
        """Output for a minibatch, and the state of a recurrent cell."""
        arguments = [t] if self.pass_time else []
        if self.shape_in is not None:
            arguments.append(keras.ops.reshape(x, (-1, *self.shape_in)))
        if self.layer is None:
            return self._for_each_item(self.tensor_func(*arguments)), []
        dtype = self.layer.compute_dtype
        if dtype is not None:
            arguments = [keras.ops.cast(a, dtype) for a in arguments]
        kwargs = {"training": training} if self.layer._call_has_training_arg else {}
        if self.is_cell:
            output, state = self.layer(*arguments, state, **kwargs)
            return output, list(state) if isinstance(state, (list, tuple)) else [state]
        return self._for_each_item(self.layer(*arguments, **kwargs)), []

    def _for_each_item(self, output: Any) -> Any:
        return keras.ops.convert_to_tensor(output)


def _shape(shape: Sequence[int] | None, size: int | None, attr: str) -> Shape | None:
    if shape is not None and size is not None:
        raise ValidationError(f"give {attr} or its size, not both", attr=attr)
    if size is not None:
        return (int(size),) if size else None
    if shape is None:
        return None
    if np.ndim(shape) != 1 or any(n is None or int(n) != n or n < 1 for n in shape):
        raise ValidationError(
            f"expected a tuple of positive integers, the shape of one item, got {shape!r}",
            attr=attr,
        )
    return tuple(int(n) for n in shape)


@Builder.register(TensorNode)
def build_tensor_node(model: Model, node: TensorNode) -> None:
    """Signals and operator of a TensorNode."""
    sig_in = None
    if node.size_in:
        sig_in = Signal(shape=node.size_in, name=f"{node}.in")
        model.add_op(Reset(sig_in))
    sig_out = Signal(shape=node.size_out, name=f"{node}.out")
    call: TensorCall = node.output
    state = tuple(state_signal(shape, f"{node}.state") for shape in call.state_shapes)
    model.sig[node]["in"], model.sig[node]["out"] = sig_in, sig_out
    for i, sig in enumerate(state):
        model.sig[node][f"state{i}"] = sig
    model.add_op(
        SimTensorNode(call.run, model.time, sig_in, sig_out, call.layer, state, tag=str(node))
    )
    model.params[node] = None


class Layer:
    """Applies a Keras layer, a function of tensors or a Nengo neuron type to an object of a
    network.

    Parameters
    ----------
    layer_func : keras.layers.Layer, subclass of it, function, or nengo.neurons.NeuronType
        What to apply.

    Examples
    --------
    ::

        with net:
            x = nengo_dl.Layer(keras.layers.Dense(128))(inp)
            x = nengo_dl.Layer(nengo.LIF(amplitude=0.01))(x)
    """

    def __init__(self, layer_func: Any):
        self.layer_func = layer_func

    def __call__(
        self,
        input: NengoObject,
        transform: Any = None,
        shape_in: Sequence[int] | None = None,
        synapse: Any = None,
        return_conn: bool = False,
        **layer_args: Any,
    ) -> Any:
        """Add the layer and a connection from ``input`` to the network.

        Parameters
        ----------
        input
            A Node, Ensemble, neurons, or a slice of one of them.
        transform, synapse
            Of the connection.
        shape_in
            Shape in which the layer gets its input; by default a vector.
        return_conn
            Whether to return the connection too.
        layer_args
            Arguments of the layer's class, of the function, or of the Ensemble that is made for a
            neuron type.

        Returns
        -------
        The TensorNode or neurons; with ``return_conn`` a tuple of it and the connection.
        """
        size_in = input.size_out if transform is None else _size_out(transform, input)
        if shape_in is not None and int(np.prod(shape_in)) != size_in:
            if transform is None:
                raise ValidationError(
                    f"shape_in is {tuple(shape_in)}, {int(np.prod(shape_in))} values, but the "
                    f"input {input} "
                    f"has {size_in}",
                    attr="shape_in",
                )
            size_in = int(np.prod(shape_in))
        if isinstance(self.layer_func, NeuronType):
            obj = nengo.Ensemble(size_in, 1, neuron_type=self.layer_func, **layer_args).neurons
        else:
            obj = self._tensor_node((size_in,) if shape_in is None else shape_in, layer_args)
        kwargs = {} if transform is None else {"transform": transform}
        conn = nengo.Connection(input, obj, synapse=synapse, **kwargs)
        return (obj, conn) if return_conn else obj

    def _tensor_node(self, shape_in: Sequence[int], layer_args: dict) -> TensorNode:
        function = self.layer_func
        if inspect.isclass(function) and issubclass(function, keras.layers.Layer):
            function = function(**layer_args)
        elif layer_args:
            plain = function

            def function(x):
                return plain(x, **layer_args)

        return TensorNode(function, shape_in=shape_in, pass_time=False)

    def __repr__(self) -> str:
        return f"Layer({self.layer_func!r})"


def _size_out(transform: Any, input: NengoObject) -> int:
    if isinstance(transform, nengo.transforms.Transform):
        return transform.size_out
    if isinstance(transform, nengo.dists.Distribution) or np.ndim(transform) < 2:
        return input.size_out
    return np.shape(transform)[0]


def tensor_layer(
    input: NengoObject,
    layer_func: Any,
    shape_in: Sequence[int] | None = None,
    synapse: Any = None,
    transform: Any = None,
    return_conn: bool = False,
    **layer_args: Any,
) -> Any:
    """The older form of ``Layer(layer_func)(input, ...)``."""
    return Layer(layer_func)(
        input,
        transform=transform,
        shape_in=shape_in,
        synapse=synapse,
        return_conn=return_conn,
        **layer_args,
    )
