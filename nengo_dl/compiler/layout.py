"""Where every value lives: the planned groups, executed symbolically for one step.

A group reads its operands from the `Contributions` of its signals and leaves the addresses of its
results there. See docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from nengo.builder.operator import Copy, Operator, Reset, TimeUpdate
from nengo.builder.signal import Signal

from nengo_dl.compiler.carried import Carried
from nengo_dl.compiler.contributions import HOLE, Contributions
from nengo_dl.compiler.kernel import Kernel, OperatorSignals, is_wiring, kernel_for
from nengo_dl.compiler.operand import Addresses, Recipe, Sum, Tensor, TensorKind, make_recipe
from nengo_dl.compiler.operators import CopyUpdate
from nengo_dl.compiler.program import Group, Input, Program, probed_signals
from nengo_dl.compiler.signals import (
    Indices,
    covers,
    positions_of,
    signal_size,
    take,
    view_indices,
)

#: elements from which on parameters that one group reads are stored apart from the others of their
#: kind: cutting a large tensor up, and putting its gradient together, moves as much memory as an
#: optimizer's update
LARGE = 16384


@dataclass(frozen=True)
class Stored:
    """A tensor that holds the initial values of base signals, side by side in this order."""

    tensor: Tensor
    signals: tuple[Signal, ...]

    def spans(self):
        """Pairs of a signal and the slice of columns that holds it."""
        start = 0
        for sig in self.signals:
            stop = start + signal_size(sig)
            yield sig, slice(start, stop)
            start = stop


@dataclass(frozen=True)
class Assemble:
    """Put a sum together that more than one reader may use."""

    tensor: Tensor
    recipe: Recipe

    @property
    def operands(self) -> tuple[Recipe, ...]:
        """What it reads, as of a `Run`: the terms of a sum."""
        return self.recipe.terms if isinstance(self.recipe, Sum) else (self.recipe,)

    @property
    def results(self) -> tuple[Tensor, ...]:
        """What it makes, as of a `Run`."""
        return (self.tensor,)


@dataclass(frozen=True)
class Run:
    """Compute a group."""

    group: Group
    kernel: Kernel
    operands: tuple[Recipe, ...]
    results: tuple[Tensor, ...]


@dataclass(frozen=True)
class Layout:
    """One step of the whole network, ready to be lowered."""

    tensors: tuple[Tensor, ...]
    stored: tuple[Stored, ...]
    inputs: dict[Input, Tensor]
    time: Tensor
    instructions: tuple[Assemble | Run, ...]
    #: what each state tensor holds in the next step, in the order of `states`
    next_state: tuple[Recipe, ...]
    outputs: tuple[Recipe, ...]
    literals: dict[Tensor, float] = field(default_factory=dict)
    #: states that are operands of a deferred one (`defer_large_updates`) -> base signal of that,
    #: and number of the operand
    origins: dict[Signal, tuple[Signal, int]] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> tuple[Stored, ...]:
        return tuple(s for s in self.stored if s.tensor.kind in kinds)


def make_layout(program: Program, plan: Sequence[tuple[Operator, ...]]) -> Layout:
    """Decide where the values of a planned program live."""
    return _Execution(program, plan).run()


def _broadcast(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As numpy assigns to an array of this shape: too many leading axes of length one are fine."""
    while positions.ndim > len(shape) and positions.shape[0] == 1:
        positions = positions[0]
    return np.broadcast_to(positions, shape)


def _with_small_parameters_merged(stacks: dict[tuple, dict]) -> dict[tuple, dict]:
    """One stack for all parameters of a kind, but for stacks that are `LARGE`."""
    merged: dict[tuple, dict] = {}
    for (kind, index, slot), signals in stacks.items():
        if kind == "parameter" and sum(map(signal_size, signals)) < LARGE:
            slot = None
        merged.setdefault((kind, index, slot), {}).update(signals)
    return merged


class _Execution:
    def __init__(self, program: Program, plan: Sequence[tuple[Operator, ...]]):
        self.program = program
        self.plan = [Group(tuple(group)) for group in plan]
        self.signals = {op: OperatorSignals(op) for group in plan for op in group}
        self.addresses = Addresses()
        self.contributions = Contributions()
        self.instructions: list[Assemble | Run] = []
        self.literals: dict[float, Tensor] = {}
        self.probed = probed_signals(program.model)
        self.time = self.addresses.new("time", "time", 2)  # columns: step, time
        self.inputs = self._place_inputs()
        self.stored = self._place_stored(plan)

    # -- storage ---------------------------------------------------------------------------------

    def _place_inputs(self) -> dict[Input, Tensor]:
        tensors = {}
        for item in self.program.inputs:
            tensor = self.addresses.new(item.name, "input", item.size)
            tensors[item] = tensor
            self.contributions.place(item.signal.base, tensor.addresses)
        return tensors

    def _place_stored(self, plan) -> list[Stored]:
        """Stack the initial values: states by the group that writes them, constants by their first
        reader, parameters by what they are, and the large ones by their first reader too.
        """
        carried = Carried(plan, self.signals, self.probed)
        stacks: dict[tuple, dict[Signal, None]] = {}

        def place(base: Signal, index: int, slot: int) -> None:
            key: tuple
            if base in carried.carried:
                key = ("state", *carried.written[base])
            elif base in carried.written or base in self.contributions:
                return
            elif base in self.program.trainable:
                key = ("parameter", self.program.trainable[base], index)
            else:
                key = ("constant", index, slot)
            stacks.setdefault(key, {})[base] = None

        placed: set[Signal] = set()
        for index, group in enumerate(self.plan):
            for op in group.operators:
                signals = self.signals[op]
                for slot, sig in enumerate((*signals.reads, *signals.writes)):
                    base = sig.base
                    if base not in placed:
                        placed.add(base)
                        place(base, index, slot)
        for sig in (*self.probed, *self.program.unread):
            if sig.base not in placed:
                placed.add(sig.base)
                place(sig.base, len(self.plan), 0)
        return [
            self._store(kind, self._in_writing_order(kind, index, slot, signals))
            for (kind, index, slot), signals in _with_small_parameters_merged(stacks).items()
        ]

    def _in_writing_order(self, kind, index, slot, signals: dict[Signal, None]) -> tuple:
        if kind != "state":
            return tuple(signals)
        writes = (self.signals[op].writes for op in self.plan[index].operators)
        written = (sigs[slot].base for sigs in writes if slot < len(sigs))
        return tuple(dict.fromkeys(base for base in written if base in signals))

    def _store(self, kind: TensorKind, signals: tuple[Signal, ...]) -> Stored:
        name = f"{kind} {signals[0].name}" + (f" ... ({len(signals)})" if signals[1:] else "")
        tensor = self.addresses.new(name, kind, sum(signal_size(sig) for sig in signals))
        stored = Stored(tensor, signals)
        for sig, span in stored.spans():
            columns = range(tensor.base + span.start, tensor.base + span.stop)
            self.contributions.place(sig, columns)
        return stored

    def _literal(self, value: float, n: int) -> Indices:
        if value not in self.literals:
            self.literals[value] = self.addresses.new(repr(value), "literal", 1)
        return np.full(n, self.literals[value].base)

    # -- reading and writing -----------------------------------------------------------------------

    def _recipe(self, signals: Sequence[Signal]) -> Recipe:
        sizes = list(map(signal_size, signals))
        return make_recipe(self.contributions.operand(signals, sizes), sum(sizes), self.addresses)

    def _settled_recipe(self, signals: Sequence[Signal], name: str) -> Recipe:
        """As `_recipe`, but sums become tensors, which from now on stand for the elements that were
        read.
        """
        sizes = list(map(signal_size, signals))
        rows, width = self.contributions.operand(signals, sizes), sum(sizes)
        recipe = make_recipe(rows, width, self.addresses)
        if len(rows) < 2:
            return recipe
        tensor = self.addresses.new(f"sum for {name}", "sum", width)
        self.instructions.append(Assemble(tensor, recipe))
        self._place_side_by_side(tensor, signals, sizes, [False] * len(signals))
        return self.addresses.whole(tensor)

    def _place_side_by_side(
        self,
        tensor: Tensor,
        signals: Sequence[Signal],
        sizes: Sequence[int],
        increments: Sequence[bool],
    ) -> None:
        """Let signals be (or be increased by) the columns of a tensor."""
        start = tensor.base
        for sig, size, increment in zip(signals, sizes, increments, strict=True):
            self.contributions.place(sig, range(start, start + size), increment)
            start += size

    # -- execution ---------------------------------------------------------------------------------

    def run(self) -> Layout:
        for group in self.plan:
            if is_wiring(group.operators[0]):
                self._wire(group)
            else:
                self._compute(group)
        next_state = tuple(self._recipe(s.signals) for s in self.stored if s.tensor.kind == "state")
        outputs = tuple(self._recipe([sig]) for sig in self.probed)
        return Layout(
            tensors=tuple(self.addresses.tensors),
            stored=tuple(self.stored),
            inputs=self.inputs,
            time=self.time,
            instructions=tuple(self.instructions),
            next_state=next_state,
            outputs=outputs,
            literals={tensor: value for value, tensor in self.literals.items()},
        )

    def _compute(self, group: Group) -> None:
        kernel = kernel_for(group.operators[0])
        reads = kernel.operands(group.operators)
        writes = list(zip(*(self.signals[op].writes for op in group.operators), strict=True))
        operands = tuple(self._settled_recipe(sigs, group.kind) for sigs in reads)
        results = []
        for sigs in writes:
            sizes = list(map(signal_size, sigs))
            result = self.addresses.new(f"{group.kind} {sigs[0].name}", "result", sum(sizes))
            results.append(result)
            increments = [
                sig in self.signals[op].incs for op, sig in zip(group.operators, sigs, strict=True)
            ]
            self._place_side_by_side(result, sigs, sizes, increments)
        self.instructions.append(Run(group, kernel, operands, tuple(results)))

    def _wire(self, group: Group) -> None:
        copies = [op for op in group.operators if isinstance(op, (Copy, CopyUpdate))]
        sums = [op.src for op in copies if len(self.contributions.read(op.src)) > 1]
        if sums:
            self._settled_recipe(list(dict.fromkeys(sums)), "copies")
        for op in group.operators:
            if isinstance(op, Reset):
                self._reset(op)
            elif isinstance(op, TimeUpdate):
                step, time = self.time.addresses
                self.contributions.place(op.step, range(step, step + 1))
                self.contributions.place(op.time, range(time, time + 1))
            elif isinstance(op, (Copy, CopyUpdate)):
                self._copy(op)

    def _reset(self, op: Reset) -> None:
        indices = view_indices(op.dst)
        if op.value == 0 and covers(indices, signal_size(op.dst.base)):
            self.contributions.clear(op.dst.base)
        else:
            n = len(indices)
            values = np.full(n, HOLE) if op.value == 0 else self._literal(op.value, n)
            self.contributions.write(op.dst, indices, values, increment=False)

    def _copy(self, op: Copy | CopyUpdate) -> None:
        contributions = self.contributions.read(op.src)
        indices: Indices = view_indices(op.dst)
        src_slice, dst_slice = getattr(op, "src_slice", None), getattr(op, "dst_slice", None)
        if src_slice is not None or dst_slice is not None or op.src.shape != op.dst.shape:
            target = positions_of(op.dst.shape, dst_slice)
            source = _broadcast(positions_of(op.src.shape, src_slice), target.shape).ravel()
            indices = take(indices, target.ravel())
            contributions = [take(contribution, source) for contribution in contributions]
        if not contributions:
            contributions = [np.full(len(indices), HOLE)]
        increment = op.dst in op.incs
        # one, unless several Copies in a group share the base of a source
        for contribution in contributions:
            self.contributions.write(op.dst, indices, contribution, increment)
            increment = True
