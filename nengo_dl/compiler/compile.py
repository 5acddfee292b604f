"""The compiler, top to bottom: model -> program -> simplified -> planned -> ordered -> laid out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler import verify
from nengo_dl.compiler.compiled import Compiled
from nengo_dl.compiler.defer import defer_large_updates
from nengo_dl.compiler.distribute import separate_stages
from nengo_dl.compiler.frontend import lift_inputs
from nengo_dl.compiler.layout import make_layout
from nengo_dl.compiler.order import order_signals
from nengo_dl.compiler.plan import Planner, greedy_planner
from nengo_dl.compiler.program import Program, probed_signals
from nengo_dl.compiler.series import in_series
from nengo_dl.compiler.share import separate_shared
from nengo_dl.compiler.simplify import default_simplifications, remove_unread, simplify


@dataclass(frozen=True)
class Options:
    """How to compile: the functions that users may choose through ``configure_settings``."""

    planner: Planner = greedy_planner
    sorter: Callable = order_signals
    simplifications: Iterable[Callable] = default_simplifications
    trainable: Mapping[Signal, str] = field(default_factory=dict)
    #: operators -> those to use in their place
    replaced: Mapping[Operator, Operator] = field(default_factory=dict)
    minibatch_size: int = 1
    #: whether groups are of one stage each (`separate_stages`)
    separate_stages: bool = False


def compile_model(model: Model, options: Options | None = None) -> Compiled:
    """Compile what Nengo's builder made of a network."""
    options = options or Options()
    program = replace(lift_inputs(model), trainable=options.trainable)
    inputs = frozenset(item.signal.base for item in program.inputs)
    read = remove_unread(program.operators, probed_signals(model))
    program = replace(program, unread=_unread(program, read))
    operators = simplify(
        [part for op in read for part in in_series(options.replaced.get(op, op))],
        options.simplifications,
        inputs | frozenset(options.trainable),
    )
    plan = separate_shared(call_planner(options.planner, operators))
    if options.separate_stages:
        plan = separate_stages(program, plan, options.minibatch_size)
    _, plan = options.sorter(plan)
    layout = defer_large_updates(make_layout(program, plan))
    if verify.enabled():
        verify.verify_plan(operators, plan)
        verify.verify_layout(layout)
    program = replace(program, operators=tuple(operators))
    return Compiled(program, layout, len(model.operators), options.minibatch_size)


def _unread(program: Program, operators: list[Operator]) -> tuple[Signal, ...]:
    """The trainable signals that these operators do not read any more."""

    def bases(ops: Iterable[Operator]) -> set[Signal]:
        return {sig.base for op in ops for sig in op.all_signals}

    lost = bases(program.operators) - bases(operators)
    return tuple(sig for sig in program.trainable if sig in lost)


def call_planner(planner: Planner, operators: list[Operator]) -> list[tuple[Operator, ...]]:
    """Planners take the operators; other arguments have defaults."""
    required = [
        p
        for p in inspect.signature(planner).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) != 1:
        raise TypeError(
            f"planner {getattr(planner, '__name__', planner)} requires {len(required)} arguments; "
            "a planner is called with one, the list of operators"
        )
    return planner(operators)
