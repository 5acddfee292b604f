"""The pure step function of a compiled network.

`LoweredNetwork` turns a `Layout` into functions of tensors. Numbers that a step needs (constants,
parameters, indices) are arguments of the compiled function, gathered in one dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler import verify
from nengo_dl.compiler.compiled import Compiled
from nengo_dl.compiler.dataflow import Dataflow
from nengo_dl.compiler.hoist import Schedule, hoist
from nengo_dl.compiler.kernel import Prepared, Settings
from nengo_dl.compiler.layout import Run, Stored
from nengo_dl.compiler.program import Input
from nengo_dl.compiler.signals import initial_values
from nengo_dl.lowering.context import Host, StepContext, Variables
from nengo_dl.runtime.step.assembler import Assembler
from nengo_dl.runtime.step.frame import Frame, Invariant

#: kinds of stored tensors that no step changes
UNCHANGED = ("constant", "parameter")


class LoweredNetwork:
    """One step of a network, as functions of tensors.

    Attributes
    ----------
    arguments : dict of str to array
        Constants, indices and the constants of the kernels, but not the stored parameters.
    states : tuple of `Stored`
        What is in the carry, followed by the values of the variables in ``carried``.
    state_names : tuple of str
        Their names.
    layers, weights, carried : list
        Keras layers inside the network, their variables that training changes, and those that a
        step changes.
    """

    def __init__(self, compiled: Compiled, settings: Settings, host: Host, host_call: Callable):
        self.layout = compiled.layout
        self.settings = settings
        self.compiled = compiled
        self.flow = Dataflow(self.layout)
        self._schedules: dict[tuple[Input, ...], Schedule] = {}
        self._resized: dict[int, LoweredNetwork] = {}
        self.host, self.host_call = host, host_call
        self.arguments: dict[str, np.ndarray] = {}
        self.kernels: dict[int, Prepared] = {}
        self.states = self.layout.of_kind("state")
        self.state_names = tuple(map(tensor_name, self.states))
        for number, instruction in enumerate(self.layout.instructions):
            if isinstance(instruction, Run):
                self._prepare_kernel(number, instruction)
        prepared = self.kernels.values()
        layers = (getattr(instruction, "kernel", None) for instruction in self.layout.instructions)
        self.layers = _unique(k.layer for k in layers if k is not None and k.layer is not None)
        self.weights = _unique(v for p in prepared for v in p.weights)
        self.carried = _unique(v for p in prepared for v in p.carried)
        self.assembler = Assembler(self.layout, settings)
        self.arguments.update(self.assembler.indices)
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
        """The functions ``invariant`` and ``step`` of a `Chunk`.

        Parameters
        ----------
        changing
            The inputs whose values change from step to step, in the order of ``rows``; those of all
            others are ``fixed``, given to ``invariant`` in the order of the program. Among them may
            be Nodes whose function would else run in the loop: their rows take its place.
        training
            Whether neurons act as their differentiable counterparts.
        """
        schedule = self.schedule(changing)

        def invariant(arguments, fixed):
            return self.invariant(schedule, arguments, fixed, training)

        def step(invariant, state, rows, step_index):
            own, carried = self.split_state(state)
            now = dict(zip(schedule.rows, rows, strict=True))
            frame = Frame(self, invariant, own, now, step_index, training, carried)
            frame.execute(schedule.loop)
            return [*frame.next_state(), *frame.variables.carried], frame.outputs()

        return invariant, step

    def split_state(self, state: Sequence) -> tuple[dict[int, Any], list]:
        """The states by their tensors, and what Keras layers change."""
        n, own = len(self.states), self.flow.states
        if len(state) != n + len(self.carried):
            raise ValueError(
                f"the state of this network is {n} tensors and {len(self.carried)} variables of "
                f"Keras layers; got {len(state)} in all"
            )
        for stored, value in zip(self.states, state, strict=False):
            if value.shape[-1] != stored.tensor.width:
                raise ValueError(
                    f"{stored.tensor.name} has {stored.tensor.width} values for each item; got a "
                    f"tensor of shape {tuple(value.shape)}"
                )
        return dict(zip(own, state, strict=False)), list(state[n:])

    def deferred(self, stored: Stored, arguments: dict, state: Sequence) -> Any:
        """The value that a deferred state has in the next step."""
        own = dict(zip(self.flow.states, state, strict=True))
        frame = Frame(self, Invariant({}, {}, arguments), own, {}, None, False)
        index = stored.tensor.index
        frame.execute(n for n, made in enumerate(self.flow.makes) if index in made)
        return self.full(frame.values[index])

    def variables(self, arguments: dict, carried: Sequence = ()) -> Variables:
        """What the variables of the Keras layers are in a step."""
        weights = [arguments[weight_name(i)] for i in range(len(self.weights))]
        fixed = zip(self.weights, weights, strict=True)
        return Variables(fixed, zip(self.carried, carried, strict=False))

    def schedule(self, changing: Sequence[Input]) -> Schedule:
        """What is computed before the loop and in it, where these inputs change."""
        changing = tuple(changing)
        if changing not in self._schedules:
            schedule = self._schedules[changing] = hoist(self.flow, changing)
            if verify.enabled():
                verify.verify_schedule(schedule)
        return self._schedules[changing]

    def invariant(
        self, schedule: Schedule, arguments: Mapping[str, Any], fixed: Sequence, training: bool
    ) -> Invariant:
        """What is the same in each step."""
        stored = {s.tensor.index: tensor_name(s) for s in self.layout.of_kind(*UNCHANGED)}
        values = {index: arguments[name] for index, name in stored.items()}
        for tensor, value in self.layout.literals.items():
            values[tensor.index] = ops.full((1, 1), value, dtype=self.settings.dtype)
        for item, value in zip(schedule.fixed, fixed, strict=True):
            values[self.layout.inputs[item].index] = value
        frame = Frame(self, Invariant({}, {}, dict(arguments)), {}, values, None, training)
        frame.execute(schedule.before)
        return Invariant(
            {index: frame.values[index] for index in sorted(schedule.kept)},
            {key: frame.operand(*key) for key in sorted(schedule.operands)},
            {name: v for name, v in arguments.items() if name not in stored.values()},
        )

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
