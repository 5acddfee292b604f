"""Keras layers, models and recurrent cells as what a TensorNode calls."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from nengo_dl._private.keras import flattened
from nengo_dl.tensor_node.calls import TensorCall
from nengo_dl.tensor_node.messages import foreign_hint
from nengo_dl.tensor_node.shapes import Shapes, structure
from nengo_dl.tensor_node.signatures import takes_one, takes_separately, takes_training


class LayerCall(TensorCall):
    """A Keras layer or model."""

    @property
    def layer(self):
        return self.tensor_func

    @property
    def function(self):
        return self.tensor_func.call

    @property
    def called(self) -> keras.layers.Layer:
        """The layer that is called each step."""
        return self.tensor_func

    #: number of arguments for the state
    n_states = 0

    def infer(self, given):
        n_inputs = 0 if self.inputs is None else len(self.inputs.shapes)
        self._separate = takes_separately(self.called.call, n_inputs, self.pass_time)
        both = self.pass_time and self.inputs is not None and not self._separate
        self._listed = both and takes_one(self.called.call, self.n_states)
        output = self._symbolic()
        found = structure(output)
        shapes = [tuple(item.shape[1:]) for item in found.items]
        if any(None in shape for shape in shapes):
            raise ValidationError(
                f"{self.name} returns tensors of shapes {shapes}, in which None is unknown; a "
                "Nengo Node needs a fixed size",
                attr="tensor_func",
            )
        if any(size <= 0 for shape in shapes for size in shape):
            shape_in = None if self.inputs is None else self.inputs.value
            raise ValidationError(
                f"{self.name} returns tensors without values, of shapes {shapes}, with "
                f"shape_in={shape_in}: is the input too small?",
                attr="tensor_func",
            )
        return self.check_given(found.shapes(shapes), given)

    def _symbolic(self) -> Any:
        """What the layer returns for symbolic tensors; this builds it."""
        return self._called_symbolically(self.called, self._symbolic_arguments(self.inputs))

    def _symbolic_arguments(self, inputs: Shapes | None, *more: Any) -> list:
        arguments = [keras.KerasTensor(())] if self.pass_time else []
        if inputs is not None:
            tensors = [keras.KerasTensor((None, *shape)) for shape in inputs.shapes]
            arguments.extend(tensors if self._separate else [inputs.pack(tensors)])
        return [*self._as_called(arguments), *more]

    def _as_called(self, arguments: list) -> list:
        """The time and the input, in a list where the layer takes one argument."""
        return [arguments] if self._listed else arguments

    def _called_symbolically(self, layer: keras.layers.Layer, arguments: list) -> Any:
        try:
            return layer(*arguments)
        except Exception as error:
            given = [] if self.inputs is None else [f"shape_in={self.inputs.value}"]
            given += ["pass_time=True"] if self.pass_time else []
            hint = foreign_hint(layer.call, error)
            if self.pass_time and not hint:
                hint = (
                    ". With pass_time=True the layer gets the list [t, x], or t and x where its "
                    "call takes two arguments; with pass_time=False it gets x alone"
                )
            raise ValidationError(
                f"{self.name} cannot be called with {', '.join(given)}: "
                f"{type(error).__name__}: {error}{hint}",
                attr="tensor_func",
            ) from error

    def call(self, arguments, state, training):
        if self._separate:
            *arguments, inputs = arguments
            arguments = [*arguments, *structure(inputs).items]
        return self._run_layer(self._as_called(arguments), training), []

    def _run_layer(self, arguments: list, training: bool) -> Any:
        layer = self.called
        if layer.compute_dtype is not None:
            arguments = keras.tree.map_structure(
                lambda value: keras.ops.cast(value, layer.compute_dtype), arguments
            )
        kwargs = {"training": training} if takes_training(layer) else {}
        try:
            return layer(*arguments, **kwargs)
        except Exception as error:
            raise SimulationError(
                f"{self.name} failed: {type(error).__name__}: {error}"
                + foreign_hint(layer.call, error)
            ) from error


class CellCall(LayerCall):
    """A recurrent cell, or the cell of a recurrent layer, that makes one step at each step of the
    network and whose state the network carries.
    """

    n_states = 1

    @property
    def called(self):
        layer = self.tensor_func
        return layer.cell if isinstance(layer, keras.layers.RNN) else layer

    @property
    def initial_state(self):
        return self._initial_state

    def _symbolic(self):
        layer = self.tensor_func
        if isinstance(layer, keras.layers.RNN):
            if layer.go_backwards:
                raise ValidationError(
                    f"{self.name} cannot go backwards, because it gets one step at a time; give it "
                    "the whole sequence with shape_in=(n_steps, size)",
                    attr="tensor_func",
                )
            sequence = Shapes(tuple((1, *shape) for shape in self.inputs.shapes))
            self._called_symbolically(layer, self._symbolic_arguments(sequence))
        self._state = _first_state(self.called, self.name)
        self._initial_state = [
            np.asarray(keras.ops.convert_to_numpy(value)[0], dtype=np.float64)
            for value in keras.tree.flatten(self._state)
        ]
        symbolic = keras.tree.map_structure(
            lambda value: keras.KerasTensor((None, *value.shape[1:]), dtype=value.dtype),
            self._state,
        )
        arguments = self._symbolic_arguments(self.inputs, symbolic)
        result = self._called_symbolically(self.called, arguments)
        self._forget_masks()
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ValidationError(
                f"{self.name} has a state_size, but does not return (output, state) as a "
                f"recurrent cell of Keras: it returns {result!r}",
                attr="tensor_func",
            )
        shapes = [tuple(value.shape[1:]) for value in keras.tree.flatten(result[1])]
        expected = [value.shape for value in self._initial_state]
        if shapes != expected:
            raise ValidationError(
                f"{self.name} returns a state of shapes {shapes}; expected those of its state_size "
                f"or get_initial_state, {expected}",
                attr="tensor_func",
            )
        return result[0]

    def call(self, arguments, state, training):
        state = keras.tree.pack_sequence_as(self._state, state)
        try:
            output, state = self._run_layer([*self._as_called(arguments), state], training)
        finally:
            self._forget_masks()
        return output, keras.tree.flatten(state)

    def _forget_masks(self) -> None:
        """Cells keep a dropout mask from one call to the next, but it belongs to this step."""
        for layer in flattened(self.called):
            for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
                getattr(layer, name, lambda: None)()


def is_recurrent(layer: keras.layers.Layer, inputs: Shapes | None) -> bool:
    """Whether a layer makes one step of a recurrence when it is called with such inputs: a cell,
    or a recurrent layer of Keras whose input has no axis of time.
    """
    if not isinstance(layer, keras.layers.RNN):
        return hasattr(layer, "state_size")
    spec = layer.input_spec[0] if isinstance(layer.input_spec, list) else layer.input_spec
    ndim = 3 if spec is None or spec.ndim is None else spec.ndim
    return inputs is not None and inputs.kind == "one" and len(inputs.shapes[0]) == ndim - 2


def _first_state(cell: keras.layers.Layer, name: str) -> list:
    """The state before the first step of one item, a list as Keras gives it to a cell."""
    initial = getattr(cell, "get_initial_state", None)
    if initial is not None:
        state = initial(batch_size=1)
        return list(state) if isinstance(state, (list, tuple)) else [state]
    sizes = cell.state_size
    sizes = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
    if not sizes:
        raise ValidationError(f"{name} has an empty state_size", attr="tensor_func")
    shapes = [tuple(size) if isinstance(size, (list, tuple)) else (size,) for size in sizes]
    return [keras.ops.zeros((1, *shape), dtype=cell.compute_dtype) for shape in shapes]
