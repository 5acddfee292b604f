"""What `to_nir` writes, and what it refuses."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import ValidationError

import nengo_dl
from nengo_dl.input_node import InputNode

nir = pytest.importorskip("nir")

from nengo_dl.nir import from_nir, to_nir  # noqa: E402
from nir_conversion.simulate import chip_lif, record, signal  # noqa: E402

RNG = np.random.RandomState(0)


def one_ensemble(neuron_type=None, size=2, n=6, bias=0.0, **kwargs):
    """A Node, neurons and a probe of these."""
    neuron_type = chip_lif() if neuron_type is None else neuron_type
    with nengo.Network(seed=0) as net:
        net.stimulus = nengo.Node(signal(size), label="stimulus")
        arguments = {"gain": np.full(n, 2.0), "bias": np.full(n, bias), **kwargs}
        with nengo.Network(label="inner"):
            net.ens = nengo.Ensemble(n, 1, neuron_type=neuron_type, label="some ens", **arguments)
        net.weights = RNG.normal(size=(n, size))
        net.conn = nengo.Connection(
            net.stimulus, net.ens.neurons, transform=net.weights, synapse=None
        )
        net.probe = nengo.Probe(net.ens.neurons, label="spikes")
    return net


def types(graph):
    return sorted(type(node).__name__ for node in graph.nodes.values())


def only(graph, kind):
    (node,) = [node for node in graph.nodes.values() if type(node) is kind]
    return node


# -- what is written -------------------------------------------------------------------------------


def test_gain_and_bias_are_in_the_weights():
    net = one_ensemble(bias=1.5)
    graph = to_nir(net)
    assert types(graph) == ["Affine", "Input", "LIF", "Output"]
    affine = only(graph, nir.Affine)
    np.testing.assert_allclose(affine.weight, 2 * net.weights)
    np.testing.assert_allclose(affine.bias, 1.5)
    lif = graph.nodes["inner_some_ens"]
    for name, value in {"tau": 0.02, "r": 1, "v_leak": 0, "v_threshold": 1, "v_reset": 0}.items():
        np.testing.assert_allclose(getattr(lif, name), np.full(6, value))


def test_the_height_of_spikes_is_in_the_weights():
    net = one_ensemble(chip_lif(amplitude=0.01))
    with net:
        out = nengo.Node(size_in=3)
        weights = RNG.normal(size=(3, 6))
        nengo.Connection(net.ens.neurons, out, transform=weights, synapse=None)
        probe = nengo.Probe(out, label="out")
    graph = to_nir(net, dt=0.002, outputs=[probe])
    second = next(n for n in graph.nodes.values() if np.shape(getattr(n, "weight", 0)) == (3, 6))
    np.testing.assert_allclose(second.weight, weights * 0.01 / 0.002)


def test_weights_of_a_convolution_are_channels_first():
    kernel = RNG.normal(size=(3, 2, 5, 4))
    with nengo.Network() as net:
        stimulus = nengo.Node(np.zeros(6 * 7 * 5), label="stimulus")
        transform = nengo.Convolution(4, (6, 7, 5), kernel_size=(3, 2), init=kernel)
        out = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(stimulus, out, transform=transform, synapse=None)
        nengo.Probe(out, label="out")
    graph = to_nir(net)
    node = only(graph, nir.Conv2d)
    assert node.weight.shape == (4, 5, 3, 2)
    np.testing.assert_array_equal(node.weight[1, 3], kernel[:, :, 3, 1])
    assert node.input_shape == (6, 7)
    np.testing.assert_array_equal(graph.nodes["stimulus"].output_type["output"], (5, 6, 7))
    np.testing.assert_array_equal(graph.nodes["out"].input_type["input"], (4, 4, 6))


def test_synapses():
    """A lowpass is an LI, an alpha two; common to all currents of neurons, part of a CubaLIF."""
    net = one_ensemble()
    net.conn.synapse = 0.005
    with net:
        nengo.Probe(net.ens.neurons, synapse=nengo.Alpha(0.01), label="filtered")
        nengo.Probe(net.ens.neurons, synapse=0.03, label="lowpass")
    graph = to_nir(net)
    assert types(graph).count("LI") == 3 and types(graph).count("CubaLIF") == 1
    neurons = only(graph, nir.CubaLIF)
    np.testing.assert_allclose([neurons.tau_syn, neurons.tau_mem], [[0.005] * 6, [0.02] * 6])
    taus = sorted(node.tau[0] for node in graph.nodes.values() if isinstance(node, nir.LI))
    np.testing.assert_allclose(taus, [0.01, 0.01, 0.03])


def test_bias_without_weights_that_could_add_it():
    """Where currents are filtered, the bias is a leak, which comes after the filter."""
    net = one_ensemble(bias=0.7)
    net.conn.synapse = 0.005
    node = only(to_nir(net), nir.CubaLIF)
    np.testing.assert_allclose(node.v_leak, 0.7)


def test_neurons_with_nothing_but_a_bias():
    with nengo.Network(seed=0) as net:
        nengo.Node([0.0], label="stimulus")
        ens = nengo.Ensemble(3, 1, neuron_type=chip_lif(), gain=np.ones(3), bias=[0.5, 1.5, 2.0])
        nengo.Probe(ens.neurons, label="spikes")
    again = from_nir(to_nir(net))
    expected = record(net)["spikes"] > 0
    np.testing.assert_array_equal(expected, record(again)["spikes"] > 0)
    assert np.all(expected.any(axis=0) == [False, True, True])


def test_constant_nodes():
    net = one_ensemble()
    with net:
        offset = nengo.Node([0.5, -0.5], label="offset")
        weights = RNG.normal(size=(6, 2))
        nengo.Connection(offset, net.ens.neurons, transform=weights, synapse=None)
    assert sorted(to_nir(net).inputs) == ["offset", "stimulus"]
    graph = to_nir(net, inputs=[net.stimulus])
    assert list(graph.inputs) == ["stimulus"]
    np.testing.assert_allclose(only(graph, nir.Affine).bias, 2 * weights @ [0.5, -0.5])
    with pytest.raises(ValidationError, match="stimulus.*not among the inputs"):
        to_nir(net, inputs=[offset])


def test_input_nodes_of_parts():
    """Nothing is connected to it, so it is an input."""
    net = one_ensemble()
    with net:
        part = InputNode(2, label="part")
        nengo.Connection(part, net.ens.neurons, transform=net.weights, synapse=None)
    assert sorted(to_nir(net).inputs) == ["part", "stimulus"]
    with net:
        nengo.Connection(net.stimulus, part, synapse=None)
    assert sorted(to_nir(net).inputs) == ["stimulus"]


def test_passthrough_nodes_become_edges():
    net = one_ensemble()
    with net:
        relay = nengo.Node(size_in=6)
        nengo.Connection(net.stimulus, relay, transform=np.ones((6, 2)), synapse=None)
        nengo.Connection(relay, net.ens.neurons, synapse=None)
    graph = to_nir(net)
    assert types(graph) == ["Input", "LIF", "Linear", "Linear", "Output"]
    assert len([edge for edge in graph.edges if edge[1] == "inner_some_ens"]) == 2


def test_a_loop_of_one_step_is_an_edge():
    net = one_ensemble()
    one_step = nengo.LinearFilter([1], [1, 0], analog=False)
    with net:
        weights = 0.001 * RNG.normal(size=(6, 6))
        nengo.Connection(net.ens.neurons, net.ens.neurons, transform=weights, synapse=one_step)
    graph = to_nir(net)
    assert types(graph) == ["Input", "LIF", "Linear", "Linear", "Output"]
    again = from_nir(graph, inputs={"stimulus": net.stimulus.output})
    a, b = record(net)["spikes"], record(again)["spikes"]
    np.testing.assert_array_equal(a > 0, b > 0)


def test_times_of_euler():
    """A step of Euler's method with the written time constant is Nengo's exact step."""
    tau = only(to_nir(one_ensemble(), method="euler", nir_dt=1e-4), nir.LIF).tau[0]
    np.testing.assert_allclose(1 - 1e-4 / tau, np.exp(-0.001 / 0.02))
    with pytest.raises(ValidationError, match="expected one of exact, euler, got 'heun'"):
        to_nir(one_ensemble(), method="heun")


def test_type_of_arrays():
    graph = to_nir(one_ensemble(), dtype="float32")
    for node in graph.nodes.values():
        for value in vars(node).values():
            assert not isinstance(value, np.ndarray) or value.dtype == np.float32


# -- what is refused -------------------------------------------------------------------------------

REFUSED = {
    "refractory period, tau_ref=0.002": chip_lif(tau_ref=0.002),
    "floor, min_voltage=0": chip_lif(min_voltage=0),
    "start with voltages that are not 0": nengo.LIF(tau_ref=0, min_voltage=-np.inf),
    "subtract the threshold": nengo.SpikingRectifiedLinear(
        initial_state={"voltage": nengo.dists.Choice([0])}
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_can_be_approximated(why):
    net = one_ensemble(REFUSED[why], bias=1.5)
    with pytest.raises(ValidationError, match=f"some ens.*{why}.*strict=False"):
        to_nir(net)
    with pytest.warns(UserWarning, match=f"some ens.*{why}"):
        graph = to_nir(net, strict=False)
    assert isinstance(graph.nodes["inner_some_ens"], (nir.LIF, nir.IF))


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIFRate(),
        nengo.AdaptiveLIF(),
        nengo.Izhikevich(),
        nengo.PoissonSpiking(nengo.LIFRate()),
    ],
    ids=lambda n: type(n).__name__,
)
def test_other_neurons(neuron_type):
    net = one_ensemble(neuron_type)
    name = type(neuron_type).__name__
    with pytest.raises(ValidationError, match=f"some ens.*no node for neurons of type {name}"):
        to_nir(net, strict=False)


def test_learning_rules():
    net = one_ensemble()
    with net:
        out = nengo.Node(size_in=1)
        conn = nengo.Connection(
            net.ens, out, learning_rule_type=nengo.PES(), synapse=None, label="learned"
        )
        nengo.Connection(out, conn.learning_rule)
        nengo.Probe(out)
    with pytest.raises(ValidationError, match="learned.*no learning rules"):
        to_nir(net)


def test_functions_in_nodes():
    net = one_ensemble()
    with net:
        square = nengo.Node(lambda t, x: x**2, size_in=6, label="square")
        nengo.Connection(net.ens.neurons, square)
        out = nengo.Node(size_in=6)
        nengo.Connection(square, out, synapse=None)
        nengo.Probe(out, label="out")
    with pytest.raises(ValidationError, match="square.*computes a function"):
        to_nir(net)
    with pytest.warns(UserWarning, match="square.*computes a function"):
        graph = to_nir(net, strict=False)
    assert sorted(graph.inputs) == ["square", "stimulus"]
    assert sorted(graph.outputs) == ["into_square", "out", "spikes"]


def test_functions_of_nodes_on_connections():
    net = one_ensemble()
    with net:
        nengo.Connection(net.stimulus, net.ens, function=lambda x: x[0] * x[1], label="product")
    with pytest.raises(ValidationError, match="product.*computes a function"):
        to_nir(net)


def test_tensor_node():
    net = one_ensemble()
    with net:
        node = nengo_dl.TensorNode(lambda x: x, shape_in=(6,), pass_time=False, label="keras")
        nengo.Connection(net.ens.neurons, node)
    with pytest.raises(ValidationError, match="keras.*is a TensorNode"):
        to_nir(net)


@pytest.mark.parametrize(
    "synapse", [nengo.synapses.Triangle(0.01), nengo.LinearFilter([1, 0], [0.01, 1])]
)
def test_other_synapses(synapse):
    net = one_ensemble()
    net.conn.synapse = synapse
    with pytest.raises(ValidationError, match="its synapse.*neither a lowpass"):
        to_nir(net)


def test_other_transforms_and_shapes():
    transform = nengo.ConvolutionTranspose(2, (3, 3, 2), init=np.ones((3, 3, 2, 2)))
    with nengo.Network() as net:
        stimulus = nengo.Node(np.zeros(18), label="stimulus")
        out = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(stimulus, out, transform=transform, label="transposed")
        nengo.Probe(out)
    with pytest.raises(ValidationError, match="transposed.*ConvolutionTranspose"):
        to_nir(net)
    with nengo.Network() as net:
        stimulus = nengo.Node(np.zeros(5), label="stimulus")
        image = nengo.Node(size_in=9, label="image")
        nengo.Connection(stimulus, image, transform=np.ones((9, 5)), synapse=None, label="dense")
        for _ in range(2):
            convolution = nengo.Convolution(1, (3, 3, 1), (2, 2), init=np.ones((2, 2, 1, 1)))
            out = nengo.Node(size_in=4)
            nengo.Connection(image, out, transform=convolution, synapse=None)
            nengo.Probe(out)
    with pytest.raises(ValidationError, match="NIR cannot reshape"):
        to_nir(net)


def test_arguments():
    with pytest.raises(ValidationError, match="expected a nengo.Network or a simulator"):
        to_nir([1, 2])
    net = one_ensemble()
    with nengo.Simulator(net, dt=0.002, progress_bar=False) as sim:
        with pytest.raises(ValidationError, match="dt=0.001 was given.*dt=0.002"):
            to_nir(sim, dt=0.001)
        assert to_nir(sim).metadata["nengo_dl"]["dt"] == 0.002
    net.probes.clear()
    with pytest.raises(ValidationError, match="no Probe"):
        to_nir(net)
    with net:
        nengo.Probe(net.ens.neurons, "voltage", label="voltage")
    with pytest.raises(ValidationError, match="'voltage'.*not an output"):
        to_nir(net)
