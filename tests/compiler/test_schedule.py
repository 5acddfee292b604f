"""What is computed once, in which stage, and between which calls of Python."""

from dataclasses import replace

import nengo
import numpy as np
import pytest

import nengo_dl
import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from nengo_dl.compiler import distribute as distribution
from nengo_dl.compiler.compile import Options, compile_model
from nengo_dl.compiler.cut import cut_at_host_calls
from nengo_dl.compiler.dataflow import Dataflow
from nengo_dl.compiler.distribute import distribute
from nengo_dl.compiler.frontend import build_model
from nengo_dl.compiler.hoist import hoist
from nengo_dl.compiler.verify import (
    VerificationError,
    verify_pieces,
    verify_schedule,
    verify_stages,
)


def compiled(network, **options):
    return compile_model(build_model(network, 0.001, None), Options(**options))


def layers():
    """A constant input, one with data, a feed-forward layer, and a recurrent one."""
    with nengo.Network(seed=0) as net:
        constant, node = nengo.Node([0.5]), nengo.Node(np.zeros(40))
        a = nengo.Ensemble(30, 1, neuron_type=nengo.Sigmoid())
        b = nengo.Ensemble(20, 1)
        nengo.Connection(constant, a, synapse=None)
        nengo.Connection(node, a.neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(a.neurons, b.neurons, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(b, b, synapse=0.02)
        nengo.Probe(b)
    return net


def calls():
    """Two Python Nodes, of which one reads the other."""
    with nengo.Network(seed=0) as net:
        first, second = (nengo.Node(lambda t, x: x, size_in=1) for _ in range(2))
        ensemble = nengo.Ensemble(20, 1)
        nengo.Connection(first, ensemble)
        nengo.Connection(first, second, synapse=None)
        nengo.Connection(ensemble, first)
        nengo.Probe(second, synapse=0.01)
    return net


def schedule_of(network, which=lambda item: True):
    layout = compiled(network).layout
    return hoist(Dataflow(layout), [item for item in layout.inputs if which(item)])


def test_what_does_not_change_is_computed_once():
    all_change = schedule_of(layers())
    one_changes = schedule_of(layers(), lambda item: item.size == 40)
    none_changes = schedule_of(layers(), lambda item: False)
    for schedule in (all_change, one_changes, none_changes):
        verify_schedule(schedule)
    n_before = [len(s.before) for s in (all_change, one_changes, none_changes)]
    assert n_before[0] < n_before[1] < n_before[2]
    assert [item.size for item in one_changes.fixed] == [1]
    # the weights of each product that stays in the loop
    layout = one_changes.flow.layout
    products = [n for n in one_changes.loop if len(layout.instructions[n].operands) == 2]
    assert {(n, 0) for n in products} & one_changes.operands


def test_parts_come_after_what_they_read():
    flow = schedule_of(layers()).flow
    numbers = range(len(flow.reads))
    parts = flow.parts(numbers)
    assert sorted(n for part in parts for n in part.numbers) == list(numbers)
    assert sorted(k for part in parts for k in part.states) == list(range(len(flow.states)))
    assert all(place < k for k, part in enumerate(parts) for place in part.after)
    made = frozenset()
    of_step = flow.made_by(numbers, range(len(flow.states)))
    for part in parts:
        made |= flow.made_by(part.numbers, part.states)
        assert flow.read_by(part.numbers, part.states) & of_step <= made
    assert max(len(part.numbers) for part in parts) > 1  # the recurrent ensemble


def test_what_depends_on_tensors_and_what_they_depend_on():
    flow = schedule_of(layers()).flow
    start, every = frozenset(flow.layout.inputs.values()), lambda number: True
    start = frozenset(tensor.index for tensor in start)
    (output,) = flow.output_reads
    assert flow.reached(start, every) & output
    assert flow.reached(output, every, backwards=True) >= start
    assert not flow.reached(start, lambda number: False) & output


def test_stages(monkeypatch):
    monkeypatch.setattr(distribution, "HEAVY", 1)
    schedule = schedule_of(layers())
    stages = distribute(schedule, 4)
    verify_stages(schedule, stages)
    assert [stage.in_loop for stage in stages] == [False, True]
    monkeypatch.setattr(distribution, "HEAVY", 10**9)
    (stage,) = distribute(schedule, 4)
    assert stage.numbers == schedule.loop


def through_synapses():
    """Two layers with a synapse between them, and filters of the activities of both."""
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.zeros(4))
        a, b = (nengo.Ensemble(n, 1).neurons for n in (30, 20))
        nengo.Connection(node, a, transform=nengo_dl.dists.He(), synapse=None)
        nengo.Connection(a, b, transform=nengo_dl.dists.He(), synapse=0.01)
        for neurons in (a, b):
            nengo.Probe(neurons, synapse=0.1)
    return net


def test_layers_with_synapses_in_stages_of_their_own():
    """Of one width each, where every loop is to be a kernel; planned together they are one loop."""
    layout = compiled(through_synapses()).layout
    schedule = hoist(Dataflow(layout), list(layout.inputs))
    assert sum(stage.in_loop for stage in distribute(schedule, 4, kernels=True)) == 1
    layout = compiled(through_synapses(), separate_stages=True).layout
    schedule = hoist(Dataflow(layout), list(layout.inputs))
    stages = distribute(schedule, 4, kernels=True)
    verify_stages(schedule, stages)
    widths = [
        {t.width for n in stage.numbers for t in layout.instructions[n].results} | {1}
        for stage in stages
        if stage.in_loop
    ]
    assert widths == [{1, 30}, {1, 20}]
    assert sum(not stage.in_loop for stage in stages) == 2


def test_pieces():
    schedule = schedule_of(calls())
    pieces = cut_at_host_calls(schedule)
    verify_pieces(schedule, pieces)
    assert [len(piece.calls) for piece in pieces] == [1, 1, 0]
    (piece,) = cut_at_host_calls(schedule_of(layers()))
    assert not piece.calls
    assert not piece.passed


def test_broken_plans_are_found(monkeypatch):
    monkeypatch.setattr(distribution, "HEAVY", 1)
    schedule = schedule_of(layers())
    with pytest.raises(VerificationError, match="in no part"):
        verify_schedule(replace(schedule, loop=schedule.loop[1:]))
    with pytest.raises(VerificationError, match="not there in the loop"):
        verify_schedule(replace(schedule, loop=schedule.loop[::-1]))
    with pytest.raises(VerificationError, match="not there in the loop"):
        verify_schedule(replace(schedule, operands=frozenset()))
    stages = distribute(schedule, 4)
    with pytest.raises(VerificationError, match="in no stage"):
        verify_stages(schedule, stages[1:])
    with pytest.raises(VerificationError, match="a later one makes"):
        verify_stages(schedule, stages[::-1])
    schedule = schedule_of(calls())
    pieces = cut_at_host_calls(schedule)
    with pytest.raises(VerificationError, match="in no piece"):
        verify_pieces(schedule, pieces[1:])
    with pytest.raises(VerificationError, match="not passed"):
        verify_pieces(schedule, [replace(piece, passed=frozenset()) for piece in pieces[::-1]])


def test_the_plan_is_printed(monkeypatch):
    monkeypatch.setattr(distribution, "HEAVY", 1)
    text = str(compiled(layers(), minibatch_size=4))
    for words in ("  at once, 1  ", "  loop, 2  ", "[whole]"):
        assert words in text
    text = str(compiled(calls()))
    for words in ("  piece 1  ", "  call 1  ", "  call 2  "):
        assert words in text
