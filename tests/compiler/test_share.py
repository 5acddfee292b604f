"""One vector, several matrices: read once."""

import nengo
import numpy as np
import pytest
from nengo.builder.operator import DotInc
from nengo.builder.signal import Signal

import nengo_dl
import nengo_dl.lowering  # enters the kernels
from nengo_dl.compiler.share import multiplicity, separate_shared
from oracle import assert_matches_nengo


def product(x):
    return DotInc(Signal(np.ones((2, 3)), readonly=True), x, Signal(np.zeros(2)))


def test_groups_have_one_multiplicity():
    a, b, c = (Signal(np.zeros(3), name=name) for name in "abc")
    group = tuple(product(x) for x in (a, b, a, c, b))
    parts = separate_shared([group])
    assert sorted([op.X.name for op in part] for part in parts) == [["a", "b", "a", "b"], ["c"]]


def test_multiplicity():
    base = Signal(np.zeros(6), name="base")
    a, again, b = base[:3], base[:3], base[3:]
    assert multiplicity([a, again, b, b]) == 2
    assert multiplicity([a, b]) == 1
    assert multiplicity([a, b, a, b]) == 1  # not in a row
    assert multiplicity([a, a, b]) == 1
    assert multiplicity([a, a, b, b, a, a]) == 1


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 2])
def test_ensembles_with_different_numbers_of_connections(minibatch_size):
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: [np.sin(20 * t), np.cos(20 * t)])
        for n in (1, 2, 3, 3, 2):
            ensemble = nengo.Ensemble(12, 2)
            nengo.Connection(stimulus, ensemble)
            for i in range(n):
                out = nengo.Node(size_in=2)
                nengo.Connection(ensemble, out, function=lambda x, i=i: x**i)
                nengo.Probe(out, synapse=0.01)
            learned = nengo.Connection(ensemble, out, learning_rule_type=nengo.PES(1e-3))
            nengo.Connection(out, learned.learning_rule)
    assert_matches_nengo(net, n_steps=40, minibatch_size=minibatch_size)
    with nengo_dl.Simulator(net) as sim:
        rows = [line.split() for line in str(sim.program).splitlines()]
    # 1, 2 + 2, 3 + 3 constant decoders, and 5 that learn
    assert sorted(int(r[1]) for r in rows if r[2:3] == ["DotSet"]) == [1, 4, 5, 6]
