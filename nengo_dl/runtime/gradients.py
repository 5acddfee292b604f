"""Where gradients go: which parameters can be trained, and a numeric check of the gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.exceptions import SimulationError

from nengo_dl.compiler.layout import Assemble, Layout
from nengo_dl.runtime.keras_model import NengoModel


class GradientPaths:
    """Follows the values of a compiled network from its parameters to outputs, through as many
    steps as it takes.

    Parameters
    ----------
    layout
        The network.
    outputs
        Numbers of the outputs that a loss looks at.
    """

    def __init__(self, layout: Layout, outputs: Iterable[int]):
        self.layout = layout
        self.parameters = {s.tensor.index for s in layout.of_kind("parameter")}
        self.wanted = set().union(*(layout.outputs[k].tensors() for k in outputs), set())

    def _edges(self, through_host: bool) -> list[tuple[set[int], set[int]]]:
        edges = []
        for step in self.layout.instructions:
            if isinstance(step, Assemble):
                edges.append((step.recipe.tensors(), {step.tensor.index}))
            elif through_host or step.kernel.differentiable:
                read = set().union(*(r.tensors() for r in step.operands), set())
                edges.append((read, {t.index for t in step.results}))
        for stored, recipe in zip(
            self.layout.of_kind("state"), self.layout.next_state, strict=True
        ):
            edges.append((recipe.tensors(), {stored.tensor.index}))
        return edges

    def _reach(self, start: set[int], edges: list[tuple[set[int], set[int]]]) -> set[int]:
        reached, before = set(start), -1
        while len(reached) != before:
            before = len(reached)
            for read, written in edges:
                if not read.isdisjoint(reached):
                    reached |= written
        return reached

    def without_gradient(self) -> bool:
        """Whether no gradient reaches any parameter."""
        return self.wanted.isdisjoint(self._reach(self.parameters, self._edges(False)))

    def blocking(self) -> list[str]:
        """Descriptions of the operators that run on the host between a parameter and an output."""
        edges = self._edges(True)
        from_parameters = self._reach(self.parameters, edges)
        backwards = [(written, read) for read, written in edges]
        to_outputs = self._reach(self.wanted, backwards)
        found: list[str] = []
        for step in self.layout.instructions:
            if isinstance(step, Assemble) or step.kernel.differentiable:
                continue
            read = set().union(*(r.tensors() for r in step.operands), set())
            written = {t.index for t in step.results}
            if not (read.isdisjoint(from_parameters) or written.isdisjoint(to_outputs)):
                found.extend(_describe(op) for op in step.group.operators)
        return found


def _describe(op: Any) -> str:
    sources = ", ".join(sig.name for sig in (*op.sets, *op.incs, *op.updates)[:1])
    return f"{type(op).__name__} that computes {sources}"


def check_gradients(
    model: NengoModel,
    inputs: dict[str, np.ndarray],
    outputs: list[str],
    backend: Any,
    atol: float,
    rtol: float,
    training: bool = True,
) -> None:
    """Compare the gradients of the backend with central differences.

    The loss is the sum of the outputs, each weighted with a random number, so that all of a network
    is compared by one gradient per parameter tensor, along random directions.

    Raises
    ------
    nengo.exceptions.SimulationError
        If they differ by more than ``atol + rtol * |numeric gradient|``.
    """
    rng = np.random.RandomState(0)
    if not model.trainable_variables:
        return
    chosen, model.active_outputs = model.active_outputs, tuple(outputs)
    try:
        _check_variables(model, inputs, outputs, backend, (atol, rtol), training, rng)
    finally:
        model.active_outputs = chosen


def _check_variables(
    model, inputs, outputs, backend, tolerances: tuple[float, float], training, rng
) -> None:
    """Compare the gradient of each variable."""
    variables, dtype = model.trainable_variables, model.compute_dtype
    inputs = {name: ops.convert_to_tensor(value, dtype=dtype) for name, value in inputs.items()}
    shapes = {name: value.shape for name, value in model(inputs, training=training).items()}
    weights = {
        name: ops.convert_to_tensor(rng.randn(*shape), dtype=dtype)
        for name, shape in shapes.items()
    }

    def loss():
        result = model(inputs, training=training)
        return sum(ops.sum(result[name] * weights[name]) for name in outputs)

    symbolic = backend.gradients(loss, variables)
    step = 1e-6 if dtype == "float64" else 1e-2
    for variable, gradient in zip(variables, symbolic, strict=True):
        for _ in range(3):
            _check_direction(variable, gradient, loss, step, *tolerances, rng)


def _check_direction(variable, gradient, loss, step, atol, rtol, rng) -> None:
    value = ops.convert_to_numpy(variable).copy()
    direction = rng.randn(*value.shape).astype(value.dtype)
    step *= max(float(np.abs(value).max(initial=0.0)), 1e-3)

    def at(distance: float) -> float:
        variable.assign(value + np.asarray(distance, value.dtype) * direction)
        return float(ops.convert_to_numpy(loss()))

    try:
        numeric = (at(step) - at(-step)) / (2 * step)
    finally:
        variable.assign(value)
    symbolic = 0.0
    if gradient is not None:
        symbolic = float(np.sum(ops.convert_to_numpy(gradient) * direction))
    if not abs(symbolic - numeric) <= atol + rtol * abs(numeric):
        raise SimulationError(
            f"the gradient of {_name(variable)} along a random direction is {symbolic:g}, but "
            "finite "
            f"differences give {numeric:g}; this is a bug in a lowering, or a discontinuity nearby"
        )


def _name(variable: keras.Variable) -> str:
    return variable.path or variable.name
