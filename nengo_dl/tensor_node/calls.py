"""What a TensorNode calls: the contract, and functions of tensors."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from nengo_dl.runtime import backends
from nengo_dl.tensor_node.messages import describe_node, foreign_hint
from nengo_dl.tensor_node.shapes import Shape, Shapes, Structure, structure
from nengo_dl.tensor_node.signatures import takes_separately
from nengo_dl.tensor_node.variables import FunctionVariables, UsedVariables


class TensorCall(ABC):
    """A function or layer, and the shapes with which it is called.

    It is the ``output`` of the Node, so that Nengo knows that the Node computes something.

    Parameters
    ----------
    tensor_func
        The function or layer.
    inputs
        Shapes of what it gets besides the time, if anything.
    pass_time
        Whether the time is its first argument.
    outputs
        Shapes of what it returns, where they were given.
    label
        Of the Node.
    """

    def __init__(
        self,
        tensor_func: Callable,
        inputs: Shapes | None,
        pass_time: bool,
        outputs: Shapes | None,
        label: str | None,
    ):
        self.tensor_func, self.inputs, self.pass_time = tensor_func, inputs, pass_time
        self.name = describe_node(label, tensor_func)
        self.outputs: Shapes = self.infer(outputs)

    @property
    @abstractmethod
    def layer(self) -> keras.layers.Layer | None:
        """The Keras layer whose variables the call uses."""

    @property
    def initial_state(self) -> list[np.ndarray]:
        """What the call is given as state in the first step, for one item."""
        return []

    @abstractmethod
    def infer(self, given: Shapes | None) -> Shapes:
        """Shapes of the outputs, checked against those that were given."""

    @abstractmethod
    def call(self, arguments: list, state: list, training: bool) -> tuple[Any, list]:
        """Outputs for a minibatch, and the next state."""

    def run(self, t: Any, x: Any, state: list, training: bool, batch: int) -> tuple[Any, list]:
        """Outputs of shape (batch, size), and the next state.

        Parameters
        ----------
        t
            Time in seconds, a scalar.
        x
            (batch, size_in), or None.
        state
            Tensors of shape (batch, *shape).
        """
        arguments = [t] if self.pass_time else []
        if self.inputs is not None:
            arguments.append(self.inputs.pack(self.inputs.split(x)))
        output, state = self.call(arguments, state, training)
        return self.outputs.join(self._checked(output, batch), batch), state

    def __call__(self, *_: Any) -> None:
        raise SimulationError(
            "this is the output of a TensorNode, which only nengo_dl.Simulator can run; use a "
            "nengo.Node with a Python function for other simulators"
        )

    # -- checks ------------------------------------------------------------------------------------

    def _checked(self, output: Any, batch: int) -> list[Any]:
        """The tensors of an output, of shape (batch, *shape)."""
        found = self.tensors(output)
        if self.outputs.unpack(output) is None:
            raise SimulationError(
                f"{self.name} returned {_listed(found)}; expected {self._expected(batch)}"
            )
        return [
            self._full(tensor, shape, batch)
            for tensor, shape in zip(found.items, self.outputs.shapes, strict=True)
        ]

    def _full(self, tensor: Any, shape: Shape, batch: int) -> Any:
        got = static_shape(tensor)
        if got is None or _agree(got, (batch, *shape)):
            return tensor
        if self.inputs is None and got in (shape, (1, *shape)):
            # what a function of time alone returns may be the same for each item
            return keras.ops.broadcast_to(keras.ops.reshape(tensor, shape), (batch, *shape))
        advice = ""
        if self.inputs is None:
            advice = f". For values that are the same for each item, give shape_out={got}"
        raise SimulationError(
            f"{self.name} returned a tensor of shape {got}; expected {(batch, *shape)}, "
            f"(minibatch_size, *shape_out){advice}"
        )

    def _expected(self, batch: int) -> Any:
        shapes = self.outputs.pack([(batch, *shape) for shape in self.outputs.shapes])
        return f"tensors of shapes {shapes}, (minibatch_size, *shape_out)"

    def tensors(self, output: Any) -> Structure:
        """What was returned, taken apart.

        Raises
        ------
        nengo.exceptions.SimulationError
            For anything but tensors of floating point numbers.
        """
        found = structure(output)
        for i, item in enumerate(found.items):
            if isinstance(item, keras.Variable):
                found.items[i] = item = item.value
            if not keras.ops.is_tensor(item):
                raise SimulationError(
                    f"{self.name} returned {_kind(item)}; expected a tensor of "
                    f"{keras.backend.backend()}, or a list or dict of them, for each step"
                    + foreign_hint(self.function, result=item)
                )
            dtype = keras.backend.standardize_dtype(item.dtype)
            if "float" not in dtype:
                raise SimulationError(
                    f"{self.name} returned a tensor of type {dtype}; expected floating point "
                    "numbers, as from keras.ops.cast(x, 'float32')"
                )
        if not found.items:
            raise SimulationError(f"{self.name} returned an empty {found.kind}; expected a tensor")
        return found

    @property
    def function(self) -> Callable:
        """The Python code that runs."""
        return self.tensor_func

    def check_given(self, inferred: Shapes, given: Shapes | None) -> Shapes:
        """The shapes that were found; those given have to agree.

        Raises
        ------
        nengo.exceptions.ValidationError
            If they do not.
        """
        if given is not None and inferred != given:
            raise ValidationError(
                f"{self.name} returns tensors of shape {inferred.value} for each item, but "
                f"shape_out is {given.value}; leave shape_out out, or correct it",
                attr="shape_out",
            )
        return inferred


class FunctionCall(TensorCall):
    """A function of tensors.

    Keras variables that it uses, as those of a layer that it calls, are trained and carried from
    step to step like those of a layer.
    """

    def __init__(self, *arguments: Any):
        self._variables: FunctionVariables | None = None
        super().__init__(*arguments)

    @property
    def layer(self):
        return self._variables

    def infer(self, given):
        shapes = [()] if self.pass_time else []
        n_inputs = 0 if self.inputs is None else len(self.inputs.shapes)
        self._separate = takes_separately(self.tensor_func, n_inputs, self.pass_time)
        self._check_signature()
        errors = []
        for batch in (2, 1):  # so that an axis of the batch is seen; some functions know its size
            of_inputs = () if self.inputs is None else self.inputs.shapes
            try:
                found = self._traced([*shapes, *((batch, *s) for s in of_inputs)], batch, given)
            except (ValidationError, SimulationError) as error:
                errors.append(error)
            else:
                return self.check_given(found, given)
        if given is not None:
            return given  # it may need a batch size that is not known yet; checked when it runs
        raise ValidationError(
            f"{errors[0]}. It was called with tensors of shapes "
            f"{[*shapes, *((2, *s) for s in of_inputs)]} to find the shape of its output; if it "
            "cannot be called like this, give shape_out",
            attr="tensor_func",
        ) from errors[0]

    def _check_signature(self) -> None:
        """Whether the function can be called with the arguments that it will get."""
        count = int(self.pass_time)
        if self.inputs is not None:
            count += len(self.inputs.shapes) if self._separate else 1
        try:
            signature = inspect.signature(self.tensor_func)
        except (TypeError, ValueError):  # some built-in functions have none
            return
        try:
            signature.bind(*range(count))
        except TypeError as error:
            given = (["t"] if self.pass_time else []) + (["x"] if self.inputs is not None else [])
            raise ValidationError(
                f"{self.name} takes {signature}, but is called with ({', '.join(given)}): {error}. "
                "pass_time says whether it gets t, shape_in whether it gets x",
                attr="tensor_func",
            ) from None

    def _traced(self, shapes: list[Shape], batch: int, given: Shapes | None) -> Shapes:
        """Shapes of the output for tensors of these shapes, and the variables that were used."""
        found: list[Structure] = []
        used: list[keras.Variable] = []

        def traced(*flat):
            flat = list(flat)
            arguments = [flat.pop(0)] if self.pass_time else []
            if self.inputs is not None:
                arguments.append(self.inputs.pack(flat))
            with UsedVariables() as scope:
                output = self._called(arguments)
            used[:] = scope.used
            found[:] = [self.tensors(output)]
            return found[0].items

        backend = backends.active()
        try:
            # layers that are built in it get their variables at the end of the outer scope, where
            # nothing is traced any more
            with keras.StatelessScope():
                results = backend.output_shapes(traced, shapes, keras.config.floatx())
        except (ValidationError, SimulationError):
            raise
        except Exception as error:
            raise ValidationError(
                f"could not find the shape of the output of {self.name}: {error}",
                attr="tensor_func",
            ) from error
        if any(None in result for result in results):
            raise ValidationError(
                f"{self.name} returns tensors of shapes {results}, which are not known in full",
                attr="tensor_func",
            )
        self._variables = FunctionVariables(used) if used else None
        return found[0].shapes([self._of_item(tuple(r), batch, given) for r in results])

    def _of_item(self, shape: Shape, batch: int, given: Shapes | None) -> Shape:
        """The shape for one item."""
        if self.inputs is not None:
            if not shape or shape[0] != batch:
                raise SimulationError(
                    f"{self.name} returned a tensor of shape {shape} for a minibatch of {batch} "
                    "items; expected the minibatch as its first axis"
                )
            return shape[1:]
        if given is not None:
            return shape if shape in given.shapes else shape[1:]
        return shape[1:] if len(shape) > 1 else shape

    def _called(self, arguments: list) -> Any:
        if self._separate:
            *arguments, inputs = arguments
            arguments = [*arguments, *structure(inputs).items]
        try:
            return self.tensor_func(*arguments)
        except Exception as error:
            raise SimulationError(
                f"{self.name} failed: {type(error).__name__}: {error}"
                + foreign_hint(self.tensor_func, error)
            ) from error

    def call(self, arguments, state, training):
        return self._called(arguments), []


def static_shape(tensor: Any) -> tuple | None:
    """The shape of a tensor as far as it is known, None where not even the number of axes is."""
    try:
        return tuple(tensor.shape)
    except ValueError:  # TensorFlow
        return None


def _agree(shape: tuple, expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(
        n is None or n == e for n, e in zip(shape, expected, strict=True)
    )


def _listed(found: Structure) -> str:
    shapes = [static_shape(tensor) for tensor in found.items]
    if found.kind == "dict":
        return f"a dict of tensors of shapes {dict(zip(found.names, shapes, strict=True))}"
    return f"a list of tensors of shapes {shapes}" if found.kind == "list" else "one tensor"


def _kind(item: Any) -> str:
    if item is None:
        return "None"
    shown = repr(item)
    return f"{type(item).__name__} ({shown if len(shown) < 60 else shown[:60] + '...'})"
