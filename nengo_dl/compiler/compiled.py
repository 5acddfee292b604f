"""A compiled network, and as a table, for people to read."""

from __future__ import annotations

import html
from collections import Counter
from dataclasses import dataclass

from nengo import Node

from nengo_dl.compiler.cut import cut_at_host_calls
from nengo_dl.compiler.dataflow import Dataflow
from nengo_dl.compiler.distribute import distribute
from nengo_dl.compiler.hoist import Schedule, hoist
from nengo_dl.compiler.kernel import is_host_call, is_wiring
from nengo_dl.compiler.layout import Assemble, Layout
from nengo_dl.compiler.program import Program
from nengo_dl.input_node import ConstantNode


@dataclass(frozen=True)
class Compiled:
    """A network ready to be lowered; ``print``, or a notebook, shows its groups, when they are
    computed, and how each operand is read.
    """

    program: Program
    layout: Layout
    n_built_operators: int
    minibatch_size: int = 1

    def __str__(self) -> str:
        return describe(self).text()

    def _repr_html_(self) -> str:
        return describe(self).html()

    @property
    def n_groups(self) -> int:
        """Number of groups that are computed."""
        return sum(not isinstance(i, Assemble) for i in self.layout.instructions)


@dataclass(frozen=True)
class Row:
    """A group, or a sum that is computed before one (which has no operators)."""

    number: int
    operators: int | None
    kind: str
    width: int
    when: str
    operands: str


@dataclass(frozen=True)
class Description:
    """What there is to say of a compiled network: lines above and below a table."""

    above: tuple[str, ...]
    rows: tuple[Row, ...]
    below: tuple[str, ...]

    def text(self) -> str:
        """As text in columns."""
        heading = f"{'':4}{'operators':>10}  {'kind':<22}{'width':>8}  {'when':<10}  operands"
        rows = (
            f"{r.number:<4}{'' if r.operators is None else r.operators:>10}  {r.kind:<22}"
            f"{r.width:>8}  {r.when:<10}  {r.operands}"
            for r in self.rows
        )
        return "\n".join([*self.above, "", heading, *rows, *self.below])

    def html(self) -> str:
        """As HTML, for notebooks."""
        cells = (
            f"<td>{r.number}</td><td>{'' if r.operators is None else r.operators}</td>"
            f"<td style='text-align:left'>{html.escape(r.kind)}</td><td>{r.width}</td>"
            f"<td style='text-align:left'>{html.escape(r.when)}</td>"
            f"<td style='text-align:left'>{html.escape(r.operands)}</td>"
            for r in self.rows
        )
        heading = "".join(
            f"<th>{name}</th>" for name in ("", "operators", "kind", "width", "when", "operands")
        )
        return (
            f"<div>{_paragraphs(self.above)}<table><thead><tr>{heading}</tr></thead><tbody>"
            + "".join(f"<tr>{row}</tr>" for row in cells)
            + f"</tbody></table>{_paragraphs(self.below)}</div>"
        )


def _paragraphs(lines: tuple[str, ...]) -> str:
    return "<br>".join(html.escape(line) for line in lines)


def describe(compiled: Compiled) -> Description:
    """The groups of a compiled network, and what is stored."""
    layout, program = compiled.layout, compiled.program
    kinds = Counter(type(op).__name__ for op in program.operators if is_wiring(op))
    stored = ", ".join(
        f"{sum(s.tensor.width for s in layout.of_kind(kind))} {kind} values in "
        f"{len(layout.of_kind(kind))}"
        for kind in ("constant", "parameter", "state", "deferred")
        if kind != "deferred" or layout.of_kind(kind)
    )
    above: tuple[str, ...] = (
        f"{compiled.n_built_operators} operators built, {len(program.operators)} after "
        f"simplification, in {compiled.n_groups} groups",
        "values only moved: " + (", ".join(f"{n} {k}" for k, n in kinds.items()) or "none"),
        f"stored: {stored}",
        f"computed ahead: {len(layout.inputs)} inputs, "
        f"{sum(t.width for t in layout.inputs.values())} columns",
    )
    called = python_calls(program)
    if called:
        above += (f"Python is called at each step, which may be slow: {'; '.join(called)}",)
    below = (
        f"next state: {'; '.join(str(r) for r in layout.next_state) or 'none'}",
        f"probes: {'; '.join(str(r) for r in layout.outputs) or 'none'}",
        "[...]: the same in each step, whatever data the Nodes are given",
    )
    return Description(above, tuple(_rows(compiled)), below)


def python_calls(program: Program) -> list[str]:
    """What calls Python at each step: Nodes, and operators of other objects."""
    signals = program.model.sig
    nodes = {signals[obj]["out"]: obj for obj in list(signals) if isinstance(obj, Node)}
    calls = [op for op in program.operators if is_host_call(op)]
    return [str(nodes.get(getattr(op, "output", None), op)) for op in calls]


def _rows(compiled: Compiled):
    layout = compiled.layout
    changing = [i for i in layout.inputs if not isinstance(i.node, ConstantNode)]
    schedule = hoist(Dataflow(layout), changing)
    when = _when(schedule, compiled.minibatch_size)
    for number, instruction in enumerate(layout.instructions):
        known = {k for n, k in schedule.operands if n == number}
        operands = [f"[{r}]" if k in known else str(r) for k, r in enumerate(instruction.operands)]
        if isinstance(instruction, Assemble):
            joined = (
                str(instruction.recipe) if len(operands) == 1 else f"sum of {', '.join(operands)}"
            )
            yield Row(number, None, "sum", instruction.tensor.width, when[number], joined)
            continue
        width = instruction.results[0].width if instruction.results else 0
        joined, size = "; ".join(operands), len(instruction.group)
        yield Row(number, size, instruction.group.kind, width, when[number], joined)


def _when(schedule: Schedule, batch: int) -> dict[int, str]:
    """For each instruction, when it is computed."""
    when = dict.fromkeys(schedule.before, "once") | dict.fromkeys(schedule.loop, "loop")
    stages, pieces = distribute(schedule, batch), cut_at_host_calls(schedule)
    for k, stage in enumerate(stages, 1):
        if len(stages) > 1:
            name = f"{'loop' if stage.in_loop else 'at once'}, {k}"
            when.update(dict.fromkeys(stage.numbers, name))
    for k, piece in enumerate(pieces, 1):
        if len(pieces) > 1:
            when.update(dict.fromkeys(piece.numbers, f"piece {k}"))
            when.update(dict.fromkeys(piece.calls, f"call {k}"))
    return when
