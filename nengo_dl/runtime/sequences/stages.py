"""Runs a sequence in the stages of `nengo_dl.compiler.distribute`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import keras.ops as ops
import numpy as np

from nengo_dl.compiler import verify
from nengo_dl.compiler.dataflow import tensors_of
from nengo_dl.compiler.distribute import Stage, distribute
from nengo_dl.compiler.layout import Run
from nengo_dl.compiler.operand import Recipe
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.step.frame import Frame, Invariant
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.step.scan import InitialState, Wanted


class StagedNetwork:
    """Runs sequences of a network in stages.

    Parameters
    ----------
    network
        The network.
    changing
        The inputs whose values change from step to step.
    training
        Whether neurons act as their differentiable counterparts.
    fused_scan
        The backend's loop in one kernel, where there is one.
    """

    def __init__(
        self,
        network: LoweredNetwork,
        changing: Sequence[Input],
        training: bool,
        fused_scan: Callable | None = None,
    ):
        self.network, self.training, self._fused_scan = network, training, fused_scan
        self._schedule = network.schedule(changing)
        batch = network.settings.minibatch_size
        self.stages = distribute(self._schedule, batch, kernels=fused_scan is not None)
        if verify.enabled():
            verify.verify_stages(self._schedule, self.stages)

    @property
    def is_split(self) -> bool:
        """Whether there is more than the one loop."""
        return len(self.stages) > 1

    def step_bytes(self) -> int:
        """About the bytes that the gradient keeps of each step: all that is made, but of loops that
        are computed again the states, and what later stages read of them.
        """
        flow, recipes, kept = self.network.flow, self.network.layout.outputs, frozenset[int]()
        for i, stage in enumerate(self.stages):
            made = self._made(stage)
            if stage.in_loop and stage.light:
                made &= self._read_by(self.stages[i + 1 :], recipes)
            kept |= made.union(flow.states[k] for k in stage.states)
        return self._bytes(kept)

    def loop_bytes(self) -> int:
        """As `step_bytes`, of one loop for all that keeps what it computes."""
        made = (self._made(stage) for stage in self.stages)
        return self._bytes(frozenset().union(*made))

    def state_bytes(self) -> int:
        """The bytes of the states."""
        return self._bytes(self.network.flow.states)

    def _bytes(self, tensors: Iterable[int]) -> int:
        widths, settings = self.network.layout.tensors, self.network.settings
        itemsize = np.dtype(settings.dtype).itemsize
        return sum(widths[k].width for k in tensors) * settings.minibatch_size * itemsize

    def scan(self, backend: Any, stage: Stage) -> Callable:
        """The backend's loop for a stage, with the arguments of ``recomputing_scan``."""
        if self._fused_scan is not None and stage.light:
            return self._fused_scan
        if self.training and stage.light:
            return backend.recomputing_scan
        return lambda step, invariant, *rest: backend.scan(partial(step, invariant), *rest)

    def run(
        self,
        backend: Any,
        invariant: Invariant,
        start: InitialState,
        rows,
        n_steps: int,
        wanted: Wanted,
    ) -> tuple[list, list]:
        """The last state, and outputs of shape (batch, n_steps or 1, width); ``rows`` are (batch,
        n_steps, size).
        """
        # of each tensor all steps, (batch, n_steps, size)
        history = dict(zip(self._schedule.rows, rows, strict=True))
        recipes = [self.network.layout.outputs[k] for k in wanted.outputs]
        state = list(start.state)
        for i, stage in enumerate(self.stages):
            if stage.in_loop:
                made = self._made(stage) & self._read_by(self.stages[i + 1 :], recipes)
                self._loop(backend, stage, invariant, state, history, n_steps, start.step, made)
            else:
                self._at_once(stage, invariant, state, history, n_steps, start.step)
        results = [
            self._output(recipe, invariant, history, n_steps if keep else 1)
            for recipe, keep in zip(recipes, wanted.kept, strict=True)
        ]
        return state, results

    def _made(self, stage: Stage) -> frozenset[int]:
        return self.network.flow.made_by(stage.numbers, stage.states)

    def _read_by(self, later: Sequence[Stage], recipes: Sequence[Recipe]) -> frozenset[int]:
        flow = self.network.flow
        return tensors_of(recipes).union(*(flow.read_by(s.numbers, s.states) for s in later))

    def _frame(self, invariant: Invariant, state, rows, step_index) -> Frame:
        return Frame(self.network, invariant, state, rows, step_index, self.training)

    def _at_once(self, stage, invariant, state, history, n_steps, first_step) -> None:
        """Compute instructions with the steps as part of the batch; changes ``state`` and
        ``history``.
        """
        network, flow = self.network, self.network.flow
        rows = {k: ops.reshape(value, (-1, value.shape[-1])) for k, value in history.items()}
        own = {flow.states[k]: state[k] for k in stage.states}
        frame = self._frame(invariant, own, rows, first_step)
        for number in stage.numbers:
            if getattr(network.kernels.get(number), "sequence", None) is None:
                frame.execute([number])
            else:
                self._whole_sequence(frame, number, n_steps)
        for k, value in zip(stage.states, frame.next_state(stage.states), strict=True):
            state[k] = value
        carried = flow.read_by((), stage.states) | own.keys()
        for index in self._made(stage) - carried:
            history[index] = self._by_item(frame.values[index], n_steps)

    def _whole_sequence(self, frame: Frame, number: int, n_steps: int) -> None:
        """Compute an instruction that carries states, for all steps."""
        instruction, kernel = self.network.layout.instructions[number], self.network.kernels[number]
        assert isinstance(instruction, Run) and kernel.sequence is not None
        states = instruction.kernel.carries
        operands = [
            value if k in states or k in kernel.arrange else self._by_item(value, n_steps)
            for k, value in enumerate(frame.operands(number))
        ]
        results = kernel.sequence(frame.context, frame.constants(number), *operands)
        for k, (tensor, value) in enumerate(zip(instruction.results, results, strict=True)):
            is_state = k in states.values()
            frame.values[tensor.index] = (
                value if is_state else ops.reshape(value, (-1, value.shape[-1]))
            )

    def _by_item(self, value: Any, n_steps: int) -> Any:
        """(batch x n_steps or 1, size) -> (batch, n_steps, size)"""
        batch = self.network.settings.minibatch_size
        if value.shape[0] == 1:  # nothing that it depends on changes
            value = ops.broadcast_to(value, (batch * n_steps, value.shape[1]))
        return ops.reshape(value, (batch, n_steps, -1))

    def _loop(self, backend, stage, invariant, state, history, n_steps, first_step, wanted):
        """Compute instructions step by step; changes ``state`` and ``history``."""
        network, flow = self.network, self.network.flow
        states = [flow.states[k] for k in stage.states]
        read = flow.read_by(stage.numbers, stage.states) - self._made(stage)
        rows, wanted = sorted(read & history.keys()), sorted(wanted)

        def step(invariant, own, now, i):
            own, now = dict(zip(states, own, strict=True)), dict(zip(rows, now, strict=True))
            frame = self._frame(invariant, own, now, first_step + i)
            frame.execute(stage.numbers)
            made = [network.full(frame.values[index]) for index in wanted]
            return frame.next_state(stage.states), made

        batch = network.settings.minibatch_size
        own, outputs = self.scan(backend, stage)(
            step,
            invariant,
            [state[k] for k in stage.states],
            [ops.transpose(history[index], (1, 0, 2)) for index in rows],
            n_steps,
            [True] * len(wanted),
            [(batch, network.layout.tensors[index].width) for index in wanted],
            network.settings.dtype,
        )
        for k, value in zip(stage.states, own, strict=True):
            state[k] = value
        history.update(zip(wanted, outputs, strict=True))

    def _output(self, recipe: Recipe, invariant: Invariant, history: Mapping[int, Any], last: int):
        """The last steps of an output, (batch, steps, size)."""
        rows = {}
        for index in recipe.tensors() & history.keys():
            value = history[index][:, -last:]
            rows[index] = ops.reshape(value, (-1, value.shape[-1]))
        return self._by_item(self._frame(invariant, {}, rows, None).read(recipe), last)
