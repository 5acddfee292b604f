"""What `from_nir` makes of graphs, and which it refuses."""

import numpy as np
import pytest
from nengo.exceptions import ValidationError

nir = pytest.importorskip("nir")

from nengo_dl.nir import from_nir  # noqa: E402
from nir_conversion.simulate import neuron, record, rows, signal  # noqa: E402

RNG = np.random.RandomState(0)


def graph_of(nodes, edges, size_in=2, size_out=2):
    ends = {
        "input": nir.Input(input_type={"input": np.atleast_1d(size_in)}),
        "output": nir.Output(output_type={"output": np.atleast_1d(size_out)}),
    }
    return nir.NIRGraph(nodes={**ends, **nodes}, edges=edges, type_check=False)


def lif(n, tau=0.01, **kwargs):
    values = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **kwargs}
    return nir.LIF(**{name: np.full(n, float(value)) for name, value in values.items()})


def recurrent(weights, recurrent_weights, bias):
    nodes = {
        "w": nir.Linear(weight=weights),
        "lif": lif(2),
        "w_rec": nir.Affine(weight=recurrent_weights, bias=bias),
    }
    edges = [("input", "w"), ("w", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    return graph_of(nodes, edges)


def test_a_loop_passes_on_what_was_there_a_step_before():
    weights, again, bias = RNG.normal(size=(2, 2)) * 3, RNG.normal(size=(2, 2)) * 5, [0.3, 0.6]
    x = signal(2)
    net = from_nir(recurrent(weights, again, np.array(bias)), inputs={"input": x})
    result = record(net)["output"]
    v, spikes, expected = np.zeros(2), np.zeros(2), []
    decay = np.exp(-0.001 / 0.01)
    for row in rows(x):
        current = weights @ row + again @ spikes + bias
        v = current + (v - current) * decay
        spikes = (v > 1).astype(float)
        v = np.where(spikes, 0, v)
        expected.append(spikes)
    np.testing.assert_array_equal(result, expected)
    assert 5 < np.sum(expected) < 195
    assert [ens.label for ens in net.all_ensembles] == ["lif"]


def test_a_recurrent_graph_inside_a_graph():
    """As snnTorch writes RLeaky, by name of the inner graph."""
    x, weights = signal(2), RNG.normal(size=(2, 2)) * 5
    outer = graph_of(
        {"scale": nir.Scale(scale=np.array([1.5, 2.0])), "rnn": recurrent(np.eye(2), weights, 0.1)},
        [("input", "scale"), ("scale", "rnn"), ("rnn", "output")],
    )
    flat = recurrent(np.diag([1.5, 2.0]), weights, 0.1)
    result = [record(from_nir(g, inputs={"input": x}))["output"] for g in (outer, flat)]
    np.testing.assert_array_equal(*result)
    assert np.sum(result[0]) > 5


def test_time_constants_of_euler():
    x = signal(3, scale=3)
    graph = graph_of(
        {"lif": lif(3, tau=0.004)}, [("input", "lif"), ("lif", "output")], size_in=3, size_out=3
    )
    net = from_nir(graph, method="euler", inputs={"input": x})
    expected = neuron(rows(x), None, decay=1 - 0.001 / 0.004)
    np.testing.assert_array_equal(record(net)["output"], expected)
    with pytest.raises(ValidationError, match="'lif' has a time constant of 0.004.*the time step"):
        from_nir(graph, method="euler", dt=0.01)


def test_neurons_of_different_time_constants():
    tau = np.array([0.01, 0.02, 0.01, 0.03])
    node = lif(4)
    node.tau = tau
    x = signal(4, scale=2)
    graph = graph_of({"lif": node}, [("input", "lif"), ("lif", "output")], 4, 4)
    net = from_nir(graph, inputs={"input": x})
    assert [ens.n_neurons for ens in net.ensembles_of["lif"]] == [2, 1, 1]
    np.testing.assert_array_equal(record(net)["output"], neuron(rows(x), tau))


@pytest.mark.parametrize("start, level", [("zero", 0), ("v_reset", -0.5), ("v_leak", 0.2)])
def test_voltages_at_the_start(start, level):
    x = signal(2, scale=2)
    arguments = {"v_reset": -0.5, "v_leak": 0.2}
    graph = graph_of({"lif": lif(2, **arguments)}, [("input", "lif"), ("lif", "output")])
    net = from_nir(graph, inputs={"input": x}, start=start)
    expected = neuron(rows(x), 0.01, start=level, **arguments)
    np.testing.assert_array_equal(record(net)["output"], expected)


def test_parameters_without_a_shape():
    """One number stands for all neurons, as snnTorch and Norse write them."""
    graph = graph_of(
        {"w": nir.Linear(weight=2 * np.eye(2)), "lif": lif(())},
        [("input", "w"), ("w", "lif"), ("lif", "output")],
    )
    x = signal(2)
    net = from_nir(graph, inputs={"input": x})
    np.testing.assert_array_equal(record(net)["output"], neuron(2 * rows(x), 0.01))


def test_several_matrices_in_one_node():
    weight = RNG.normal(size=(2, 3, 4)) * 3
    graph = graph_of(
        {"w": nir.Linear(weight=weight), "lif": lif((2, 3))},
        [("input", "w"), ("w", "lif"), ("lif", "output")],
        (2, 4),
        (2, 3),
    )
    x = signal(8)
    net = from_nir(graph, inputs={"input": x})
    currents = np.einsum("boi,tbi->tbo", weight, rows(x).reshape(-1, 2, 4)).reshape(-1, 6)
    np.testing.assert_array_equal(record(net)["output"], neuron(currents, 0.01))


def test_connections_are_direct():
    """Weights between neurons need no Nodes, and biases are the ensembles'."""
    graph = graph_of(
        {
            "a": nir.Affine(weight=np.ones((3, 2)), bias=np.array([0.1, 0.2, 0.3])),
            "lif": lif(3),
            "b": nir.Linear(weight=np.ones((2, 3))),
            "lif2": lif(2),
        },
        [("input", "a"), ("a", "lif"), ("lif", "b"), ("b", "lif2"), ("lif2", "output")],
    )
    net = from_nir(graph)
    assert [node.label for node in net.all_nodes] == ["input", "output"]
    assert len(net.all_connections) == 3
    first = net.ensembles_of["lif"][0]
    np.testing.assert_allclose(first.bias, [0.1, 0.2, 0.3])


def test_errors():
    simple = [("input", "lif"), ("lif", "output")]
    with pytest.raises(
        ValidationError, match="'input' gives an array of shape.*'w'|weights of 'w'"
    ):
        from_nir(graph_of({"w": nir.Linear(weight=np.ones((2, 3)))}, [("input", "w")], 2, 2))
    with pytest.raises(ValidationError, match="names 'nothing', which the graph has not"):
        from_nir(graph_of({}, [("input", "nothing")]))
    with pytest.raises(ValidationError, match="v_threshold is not above"):
        from_nir(graph_of({"lif": lif(2, v_reset=1.0)}, simple))
    with pytest.raises(ValidationError, match="no Input 'image'; it has input"):
        from_nir(graph_of({"lif": lif(2)}, simple), inputs={"image": [1, 2]})
    with pytest.raises(ValidationError, match="'input' has 3 elements"):
        from_nir(graph_of({"lif": lif(2)}, simple), inputs={"input": [1, 2, 3]})
    with pytest.raises(ValidationError, match="zero, v_reset, v_leak, got 'random'"):
        from_nir(graph_of({"lif": lif(2)}, simple), start="random")
    with pytest.raises(ValidationError, match="of 'lif' has shape .3,., but its input"):
        from_nir(graph_of({"lif": lif(3)}, simple))
