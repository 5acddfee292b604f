"""A sequence in stages: what no state depends on is computed for all steps at once.

The loop over the steps is cut along the strongly connected parts of the step's graph (loop
distribution; Kennedy and Allen, 1990, "Loop distribution with arbitrary control flow"). A product
of inputs with weights becomes one product of (n_steps x batch) rows, which is several times faster
than n_steps products of (batch) rows, and its gradient is summed over the steps inside the product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras.ops as ops
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nengo_dl.compiler.layout import Assemble
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.step import LoweredNetwork, StepParts

#: multiplications of a step from which on a product is worth a stage of its own: from there on its
#: gain is more than the time that another loop takes
HEAVY = 30_000


@dataclass
class Stage:
    """Instructions that run together, for all steps at once or in a loop."""

    in_loop: bool
    numbers: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)


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
    """

    def __init__(self, network: LoweredNetwork, changing: Sequence[Input], training: bool):
        self.network, self.changing, self.training = network, changing, training
        self._parts: StepParts = network.parts(changing)
        self.stages = self._plan()

    @property
    def is_split(self) -> bool:
        """Whether there is more than the one loop."""
        return len(self.stages) > 1

    def scan(self, backend: Any, numbers: Iterable[int] | None = None) -> Callable:
        """The backend's loop for these instructions (by default all of the loop), with the
        arguments of ``recomputing_scan``. To keep what a step of neurons computes, and to read it
        again, takes longer than to compute it again.
        """
        numbers = self._parts.loop if numbers is None else numbers
        light = all(self._is_light(n) for n in numbers if n in self.network.kernels)
        if self.training and light:
            return backend.recomputing_scan
        return lambda step, invariant, *rest: backend.scan(partial(step, invariant), *rest)

    # -- planning ----------------------------------------------------------------------------------

    def _plan(self) -> list[Stage]:
        network, numbers = self.network, self._parts.loop
        kernels = [network.kernels[n] for n in numbers if n in network.kernels]
        whole = [Stage(True, list(numbers), list(range(len(network.states))))]
        runs = [network.layout.instructions[n] for n in numbers if n in network.kernels]
        # Python code and most Keras layers see one step after the other
        one_by_one = any(
            run.kernel.on_host or (prepared.layer is not None and not run.kernel.every_step_alone)
            for run, prepared in zip(runs, kernels, strict=True)
        )
        time = network.layout.time.index
        probes_time = any(time in recipe.tensors() for recipe in network.layout.outputs)
        if probes_time or one_by_one or not self._heavy(numbers):
            return whole
        places = self._places()
        stages = {place: Stage(in_loop=place % 2 == 0) for place in sorted(set(places.values()))}
        for node, place in places.items():
            if node < len(network.states):
                stages[place].states.append(node)
            else:
                stages[place].numbers.append(numbers[node - len(network.states)])
        return list(stages.values())

    def _heavy(self, numbers: Iterable[int]) -> list[int]:
        """Products with constant weights that are worth a stage of their own."""
        return [n for n in numbers if n in self.network.kernels and self._is_heavy(n)]

    def _is_heavy(self, number: int) -> bool:
        step, prepared = self.network.layout.instructions[number], self.network.kernels[number]
        if not step.kernel.every_step_alone:
            return False
        if prepared.layer is not None:
            return bool(prepared.weights)
        if (number, 0) not in self._parts.fixed_operands or len(step.operands) < 2:
            return False
        batch = self.network.settings.minibatch_size
        return step.kernel.convolves or step.operands[0].width * batch >= HEAVY

    def _is_light(self, number: int) -> bool:
        """Whether an instruction may be computed twice, and is worth it: it is no convolution and
        no large product.
        """
        step = self.network.layout.instructions[number]
        if not step.kernel.repeatable or step.kernel.convolves:
            return False
        widths = {r.width for r in step.operands} | {t.width for t in step.results}
        elementwise = len(widths - {1}) <= 1
        return elementwise or max(widths) * self.network.settings.minibatch_size < HEAVY

    def _graph(self) -> list[tuple[int, int]]:
        """Edges between states (numbers from 0) and instructions (numbers after them)."""
        network, layout = self.network, self.network.layout
        source = {s.tensor.index: k for k, s in enumerate(network.states)}
        steps = [layout.instructions[n] for n in self._parts.loop]
        for k, step in enumerate(steps, len(network.states)):
            source.update({tensor.index: k for tensor in step.results})
        recipes: list[tuple[int, Any]] = list(enumerate(layout.next_state))
        for k, step in enumerate(steps, len(network.states)):
            recipes.extend((k, recipe) for recipe in step.operands)
        return [
            (source[tensor], k)
            for k, recipe in recipes
            for tensor in recipe.tensors()
            if tensor in source
        ]

    def _places(self) -> dict[int, int]:
        """The stage of each state and instruction: even for loops, odd for what is computed at
        once.
        """
        n_states, numbers = len(self.network.states), self._parts.loop
        n = n_states + len(numbers)
        edges = np.array(self._graph(), dtype=int).reshape(-1, 2)
        matrix = coo_matrix((np.ones(len(edges)), edges.T), shape=(n, n))
        _, component = connected_components(matrix, directed=True, connection="strong")
        sizes = np.bincount(component)
        before: dict[int, set[int]] = {c: set() for c in component}
        for a, b in component[edges]:
            if a != b:
                before[b].add(a)
        heavy = {n_states + numbers.index(number) for number in self._heavy(numbers)}
        placed: dict[int, int] = {}
        for c in _in_order(before):
            latest = max((placed[b] for b in before[c]), default=-1)
            node = int(np.flatnonzero(component == c)[0])
            alone = sizes[c] == 1 and node >= n_states and self._alone(numbers[node - n_states])
            if latest % 2 == 0:  # the latest is in a loop
                placed[c] = latest + (alone and node in heavy)
            else:
                placed[c] = latest + (not alone)
        return {node: placed[c] for node, c in enumerate(component)}

    def _alone(self, number: int) -> bool:
        """Whether an instruction can be computed for all steps at once."""
        step = self.network.layout.instructions[number]
        if isinstance(step, Assemble):
            return self.network.layout.time.index not in step.recipe.tensors()
        reads_time = any(self.network.layout.time.index in r.tensors() for r in step.operands)
        return step.kernel.every_step_alone and not reads_time

    # -- running -----------------------------------------------------------------------------------

    def run(
        self,
        backend: Any,
        arguments: Mapping[str, Any],
        fixed: Sequence[Any],
        state: Sequence[Any],
        rows: Sequence[Any],
        n_steps: int,
        first_step: Any,
        outputs: Sequence[int],
        kept: Sequence[bool],
    ) -> tuple[list, list]:
        """As the backend's ``scan`` of the step function, from the arguments of ``prepare``.

        Parameters
        ----------
        backend
            Module of `nengo_dl.runtime.backends`.
        outputs
            The numbers of the outputs that are wanted.
        kept
            For each, whether every step is wanted, or the last one.
        """
        layout = self.network.layout
        invariant = self.network.prepare(self._parts, arguments, fixed, self.training)
        # of each tensor all steps, (batch, n_steps, size)
        history = {
            self.network.row_tensor(item).index: row
            for item, row in zip(self.changing, rows, strict=True)
        }
        recipes = [layout.outputs[k] for k in outputs]
        state = list(state)
        for i, stage in enumerate(self.stages):
            if stage.in_loop:
                wanted = self._made(stage) & self._wanted(self.stages[i + 1 :], recipes)
                self._loop(backend, stage, invariant, state, history, n_steps, first_step, wanted)
            else:
                self._at_once(stage, invariant, history, n_steps)
        results = [
            self._output(recipe, invariant, history, n_steps if keep else 1)
            for recipe, keep in zip(recipes, kept, strict=True)
        ]
        return state, results

    def _made(self, stage: Stage) -> set[int]:
        made = {self.network.states[k].tensor.index for k in stage.states}
        for n in stage.numbers:
            step = self.network.layout.instructions[n]
            made |= {t.index for t in step.results}
        return made

    def _read_by(self, stage: Stage) -> set[int]:
        recipes = [self.network.layout.next_state[k] for k in stage.states]
        for n in stage.numbers:
            step = self.network.layout.instructions[n]
            recipes.extend(step.operands)
        return set().union(*(r.tensors() for r in recipes))

    def _wanted(self, later: Sequence[Stage], recipes: Sequence[Any]) -> set[int]:
        wanted = set().union(*(r.tensors() for r in recipes))
        return wanted.union(*(self._read_by(stage) for stage in later))

    def _at_once(self, stage: Stage, invariant, history: dict[int, Any], n_steps: int) -> None:
        """Compute instructions with the steps as part of the batch."""
        values, arguments = dict(invariant[0]), invariant[1]
        batch = self.network.settings.minibatch_size
        for index, value in history.items():
            values[index] = ops.reshape(value, (-1, value.shape[-1]))
        context = self.network.context(None, self.training, self.network.variables(arguments))
        self.network.execute(stage.numbers, values, arguments, context)
        for index in self._made(stage):
            value = values[index]
            if value.shape[0] == 1:  # nothing that it depends on changes
                value = ops.broadcast_to(value, (batch * n_steps, value.shape[1]))
            history[index] = ops.reshape(value, (batch, n_steps, -1))

    def _loop(self, backend, stage, invariant, state, history, n_steps, first_step, wanted):
        """Compute instructions step by step; changes ``state`` and ``history``."""
        network = self.network
        rows = sorted((self._read_by(stage) - self._made(stage)) & history.keys())
        wanted = sorted(wanted)

        def step(invariant, own, now, i):
            values, arguments = dict(invariant[0]), invariant[1]
            for k, value in zip(stage.states, own, strict=True):
                values[network.states[k].tensor.index] = value
            values.update(zip(rows, now, strict=True))
            values[network.layout.time.index] = network.time(first_step + i)
            context = network.context(first_step + i, self.training, network.variables(arguments))
            network.execute(stage.numbers, values, arguments, context)
            following = [
                network.full(network.read(network.layout.next_state[k], values, arguments))
                for k in stage.states
            ]
            return following, [network.full(values[index]) for index in wanted]

        batch = network.settings.minibatch_size
        widths = {t.index: t.width for t in network.layout.tensors}
        own, outputs = self.scan(backend, stage.numbers)(
            step,
            invariant,
            [state[k] for k in stage.states],
            [ops.transpose(history[index], (1, 0, 2)) for index in rows],
            n_steps,
            [True] * len(wanted),
            [(batch, widths[index]) for index in wanted],
            network.settings.dtype,
        )
        for k, value in zip(stage.states, own, strict=True):
            state[k] = value
        for index, value in zip(wanted, outputs, strict=True):
            history[index] = value

    def _output(self, recipe, invariant, history: Mapping[int, Any], last: int):
        """The last steps of an output, (batch, steps, size)."""
        values, arguments = dict(invariant[0]), invariant[1]
        batch = self.network.settings.minibatch_size
        for index in recipe.tensors() & history.keys():
            value = history[index][:, -last:]
            values[index] = ops.reshape(value, (-1, value.shape[-1]))
        value = self.network.read(recipe, values, arguments)
        if value.shape[0] == 1:
            value = ops.broadcast_to(value, (batch * last, value.shape[1]))
        return ops.reshape(value, (batch, last, -1))


def _in_order(before: Mapping[int, set[int]]) -> list[int]:
    """Components in an order in which each comes after those before it."""
    missing = {c: len(b) for c, b in before.items()}
    after: dict[int, list[int]] = {c: [] for c in before}
    for c, others in before.items():
        for other in others:
            after[other].append(c)
    ready = [c for c, n in missing.items() if n == 0]
    for c in ready:
        for later in after[c]:
            missing[later] -= 1
            if missing[later] == 0:
                ready.append(later)
    return ready
