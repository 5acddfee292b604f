"""Where every value lives: the planned groups, executed symbolically for one step.

For each element of each signal we keep its *layers*: the addresses whose sum is the present value
of the element. A group reads its operands from there and leaves the addresses of its results. See
docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from nengo.builder.operator import Copy, Operator, Reset, TimeUpdate
from nengo.builder.signal import Signal

from nengo_dl.compiler.kernel import Kernel, is_wiring, kernel_for
from nengo_dl.compiler.operand import Addresses, Recipe, Tensor, make_recipe
from nengo_dl.compiler.operators import CopyUpdate
from nengo_dl.compiler.program import Group, Input, Program, probed_signals
from nengo_dl.compiler.signals import (
    Indices,
    as_array,
    covers,
    signal_size,
    take,
    view_indices,
)

HOLE = -1
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
        """What it reads, as of a `Run`."""
        return (self.recipe,)

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

    def of_kind(self, kind: str) -> tuple[Stored, ...]:
        return tuple(s for s in self.stored if s.tensor.kind == kind)


def make_layout(program: Program, plan: Sequence[tuple[Operator, ...]]) -> Layout:
    """Decide where the values of a planned program live."""
    return _Execution(program, plan).run()


class _Signals:
    """The signals that an operator sets, increments or updates, and those whose present values it
    needs.
    """

    __slots__ = ("incs", "reads", "writes")

    def __init__(self, op: Operator):
        kernel = None if is_wiring(op) else kernel_for(op)
        self.reads = tuple(op.reads) if kernel is None else kernel.reads(op)
        self.writes = (
            (*op.sets, *op.incs, *op.updates) if kernel is None else tuple(kernel.writes(op))
        )
        self.incs = op.incs


class _Carried:
    """Finds the base signals whose value at the start of a step matters, and those that are written
    at all.
    """

    def __init__(
        self,
        plan: Sequence[tuple[Operator, ...]],
        signals: Mapping[Operator, _Signals],
        probed: Sequence[Signal],
    ):
        self.written: dict[Signal, tuple[int, int]] = {}  # base -> (group, operand) of last writer
        self.carried: dict[Signal, None] = {}
        self._covered: dict[Signal, np.ndarray | bool] = {}
        for index, group in enumerate(plan):
            for op in group:
                for sig in (*signals[op].reads, *signals[op].incs):
                    self._read(sig)
            for op in group:
                self._write(op, signals[op], index)
        for sig in probed:
            self._read(sig)
        # read before it was set, and written at some point of the step
        self.carried = {base: None for base in self.carried if base in self.written}

    def _read(self, sig: Signal) -> None:
        covered = self._covered.get(sig.base, False)
        if covered is True or sig.base in self.carried:
            return
        if covered is False or not np.all(covered[as_array(view_indices(sig))]):
            self.carried[sig.base] = None

    def _write(self, op: Operator, signals: _Signals, index: int) -> None:
        for slot, sig in enumerate(signals.writes):
            base = sig.base
            self.written[base] = (index, slot)
            if sig in signals.incs or self._covered.get(base) is True:
                continue
            indices = _target(op)
            if indices is None:
                if sig is base:
                    self._covered[base] = True
                    continue
                indices = view_indices(sig)
            size = signal_size(base)
            if covers(indices, size):
                self._covered[base] = True
            else:
                covered = self._covered.setdefault(base, np.zeros(size, dtype=bool))
                covered[as_array(indices)] = True


def _target(op: Operator) -> Indices | None:
    """Elements of the base that a Copy with a destination slice writes."""
    if type(op) is Copy and op.dst_slice is not None:
        return take(view_indices(op.dst), _index(op.dst.shape, op.dst_slice))
    return None


def _index(shape: tuple[int, ...], item) -> np.ndarray:
    """Positions, in C order, of ``x[item]`` in an ``x`` of this shape."""
    positions = np.arange(int(np.prod(shape))).reshape(shape)
    return positions if item is None else positions[item]


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
        self.signals = {op: _Signals(op) for group in plan for op in group}
        self.addresses = Addresses()
        self.layers: dict[Signal, list[Indices]] = {}
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
            self.layers[item.signal.base] = [tensor.addresses]
        return tensors

    def _place_stored(self, plan) -> list[Stored]:
        """Stack the initial values: states by the group that writes them, constants by their first
        reader, parameters by what they are, and the large ones by their first reader too.
        """
        carried = _Carried(plan, self.signals, self.probed)
        stacks: dict[tuple, dict[Signal, None]] = {}

        def place(base: Signal, index: int, slot: int) -> None:
            if base in carried.carried:
                key = ("state", *carried.written[base])
            elif base in carried.written or base in self.layers:
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

    def _store(self, kind: str, signals: tuple[Signal, ...]) -> Stored:
        name = f"{kind} {signals[0].name}" + (f" ... ({len(signals)})" if signals[1:] else "")
        tensor = self.addresses.new(name, kind, sum(signal_size(sig) for sig in signals))
        stored = Stored(tensor, signals)
        for sig, span in stored.spans():
            self.layers[sig] = [range(tensor.base + span.start, tensor.base + span.stop)]
        return stored

    def _literal(self, value: float, n: int) -> Indices:
        if value not in self.literals:
            self.literals[value] = self.addresses.new(repr(value), "literal", 1)
        return np.full(n, self.literals[value].base)

    # -- reading and writing -----------------------------------------------------------------------

    def _read(self, sig: Signal) -> list[Indices]:
        """The layers of the elements of a signal."""
        layers = self.layers.get(sig.base, [])
        if not sig.is_view:
            return layers
        indices = view_indices(sig)
        return _packed([take(layer, indices) for layer in layers])

    def _write(self, sig: Signal, indices: Indices, values: Indices, increment: bool) -> None:
        """Let the elements ``indices`` of the base of ``sig`` be (or be increased by) the values at
        these addresses.
        """
        base, size = sig.base, signal_size(sig.base)
        whole = covers(indices, size)
        if increment:
            self._increment(base, size, indices, values, whole)
        elif whole:
            self.layers[base] = [values]
        else:
            layers = [as_array(layer).copy() for layer in self.layers.get(base, [])]
            layers = layers or [np.full(size, HOLE)]
            positions = as_array(indices)
            for layer in layers:
                layer[positions] = HOLE
            layers[0][positions] = as_array(values)
            self.layers[base] = _without_empty(layers)

    def _increment(self, base, size, indices, values, whole) -> None:
        layers = self.layers.setdefault(base, [])
        if whole:
            layers.append(values)
            return
        positions, values = as_array(indices), as_array(values)
        if isinstance(indices, range):
            self._place_increment(layers, size, positions, values)
            return
        while len(positions):
            # of an element that occurs more than once, each layer takes one occurrence
            _, first = np.unique(positions, return_index=True)
            self._place_increment(layers, size, positions[first], values[first])
            positions, values = np.delete(positions, first), np.delete(values, first)

    def _place_increment(self, layers: list, size: int, positions, values) -> None:
        filled = values >= 0
        if not filled.all():
            positions, values = positions[filled], values[filled]
        for i, layer in enumerate(layers):
            if isinstance(layer, np.ndarray) and np.all(layer[positions] == HOLE):
                layers[i] = layer.copy()
                layers[i][positions] = values
                return
        layers.append(np.full(size, HOLE))
        layers[-1][positions] = values

    def _operand(self, signals: Sequence[Signal]) -> list[Indices]:
        """The layers of signals side by side."""
        read = [self._read(sig) for sig in signals]
        sizes = [signal_size(sig) for sig in signals]
        depth = max((len(layers) for layers in read), default=0)
        return [
            _join([layers[i] if i < len(layers) else None for layers in read], sizes)
            for i in range(depth)
        ]

    def _recipe(self, signals: Sequence[Signal]) -> Recipe:
        width = sum(signal_size(sig) for sig in signals)
        return make_recipe(self._operand(signals), width, self.addresses)

    def _settled_recipe(self, signals: Sequence[Signal], name: str) -> Recipe:
        """As `_recipe`, but sums become tensors, which from now on stand for the elements that were
        read.
        """
        rows = self._operand(signals)
        width = sum(signal_size(sig) for sig in signals)
        recipe = make_recipe(rows, width, self.addresses)
        if len(rows) < 2:
            return recipe
        tensor = self.addresses.new(f"sum for {name}", "sum", width)
        self.instructions.append(Assemble(tensor, recipe))
        start = tensor.base
        for sig in signals:
            stop = start + signal_size(sig)
            self._write(sig, view_indices(sig), range(start, stop), increment=False)
            start = stop
        return self.addresses.whole(tensor)

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
            width = sum(signal_size(sig) for sig in sigs)
            result = self.addresses.new(f"{group.kind} {sigs[0].name}", "result", width)
            results.append(result)
            start = result.base
            for op, sig in zip(group.operators, sigs, strict=True):
                stop = start + signal_size(sig)
                self._write(sig, view_indices(sig), range(start, stop), sig in op.incs)
                start = stop
        self.instructions.append(Run(group, kernel, operands, tuple(results)))

    def _wire(self, group: Group) -> None:
        copies = [op for op in group.operators if isinstance(op, (Copy, CopyUpdate))]
        sums = [op.src for op in copies if len(self._read(op.src)) > 1]
        if sums:
            self._settled_recipe(list(dict.fromkeys(sums)), "copies")
        for op in group.operators:
            if isinstance(op, Reset):
                self._reset(op)
            elif isinstance(op, TimeUpdate):
                step, time = self.time.addresses
                self._write(op.step, range(1), range(step, step + 1), increment=False)
                self._write(op.time, range(1), range(time, time + 1), increment=False)
            elif isinstance(op, (Copy, CopyUpdate)):
                self._copy(op)

    def _reset(self, op: Reset) -> None:
        indices = view_indices(op.dst)
        if op.value == 0 and covers(indices, signal_size(op.dst.base)):
            self.layers[op.dst.base] = []
        else:
            n = len(indices)
            values = np.full(n, HOLE) if op.value == 0 else self._literal(op.value, n)
            self._write(op.dst, indices, values, increment=False)

    def _copy(self, op: Copy | CopyUpdate) -> None:
        layers = self._read(op.src)
        indices: Indices = view_indices(op.dst)
        src_slice, dst_slice = getattr(op, "src_slice", None), getattr(op, "dst_slice", None)
        if src_slice is not None or dst_slice is not None or op.src.shape != op.dst.shape:
            target = _index(op.dst.shape, dst_slice)
            source = _broadcast(_index(op.src.shape, src_slice), target.shape).ravel()
            indices = take(indices, target.ravel())
            layers = [take(layer, source) for layer in layers]
        if not layers:
            layers = [np.full(len(indices), HOLE)]
        increment = op.dst in op.incs
        for layer in layers:  # one, unless several Copies in a group share a source's base
            self._write(op.dst, indices, layer, increment)
            increment = True


def _without_empty(layers: list[np.ndarray]) -> list[np.ndarray]:
    return [layer for layer in layers if np.any(layer != HOLE)]


def _packed(layers: list[Indices]) -> list[Indices]:
    """The same sums in as few layers as possible."""
    if len(layers) < 2 or all(isinstance(layer, range) for layer in layers):
        return layers
    matrix = np.stack([as_array(layer) for layer in layers])
    order = np.argsort(matrix == HOLE, axis=0, kind="stable")
    return _without_empty(list(np.take_along_axis(matrix, order, axis=0)))


def _join(parts: list[Indices | None], sizes: list[int]) -> Indices:
    """Put addresses side by side, as a range where they follow one another."""
    first = parts[0]
    if all(isinstance(p, range) and p.step == 1 for p in parts):
        start = stop = first.start
        for p in parts:
            if p.start != stop:
                break
            stop = p.stop
        else:
            return range(start, stop)
    return np.concatenate(
        [np.full(n, HOLE) if p is None else as_array(p) for p, n in zip(parts, sizes, strict=True)]
    )
