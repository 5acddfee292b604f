"""Who makes and who reads each tensor of a layout: the one walk over the data flow of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nengo_dl.compiler.layout import Layout
from nengo_dl.compiler.operand import Recipe

Tensors = frozenset[int]


def tensors_of(recipes: Iterable[Recipe]) -> Tensors:
    """The numbers of all tensors that recipes read."""
    return frozenset().union(*(recipe.tensors() for recipe in recipes))


@dataclass(frozen=True)
class Part:
    """States and instructions that depend on each other, through however many steps.

    Attributes
    ----------
    states, numbers
        Numbers of the states, and of the instructions, both in order.
    after
        Places of the parts that this one reads, in the list of all parts.
    """

    states: tuple[int, ...]
    numbers: tuple[int, ...]
    after: frozenset[int]


@dataclass(frozen=True)
class Dataflow:
    """What the instructions, next states and outputs of a layout read, and what is made where:
    numbers of tensors, by the number of the instruction, state or output.
    """

    layout: Layout

    @cached_property
    def reads(self) -> tuple[Tensors, ...]:
        return tuple(tensors_of(instruction.operands) for instruction in self.layout.instructions)

    @cached_property
    def makes(self) -> tuple[Tensors, ...]:
        instructions = self.layout.instructions
        return tuple(
            frozenset(t.index for t in instruction.results) for instruction in instructions
        )

    @cached_property
    def next_reads(self) -> tuple[Tensors, ...]:
        return tuple(tensors_of([recipe]) for recipe in self.layout.next_state)

    @cached_property
    def output_reads(self) -> tuple[Tensors, ...]:
        return tuple(tensors_of([recipe]) for recipe in self.layout.outputs)

    @cached_property
    def states(self) -> tuple[int, ...]:
        """The tensor of each state."""
        return tuple(stored.tensor.index for stored in self.layout.of_kind("state"))

    def read_by(self, numbers: Iterable[int], states: Iterable[int] = ()) -> Tensors:
        """What instructions read, and the next values of states."""
        own = (self.reads[n] for n in numbers)
        return frozenset().union(*own, *(self.next_reads[k] for k in states))

    def made_by(self, numbers: Iterable[int], states: Iterable[int] = ()) -> Tensors:
        """What instructions make, and the tensors of states."""
        own = (self.makes[n] for n in numbers)
        return frozenset().union(*own, {self.states[k] for k in states})

    def reached(
        self, start: Tensors, passes: Callable[[int], bool], backwards: bool = False
    ) -> Tensors:
        """All that depends on tensors, or with ``backwards`` all that they depend on, through as
        many steps as it takes and the instructions that ``passes`` lets through.
        """
        edges = [(self.reads[n], self.makes[n]) for n in range(len(self.reads)) if passes(n)]
        edges += [(r, frozenset([s])) for s, r in zip(self.states, self.next_reads, strict=True)]
        reached, before = set(start), -1
        while len(reached) != before:
            before = len(reached)
            for edge in edges:
                source, target = reversed(edge) if backwards else edge
                if not reached.isdisjoint(source):
                    reached |= target
        return frozenset(reached)

    def parts(self, numbers: Sequence[int]) -> list[Part]:
        """The strongly connected parts of all states and these instructions, each after those that
        it reads.
        """
        n_states = len(self.states)
        source = {tensor: k for k, tensor in enumerate(self.states)}
        for k, number in enumerate(numbers, n_states):
            source.update(dict.fromkeys(self.makes[number], k))
        reads = [*self.next_reads, *(self.reads[number] for number in numbers)]
        edges = [(source[t], k) for k, read in enumerate(reads) for t in read if t in source]
        ends = np.array(edges, dtype=int).reshape(-1, 2)
        graph = coo_matrix((np.ones(len(ends)), ends.T), shape=(len(reads), len(reads)))
        _, component = connected_components(graph, directed=True, connection="strong")
        after: dict[int, set[int]] = {c: set() for c in component.tolist()}
        for a, b in component[ends].tolist():
            if a != b:
                after[b].add(a)
        order = list(TopologicalSorter(after).static_order())
        place = {c: i for i, c in enumerate(order)}
        nodes = [np.flatnonzero(component == c).tolist() for c in order]
        return [
            Part(
                tuple(k for k in own if k < n_states),
                tuple(numbers[k - n_states] for k in own if k >= n_states),
                frozenset(place[a] for a in after[c]),
            )
            for c, own in zip(order, nodes, strict=True)
        ]
