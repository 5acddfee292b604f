"""Keras's functional style for Nengo objects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import nengo
import numpy as np
from nengo.base import NengoObject
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.runtime.checks import checked_flag
from nengo_dl.settings import set_object_setting
from nengo_dl.tensor_node.messages import describe
from nengo_dl.tensor_node.node import TensorNode
from nengo_dl.tensor_node.shapes import Shapes, structure

#: arguments of a TensorNode that a layer passes on
_OF_NODE = {"shape_out", "pass_time", "label"}


class Layer:
    """Applies a Keras layer, a function of tensors or a Nengo neuron type to an object of a
    network.

    Parameters
    ----------
    layer_func : keras.layers.Layer, subclass of it, function, or nengo.neurons.NeuronType
        The layer, function or neuron type to apply.

    Raises
    ------
    nengo.exceptions.ValidationError
        If ``layer_func`` is none of these.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     pixels = nengo.Node(np.zeros(64))
    ...     x = nengo_dl.Layer(keras.layers.Conv2D(4, 3))(pixels, shape_in=(8, 8, 1))
    ...     x = nengo_dl.Layer(nengo.LIF(amplitude=0.01))(x)
    ...     x = nengo_dl.Layer(keras.layers.Concatenate())([x, pixels])
    >>> x.size_out  # 6 * 6 * 4 + 64
    208
    """

    def __init__(self, layer_func: Any):
        if inspect.isclass(layer_func) and issubclass(layer_func, NeuronType):
            layer_func = layer_func()
        if not callable(layer_func) and not isinstance(layer_func, NeuronType):
            raise ValidationError(
                "expected a Keras layer, a function of tensors or a Nengo neuron type, got "
                f"{layer_func!r}",
                attr="layer_func",
            )
        self.layer_func = layer_func

    def __call__(
        self,
        input: Any,
        transform: Any = None,
        shape_in: Any = None,
        synapse: Any = None,
        return_conn: bool = False,
        **layer_args: Any,
    ) -> Any:
        """Add the layer and a connection from ``input`` to the network.

        Training does not change the connection, unless ``net.config[connection].trainable = True``.

        Parameters
        ----------
        input
            A Node, Ensemble, neurons, or a slice of one of them; or a list or dict of such objects
            for a layer with several inputs.
        transform, synapse
            Transform and synapse of the connection; for several inputs, a list or dict of
            transforms.
        shape_in
            Shape of the layer's input, by default a vector; for several inputs, a list or dict of
            shapes.
        return_conn
            Whether to return the connection too.
        layer_args
            ``shape_out``, ``pass_time`` (False by default) and ``label`` are passed to the
            TensorNode, and others to the layer's class or the function. For a neuron type,
            arguments are passed to the Ensemble.

        Returns
        -------
        TensorNode or nengo.ensemble.Neurons
            The object that holds the output; for a layer with several outputs, a list or dict of
            its parts. With ``return_conn``, a tuple of this object and the connection (or
            connections).

        Raises
        ------
        nengo.exceptions.ValidationError
            If the layer cannot be called with such an input.
        """
        found, return_conn = structure(input), checked_flag("return_conn", return_conn)
        for pre in found.items:
            if not hasattr(pre, "size_out"):
                raise ValidationError(
                    f"expected Nengo objects with an output, a list or dict of them; got {pre!r}",
                    attr="input",
                )
        if not found.items:
            raise ValidationError(f"expected an input, got {input!r}", attr="input")
        transforms = self._for_each(transform, input, "transform")
        shapes = self._shapes(shape_in, input, transforms)
        if isinstance(self.layer_func, NeuronType):
            if len(found.items) != 1 or found.kind != "one":
                raise ValidationError(
                    f"{self.layer_func} takes one input, got a {found.kind} of {len(found.items)}",
                    attr="input",
                )
            size = shapes.size
            obj = nengo.Ensemble(size, 1, neuron_type=self.layer_func, **layer_args).neurons
            targets, outputs = [obj], obj
        else:
            obj = self._tensor_node(shapes, layer_args)
            targets = structure(obj.inputs).items
            outputs = obj.outputs
        conns = [
            nengo.Connection(
                pre, post, synapse=synapse, **({} if matrix is None else {"transform": matrix})
            )
            for pre, post, matrix in zip(found.items, targets, transforms, strict=True)
        ]
        for conn in conns:
            set_object_setting(conn, "trainable", False)
        return (outputs, shapes.pack(conns)) if return_conn else outputs

    def _for_each(self, value: Any, input: Any, attr: str) -> list[Any]:
        """The parts of an argument, one for each input."""
        found = structure(input)
        if found.kind == "one":
            return [value]
        if value is None:
            return [None] * len(found.items)
        given = found.shapes([()] * len(found.items)).unpack(value)
        if given is None:
            expected = f"keys {list(found.names)}" if found.names else f"{len(found.items)} items"
            raise ValidationError(
                f"for the {found.kind} of inputs of {describe(self.layer_func)}, expected a "
                f"{found.kind} with {expected}, got {value!r}",
                attr=attr,
            )
        return given

    def _shapes(self, shape_in: Any, input: Any, transforms: Sequence[Any]) -> Shapes:
        """Shapes in which the layer gets its inputs."""
        found = structure(input)
        if isinstance(shape_in, Mapping) and found.kind == "dict":
            shape_in = {name: shape_in.get(name) for name in found.names}
        given = self._for_each(shape_in, input, "shape_in")
        return found.shapes(
            [
                self._shape(shape, pre, transform)
                for shape, pre, transform in zip(given, found.items, transforms, strict=True)
            ]
        )

    def _shape(self, shape: Any, pre: NengoObject, transform: Any) -> tuple[int, ...]:
        size = pre.size_out if transform is None else _size_out(transform, pre)
        if shape is None:
            return (size,)
        given = Shapes.of(shape, "shape_in")
        if given.kind != "one":
            raise ValidationError(
                f"expected the shape of one input, a tuple of positive integers, got {shape!r}",
                attr="shape_in",
            )
        (shape,) = given.shapes
        if int(np.prod(shape)) != size and transform is None:
            raise ValidationError(
                f"shape_in is {shape}, {int(np.prod(shape))} values, but the input {pre} of "
                f"{describe(self.layer_func)} has {size}",
                attr="shape_in",
            )
        return shape

    def _tensor_node(self, shapes: Shapes, layer_args: dict) -> TensorNode:
        function = self.layer_func
        of_node = {name: layer_args.pop(name) for name in _OF_NODE & layer_args.keys()}
        if inspect.isclass(function) and issubclass(function, keras.layers.Layer):
            try:
                function = function(**layer_args)
            except TypeError as error:
                raise ValidationError(
                    f"{describe(function)} cannot be created with the arguments {layer_args}: "
                    f"{error}",
                    attr="layer_args",
                ) from error
        elif isinstance(function, keras.layers.Layer) and layer_args:
            raise ValidationError(
                f"{function!r} is an instance already and takes no further arguments, got "
                f"{', '.join(layer_args)}; give them to its constructor, or its class to Layer",
                attr="layer_args",
            )
        elif layer_args:
            function = functools.partial(function, **layer_args)
        return TensorNode(function, shape_in=shapes.value, **{"pass_time": False, **of_node})

    def __repr__(self) -> str:
        return f"Layer({describe(self.layer_func)})"


def _size_out(transform: Any, input: NengoObject) -> int:
    if isinstance(transform, nengo.transforms.Transform):
        return transform.size_out
    if isinstance(transform, nengo.dists.Distribution) or np.ndim(transform) < 2:
        return input.size_out
    return np.shape(transform)[0]


def tensor_layer(
    input: Any,
    layer_func: Any,
    shape_in: Any = None,
    synapse: Any = None,
    transform: Any = None,
    return_conn: bool = False,
    **layer_args: Any,
) -> Any:
    """The older form of ``Layer(layer_func)(input, ...)``.

    Examples
    --------
    >>> with nengo.Network() as net:
    ...     x = nengo_dl.tensor_layer(nengo.Node(np.zeros(64)), keras.layers.Dense(10))
    >>> x.size_out
    10
    """
    return Layer(layer_func)(
        input,
        transform=transform,
        shape_in=shape_in,
        synapse=synapse,
        return_conn=return_conn,
        **layer_args,
    )
