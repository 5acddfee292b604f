"""The checks between the stages catch what they are there to catch."""

from dataclasses import replace

import numpy as np
import pytest
from nengo.builder.operator import Copy, ElementwiseInc, Reset
from nengo.builder.signal import Signal
from nengo.exceptions import BuildError

from compiler.networks import basal_ganglia, operators_of, sliced_feedback
from compiler.stepping import compile_and_verify, make_model
from nengo_dl.compiler import verify
from nengo_dl.compiler.compile import Options, compile_model
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.layout import Run
from nengo_dl.compiler.operand import Slice, Zeros
from nengo_dl.compiler.plan import (
    greedy_planner,
    noop_planner,
    transitive_planner,
    tree_planner,
)
from nengo_dl.compiler.verify import VerificationError, verify_layout, verify_plan

OPERATORS = operators_of("sliced feedback")


def test_missing_operator():
    with pytest.raises(VerificationError, match="has to be planned once"):
        verify_plan(OPERATORS, noop_planner(OPERATORS)[1:])


def test_operator_planned_twice():
    plan = noop_planner(OPERATORS)
    with pytest.raises(VerificationError, match="has to be planned once"):
        verify_plan(OPERATORS, [*plan, plan[0]])


def test_foreign_operator():
    plan = noop_planner(OPERATORS)
    with pytest.raises(VerificationError, match="has to be planned once"):
        verify_plan(OPERATORS, [*plan[1:], (Reset(Signal(np.zeros(1))),)])


def test_unlike_operators_in_a_group():
    plan = greedy_planner(OPERATORS)
    with pytest.raises(VerificationError, match="cannot be merged"):
        verify_plan(OPERATORS, [(*plan[0], *plan[1]), *plan[2:]])


def test_wrong_order():
    with pytest.raises(VerificationError, match="depends on .* but is not planned after it"):
        verify_plan(OPERATORS, noop_planner(OPERATORS)[::-1])


@pytest.mark.parametrize("same_group", [True, False])
def test_dependence_through_barriers(same_group):
    """Two writers and two readers of one signal, ordered by a barrier only."""
    source, middle = Signal(np.ones(2)), Signal(np.zeros(4))
    ends = [Signal(np.zeros(4)) for _ in range(2)]
    writers = [Copy(source, middle[i : i + 2]) for i in (0, 2)]
    readers = [Copy(middle, end) for end in ends]
    operators = [*writers, *readers]
    verify_plan(operators, [tuple(writers), tuple(readers)])
    broken = [tuple(operators)] if same_group else [(writers[0], *readers), (writers[1],)]
    with pytest.raises(VerificationError, match="not planned after it"):
        verify_plan(operators, broken)


def test_operators_in_a_circle():
    a, b = Signal(np.zeros(1)), Signal(np.zeros(1))
    circle = [Copy(a, b), Copy(b, a)]
    with pytest.raises(VerificationError, match="in a circle"):
        verify_plan(circle, [(circle[0],), (circle[1],)])
    for planner in (greedy_planner, tree_planner, transitive_planner, noop_planner):
        with pytest.raises(BuildError, match="holds a cycle without delay.*Copy"):
            compile_model(make_model(circle), Options(planner=planner))


@pytest.fixture(scope="module")
def layout():
    return compile_model(build_model(sliced_feedback(), 0.001, None)).layout


def runs(layout):
    return [i for i, step in enumerate(layout.instructions) if isinstance(step, Run)]


def with_instruction(layout, index, **changes):
    steps = list(layout.instructions)
    steps[index] = replace(steps[index], **changes)
    return replace(layout, instructions=tuple(steps))


def test_reading_what_is_not_computed_yet(layout):
    verify_layout(layout)
    steps = list(layout.instructions)
    broken = replace(layout, instructions=tuple(reversed(steps)))
    with pytest.raises(VerificationError, match="before it is computed"):
        verify_layout(broken)


def test_operands_of_wrong_width(layout):
    first = runs(layout)[0]
    operands = layout.instructions[first].operands
    wrong = (Zeros(operands[0].width + 1), *operands[1:])
    with pytest.raises(VerificationError, match="width"):
        verify_layout(with_instruction(layout, first, operands=wrong))


def test_columns_that_do_not_exist(layout):
    tensor = layout.stored[0].tensor
    outside = Slice(tensor.index, 1, tensor.width + 1, False)
    broken = replace(layout, outputs=(outside, *layout.outputs[1:]))
    with pytest.raises(VerificationError, match="columns"):
        verify_layout(broken)


def test_state_of_wrong_width(layout):
    broken = replace(layout, next_state=(Zeros(1), *layout.next_state[1:]))
    with pytest.raises(VerificationError, match="has width 1"):
        verify_layout(broken)


def test_state_without_a_next_value(layout):
    with pytest.raises(VerificationError, match="next"):
        verify_layout(replace(layout, next_state=layout.next_state[1:]))


@pytest.mark.core
def test_on_with_the_environment_variable(monkeypatch):
    def broken_planner(operators):
        return noop_planner(operators)[::-1]

    model = build_model(basal_ganglia(), 0.001, None)
    for value in ("1", "yes"):
        monkeypatch.setenv("NENGO_DL_VERIFY", value)
        assert verify.enabled()
        with pytest.raises(VerificationError):
            compile_model(model, Options(planner=broken_planner))
    for value in ("0", ""):
        monkeypatch.setenv("NENGO_DL_VERIFY", value)
        assert not verify.enabled()


def test_a_simplification_that_loses_an_operator_is_not_the_verifiers_business():
    source, target = Signal(np.ones(2)), Signal(np.zeros(2))
    model = make_model([Reset(target), ElementwiseInc(Signal(2.0), source, target)])
    compile_and_verify(model, [target], simplifications=[lambda operators: operators[:1]])
