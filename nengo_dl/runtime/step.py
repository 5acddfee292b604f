"""The pure step function of a compiled network.

`LoweredNetwork` turns a `Layout` into functions of tensors. Numbers that a step needs (constants,
parameters, indices) are arguments of the compiled function, gathered in one dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler.compile import Compiled
from nengo_dl.compiler.kernel import Prepared, Settings
from nengo_dl.compiler.layout import Assemble, Run, Stored
from nengo_dl.compiler.operand import Recipe, Tensor
from nengo_dl.compiler.program import Input
from nengo_dl.compiler.signals import initial_values
from nengo_dl.lowering.context import Host, StepContext, Variables
from nengo_dl.runtime.assembler import Assembler, Tensors


@dataclass(frozen=True)
class StepParts:
    """What a step computes, by where that happens.

    Attributes
    ----------
    fixed_inputs
        Inputs whose values do not change.
    before, loop
        Numbers of the instructions before the loop and in it.
    fixed_operands
        Operands of the loop that are the same in each step.
    """

    fixed_inputs: list[Input]
    before: list[int]
    loop: list[int]
    fixed_operands: dict[tuple, Recipe]


class LoweredNetwork:
    """One step of a network, as functions of tensors.

    Attributes
    ----------
    arguments : dict of str to array
        Constants, indices and the constants of the kernels, but not the stored parameters.
    states : tuple of `Stored`
        What is in the carry, followed by the values of the variables in ``carried``.
    layers, weights, carried : list
        Keras layers inside the network, their variables that training changes, and those that a
        step changes.
    """

    def __init__(self, compiled: Compiled, settings: Settings, host: Host, host_call: Callable):
        self.layout = compiled.layout
        self.settings = settings
        self.compiled = compiled
        self._resized: dict[int, LoweredNetwork] = {}
        self.host, self.host_call = host, host_call
        self.arguments: dict[str, np.ndarray] = {}
        self.kernels: dict[int, Prepared] = {}
        self.states = self.layout.of_kind("state")
        for number, step in enumerate(self.layout.instructions):
            if isinstance(step, Run):
                self._prepare_kernel(number, step)
        prepared = self.kernels.values()
        self.layers = _unique(p.layer for p in prepared if p.layer is not None)
        self.weights = _unique(v for p in prepared for v in p.weights)
        self.carried = _unique(v for p in prepared for v in p.carried)
        self._assembler = Assembler(self.layout, settings.dtype)
        self.arguments.update(self._assembler.indices)
        for stored in self.layout.stored:
            if stored.tensor.kind == "constant":
                self.arguments[tensor_name(stored)] = stored_values(stored, settings.dtype)

    def resized(self, minibatch_size: int) -> LoweredNetwork:
        """The same network, of the same arguments, for another size of the minibatch."""
        if minibatch_size == self.settings.minibatch_size:
            return self
        if minibatch_size not in self._resized:
            settings = replace(self.settings, minibatch_size=minibatch_size)
            resized = LoweredNetwork(self.compiled, settings, self.host, self.host_call)
            resized.arguments = self.arguments
            self._resized[minibatch_size] = resized
        return self._resized[minibatch_size]

    def _prepare_kernel(self, number: int, run: Run) -> None:
        prepared = run.kernel.prepare(run.group.operators, self.settings)
        self.kernels[number] = prepared
        for name, value in prepared.constants.items():
            value = np.asarray(value)
            if value.dtype.kind == "f":
                value = value.astype(self.settings.dtype)
            self.arguments[f"kernel{number}.{name}"] = value

    def read(self, recipe: Recipe, values: Tensors, arguments: dict) -> Any:
        """The value of an operand."""
        return self._assembler.read(recipe, values, arguments)

    # -- executing ---------------------------------------------------------------------------------

    def execute(self, numbers, values: Tensors, arguments: dict, context: StepContext) -> None:
        """Run instructions; their results go into ``values``."""
        for number in numbers:
            step = self.layout.instructions[number]
            if isinstance(step, Assemble):
                values[step.tensor.index] = self.read(step.recipe, values, arguments)
                continue
            operands = [
                self.operand(number, k, recipe, values, arguments)
                for k, recipe in enumerate(step.operands)
            ]
            results = self._run_kernel(number, operands, arguments, context)
            for tensor, result in zip(step.results, results, strict=True):
                values[tensor.index] = result

    def _run_kernel(self, number: int, operands, arguments: dict, context: StepContext) -> tuple:
        constants = {
            name: arguments[f"kernel{number}.{name}"] for name in self.kernels[number].constants
        }
        return self.kernels[number].step(context, constants, *operands)

    def operand(self, number: int, k: int, recipe: Recipe, values: Tensors, arguments) -> Any:
        """The k-th operand of an instruction, arranged as its kernel wants it."""
        if (number, k) in arguments:
            return arguments[number, k]
        value = self.read(recipe, values, arguments)
        arrange = self.kernels[number].arrange.get(k)
        return value if arrange is None else arrange(value)

    def context(self, step_index, training: bool, variables: Variables) -> StepContext:
        """What kernels are told."""
        return StepContext(
            dt=self.settings.dt,
            dtype=self.settings.dtype,
            training=training,
            lif_smoothing=self.settings.lif_smoothing,
            step_index=step_index,
            host_call=self.host_call,
            host=self.host,
            variables=variables,
            surrogate=self.settings.surrogate,
        )

    def functions(
        self, changing: Sequence[Input], training: bool = False
    ) -> tuple[Callable, Callable]:
        """The functions ``prepare`` and ``step`` of a `Chunk`.

        Parameters
        ----------
        changing
            The inputs whose values change from step to step, in the order of ``rows``; those of all
            others are ``fixed``, given to ``prepare`` in the order of the program. Among them may
            be Nodes whose function would else run in the loop: their rows take its place.
        training
            Whether neurons act as their differentiable counterparts.
        """
        parts = self.parts(changing)

        def prepare(arguments, fixed):
            return self.prepare(parts, arguments, fixed, training)

        def step(invariant, state, rows, step_index):
            values, arguments = dict(invariant[0]), invariant[1]
            for stored, value in zip(self.states, state, strict=False):
                values[stored.tensor.index] = value
            for item, row in zip(changing, rows, strict=True):
                values[self.row_tensor(item).index] = row
            values[self.layout.time.index] = self.time(step_index)
            variables = self.variables(arguments, state[len(self.states) :])
            context = self.context(step_index, training, variables)
            self.execute(parts.loop, values, arguments, context)
            next_state = [
                self.full(self.read(r, values, arguments)) for r in self.layout.next_state
            ]
            outputs = [self.full(self.read(r, values, arguments)) for r in self.layout.outputs]
            return [*next_state, *variables.carried], outputs

        return prepare, step

    def deferred(self, stored: Stored, arguments: dict, state: Sequence) -> Any:
        """The value that a deferred state has in the next step."""
        values = {s.tensor.index: v for s, v in zip(self.states, state, strict=False)}
        head = [
            number
            for number, step in enumerate(self.layout.instructions)
            if stored.tensor in step.results
        ]
        self.execute(head, values, arguments, self.context(None, False, Variables((), ())))
        return self.full(values[stored.tensor.index])

    def variables(self, arguments: dict, carried: Sequence = ()) -> Variables:
        """What the variables of the Keras layers are in a step."""
        weights = [arguments[weight_name(i)] for i in range(len(self.weights))]
        fixed = zip(self.weights, weights, strict=True)
        return Variables(fixed, zip(self.carried, carried, strict=False))

    def parts(self, changing: Sequence[Input]) -> StepParts:
        """What is computed before the loop and in it, where these inputs change."""
        fixed_inputs = [item for item in self.layout.inputs if item not in changing]
        before, inside = self._split_instructions(fixed_inputs)
        replaced = {item.operator for item in changing if item not in self.layout.inputs}
        inside = [n for n in inside if not self._computes(n, replaced)]
        operands = self._fixed_operands(inside, before, fixed_inputs)
        return StepParts(fixed_inputs, before, inside, operands)

    def prepare(self, parts: StepParts, arguments: dict, fixed: Sequence, training: bool) -> tuple:
        """The values and arguments that are the same in each step."""
        arguments = dict(arguments)
        values = {
            s.tensor.index: arguments[tensor_name(s)]
            for s in self.layout.of_kind("constant", "parameter")
        }
        for tensor, value in self.layout.literals.items():
            values[tensor.index] = ops.full((1, 1), value, dtype=self.settings.dtype)
        for item, value in zip(parts.fixed_inputs, fixed, strict=True):
            values[self.layout.inputs[item].index] = value
        context = self.context(None, training, Variables((), ()))
        self.execute(parts.before, values, arguments, context)
        for key, recipe in parts.fixed_operands.items():
            value = self._assembler.assemble(recipe, values, arguments)
            arrange = self.kernels[key[0]].arrange.get(key[1]) if len(key) == 2 else None
            arguments[key] = value if arrange is None else arrange(value)
        return values, arguments

    def _computes(self, number: int, operators: set) -> bool:
        step = self.layout.instructions[number]
        return isinstance(step, Run) and not operators.isdisjoint(step.group.operators)

    def row_tensor(self, item: Input) -> Tensor:
        """The tensor whose value is a row of an input."""
        if item in self.layout.inputs:
            return self.layout.inputs[item]
        return next(
            step.results[0]
            for number, step in enumerate(self.layout.instructions)
            if self._computes(number, {item.operator})
        )

    def _split_instructions(self, fixed_inputs) -> tuple[list[int], list[int]]:
        """Numbers of the instructions that are the same in each step, and of the others."""
        fixed = self._fixed_tensors(fixed_inputs)
        before, inside = [], []
        for number, step in enumerate(self.layout.instructions):
            runs_here = isinstance(step, Run) and self._has_effects(number, step)
            if not runs_here and all(r.tensors() <= fixed for r in step.operands):
                before.append(number)
                fixed |= {t.index for t in step.results}
            else:
                inside.append(number)
        return before, inside

    def _has_effects(self, number: int, step: Run) -> bool:
        prepared = self.kernels[number]
        return step.kernel.on_host or not step.operands or prepared.layer is not None

    def _fixed_tensors(self, fixed_inputs) -> set[int]:
        fixed = {s.tensor.index for s in self.layout.of_kind("constant", "parameter")}
        fixed |= {t.index for t in self.layout.literals}
        return fixed | {self.layout.inputs[item].index for item in fixed_inputs}

    def _fixed_operands(self, inside, before, fixed_inputs) -> dict[tuple, Recipe]:
        """Operands of the loop that are the same in each step: by (instruction, operand), terms of
        sums by (id,).
        """
        fixed = self._fixed_tensors(fixed_inputs)
        for number in before:
            step = self.layout.instructions[number]
            fixed |= {t.index for t in step.results}
        found: dict[tuple, Recipe] = {}
        for number in inside:
            step = self.layout.instructions[number]
            if isinstance(step, Run):
                found.update({(number, k): recipe for k, recipe in enumerate(step.operands)})
            else:
                terms = getattr(step.recipe, "terms", ())
                found.update({(id(term),): term for term in terms})
        return {key: recipe for key, recipe in found.items() if recipe.tensors() <= fixed}

    def time(self, step_index):
        """The tensor of the time, (1, 2): number of the step, and seconds."""
        step = ops.cast(ops.reshape(step_index, (1, 1)), self.settings.dtype)
        return ops.concatenate([step, step * self.settings.dt], axis=-1)

    def full(self, value):
        """``value`` for each item of the minibatch."""
        batch = self.settings.minibatch_size
        if value.shape[0] == batch:
            return value
        return ops.broadcast_to(value, (batch, value.shape[1]))


def _unique(objects: Iterable) -> list:
    return list({id(o): o for o in objects}.values())


def weight_name(i: int) -> str:
    """The name under which the i-th weight of the Keras layers is an argument."""
    return f"weight{i}"


def tensor_name(stored: Stored) -> str:
    """The name under which a stored tensor is an argument."""
    return f"stored{stored.tensor.index}"


def stored_values(stored: Stored, dtype: str) -> np.ndarray:
    """Initial values of a stored tensor, of shape (1, width)."""
    return np.concatenate([initial_values(sig) for sig in stored.signals]).astype(dtype)[None]
