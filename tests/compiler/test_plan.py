"""Planners: whatever they choose, every operator is planned once and after all that it needs."""

import time
from functools import lru_cache, partial

import numpy as np
import pytest

from compiler.networks import (
    NETWORKS,
    built,
    chain_of_ensembles,
    circular_convolution,
    operators_of,
)
from nengo_dl import graph_optimizer
from nengo_dl.compiler import plan as planners
from nengo_dl.compiler.compile import call_planner, compile_model
from nengo_dl.compiler.frontend import build_model, lift_inputs
from nengo_dl.compiler.kernel import is_wiring, merge_key
from nengo_dl.compiler.simplify import simplify
from nengo_dl.compiler.verify import verify_plan

PLANNERS = {
    "greedy": planners.greedy_planner,
    "tree": partial(planners.tree_planner, max_depth=2),
    "transitive": planners.transitive_planner,
    "noop": planners.noop_planner,
}


def computed(plan):
    """The groups that do more than move values."""
    return [group for group in plan if not is_wiring(group[0])]


@lru_cache
def simplified(name):
    return simplify(operators_of(name))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("planner", PLANNERS)
def test_plans_are_valid(planner, name):
    for operators in (operators_of(name), simplified(name)):
        verify_plan(operators, PLANNERS[planner](operators))


@pytest.mark.parametrize("name", NETWORKS)
def test_sorters_keep_plans_valid(name):
    plan = planners.greedy_planner(simplified(name))
    for sorter in (graph_optimizer.order_signals, graph_optimizer.noop_order_signals):
        signals, ordered = sorter(plan)
        verify_plan(simplified(name), ordered)
        assert [set(group) for group in ordered] == [set(group) for group in plan]
        assert len(set(signals)) == len(signals)
        assert not any(sig.is_view for sig in signals)


@pytest.mark.parametrize("name", NETWORKS)
def test_merging_planners_merge(name):
    operators = simplified(name)
    assert len(planners.noop_planner(operators)) == len(operators)
    kinds = len({merge_key(op) for op in operators})
    for planner in ("greedy", "tree", "transitive"):
        plan = PLANNERS[planner](operators)
        assert kinds <= len(plan) < len(operators)
        assert len(computed(plan)) < 25


@pytest.mark.parametrize("planner", PLANNERS)
def test_nothing_to_plan(planner):
    assert PLANNERS[planner]([]) == []


@pytest.mark.core
def test_large_circular_convolution_has_few_groups():
    model = build_model(circular_convolution(n_neurons=2, dimensions=128), 0.001, None)
    start = time.process_time()
    compiled = compile_model(model)
    seconds = time.process_time() - start
    groups = [i for i in compiled.layout.instructions if hasattr(i, "group")]
    assert len(compiled.program.operators) > 3000
    assert len(groups) <= 20
    assert seconds < 5  # far less
    assert f"in {len(groups)} groups" in str(compiled)


def best_time(function, *args):
    times = []
    for _ in range(3):
        start = time.process_time()
        function(*args)
        times.append(time.process_time() - start)
    return min(times)


def test_greedy_is_about_linear():
    small = chain_of_ensembles(150)
    large = chain_of_ensembles(300)
    assert len(large) == pytest.approx(2 * len(small), rel=0.02)
    planners.greedy_planner(small)  # each kernel is chosen on first use
    planners.greedy_planner(large)
    ratio = best_time(planners.greedy_planner, large) / best_time(planners.greedy_planner, small)
    assert ratio < 3


def test_deeper_trees_plan_no_worse():
    operators = simplified("basal ganglia")
    plans = [planners.tree_planner(operators, max_depth=depth) for depth in (1, 3)]
    assert len(plans[1]) <= len(plans[0])


def test_partial_planner():
    operators = operators_of("learning")
    plan = call_planner(partial(planners.tree_planner, max_depth=1), operators)
    verify_plan(operators, plan)


@pytest.mark.parametrize(
    "planner", [lambda operators, other: [], partial(lambda ops, a, b: [], b=1), lambda: []]
)
def test_planner_with_other_arguments(planner):
    with pytest.raises(TypeError, match=r"planner .* requires \d arguments.*called with one"):
        call_planner(planner, [])


def test_public_module_holds_them_all():
    for name in graph_optimizer.__all__:
        assert getattr(graph_optimizer, name) is not None
    assert graph_optimizer.greedy_planner is planners.greedy_planner
    for rewrite in graph_optimizer.default_simplifications:
        assert getattr(graph_optimizer, rewrite.__name__) is rewrite


def test_groups_are_printed():
    compiled = compile_model(build_model(NETWORKS["basal ganglia"](), 0.001, None))
    text = str(compiled)
    for word in ("operators built", "SimNeurons", "DotSet", "whole", "computed ahead", "probes"):
        assert word in text, text


def test_inputs_are_taken_out():
    model = built("basal ganglia")
    program = lift_inputs(model)
    arrays = [item for item in program.inputs if item.operator is None]
    (function,) = [item for item in program.inputs if item.operator is not None]
    assert all(np.array_equal(item.node.output, item.signal.initial_value) for item in arrays)
    assert function.size == 3
    assert function.operator in model.operators
    assert function.operator not in program.operators
