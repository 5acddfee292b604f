"""The one interpreter of a layout: what is known at one point of a step, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from nengo_dl.compiler.kernel import Prepared
from nengo_dl.compiler.layout import Assemble, Layout
from nengo_dl.compiler.operand import Recipe
from nengo_dl.lowering.context import StepContext, Variables
from nengo_dl.runtime.step.assembler import Assembler


class Lowered(Protocol):
    """What a frame asks of a network, the `LoweredNetwork`."""

    layout: Layout
    kernels: dict[int, Prepared]
    assembler: Assembler

    def time(self, step_index: Any) -> Any:
        """The time at a step."""

    def variables(self, arguments: dict, carried: Sequence = ()) -> Variables:
        """The values of Keras variables."""

    def context(self, step_index: Any, training: bool, variables: Variables) -> StepContext:
        """What kernels are told."""

    def full(self, value: Any) -> Any:
        """A value for each item."""


class Invariant(NamedTuple):
    """What is the same in each step.

    Attributes
    ----------
    values
        Tensors of the layout, by number.
    operands
        Operands of instructions, by the numbers of both, arranged as the kernels want them.
    arguments
        What kernels and recipes need besides, by name.
    """

    values: dict[int, Any]
    operands: dict[tuple[int, int], Any]
    arguments: dict[str, Any]

    def tensors(self) -> list:
        """All of them, in one list."""
        return [value for part in self for value in part.values()]

    def keys(self) -> tuple[tuple, ...]:
        """What the `tensors` are."""
        return tuple(tuple(part) for part in self)

    @classmethod
    def of(cls, keys: Iterable[tuple], tensors: Iterable[Any]) -> Invariant:
        """The inverse of `keys` and `tensors`; there may be more tensors, which are not used."""
        given = iter(tensors)
        return cls(*({key: next(given) for key in part} for part in keys))


class Frame:
    """A step, or a part of one, while it is computed.

    Parameters
    ----------
    network
        The network.
    invariant
        What is the same in each step.
    state, rows
        Values of the states that are read, and of the inputs that change, by tensor; among the rows
        may be what an earlier part of the step has made.
    step_index
        Number of the step; None where nothing depends on it.
    training
        Whether neurons act as their differentiable counterparts.
    carried
        Values of the variables that Keras layers change in a step.
    """

    def __init__(
        self,
        network: Lowered,
        invariant: Invariant,
        state: Mapping[int, Any],
        rows: Mapping[int, Any],
        step_index: Any,
        training: bool,
        carried: Sequence[Any] = (),
    ):
        self.network, self.invariant = network, invariant
        self.values = {**invariant.values, **state, **rows}
        if step_index is not None:
            self.values[network.layout.time.index] = network.time(step_index)
        self.variables = network.variables(invariant.arguments, carried)
        self.context = network.context(step_index, training, self.variables)

    def execute(self, numbers: Iterable[int]) -> None:
        """Run instructions; their results go into ``values``."""
        for number in numbers:
            instruction = self.network.layout.instructions[number]
            operands = self.operands(number)
            if isinstance(instruction, Assemble):
                self.values[instruction.tensor.index] = sum(operands[1:], operands[0])
                continue
            kernel = self.network.kernels[number]
            results = kernel.step(self.context, self.constants(number), *operands)
            self.values.update(zip((t.index for t in instruction.results), results, strict=True))

    def constants(self, number: int) -> dict[str, Any]:
        """The constants of an instruction's kernel."""
        names, arguments = self.network.kernels[number].constants, self.invariant.arguments
        return {name: arguments[f"kernel{number}.{name}"] for name in names}

    def operands(self, number: int) -> list:
        """The operands of an instruction."""
        n_operands = len(self.network.layout.instructions[number].operands)
        return [self.operand(number, k) for k in range(n_operands)]

    def operand(self, number: int, k: int) -> Any:
        """The k-th operand of an instruction, arranged as its kernel wants it."""
        if (number, k) in self.invariant.operands:
            return self.invariant.operands[number, k]
        value = self.read(self.network.layout.instructions[number].operands[k])
        kernel = self.network.kernels.get(number)
        arrange = None if kernel is None else kernel.arrange.get(k)
        return value if arrange is None else arrange(value)

    def read(self, recipe: Recipe) -> Any:
        """The value that a recipe gives."""
        return self.network.assembler.read(recipe, self.values, self.invariant.arguments)

    def next_state(self, numbers: Iterable[int] | None = None) -> list:
        """Values of states, by default of all, in the next step, for each item."""
        recipes = self.network.layout.next_state
        chosen = recipes if numbers is None else [recipes[k] for k in numbers]
        return [self.network.full(self.read(recipe)) for recipe in chosen]

    def outputs(self) -> list:
        """What is probed, for each item."""
        return [self.network.full(self.read(recipe)) for recipe in self.network.layout.outputs]
