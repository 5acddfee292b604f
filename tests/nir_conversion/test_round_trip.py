"""A network that was written as NIR and read again gives the same spikes."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings

import nengo_dl
from nengo_dl.synapses import Delay

nir = pytest.importorskip("nir")

from nengo_dl.nir import from_nir, to_nir  # noqa: E402
from nir_conversion.random_networks import image_networks, networks  # noqa: E402
from nir_conversion.simulate import chip_lif, record, signal  # noqa: E402
from runtime.parameter_networks import change_parameters  # noqa: E402


def assert_same(expected, found, labels):
    assert len(labels) > 1
    for label in labels:
        a, b = expected[label], found[label.replace(" ", "_")]
        if label.startswith("spikes"):
            np.testing.assert_array_equal(a > 0, b > 0, err_msg=label)
        else:
            scale = max(1, np.abs(a).max())
            np.testing.assert_allclose(a, b, atol=1e-9 * scale, rtol=0, err_msg=label)


def check(net, n_steps, **kwargs):
    """Compare a network with what becomes of it, in nengo.Simulator."""
    graph = to_nir(net, **kwargs)
    stimulus = next(node for node in net.nodes if node.label == "stimulus")
    again = from_nir(graph, inputs={"stimulus": stimulus.output})
    labels = [probe.label for probe in net.all_probes]
    assert_same(record(net, n_steps), record(again, n_steps), labels)
    return again


@settings(max_examples=25)
@given(net=networks())
def test_random_networks(net):
    check(net, 120)


@settings(max_examples=15)
@given(net=image_networks())
def test_random_images(net):
    """NIR has channels first."""
    first = next(iter(net.connections)).transform.input_shape
    stimulus = net.nodes[0].output
    graph = to_nir(net)
    again = from_nir(graph, inputs={"stimulus": lambda t: channels_first(stimulus(t), first)})
    expected = record(net, 60)
    for label, shape in net.images.items():
        expected[label] = np.array([channels_first(row, shape) for row in expected[label]])
    assert_same(expected, record(again, 60), list(expected))


def channels_first(vector, shape):
    image = np.reshape(vector, shape.shape)
    return (np.moveaxis(image, -1, 0) if shape.channels_last else image).ravel()


@settings(max_examples=6)
@given(net=networks())
def test_times_of_a_reader(net):
    """With the time constants and the time step of a reader that takes Euler's steps."""
    graph = to_nir(net, method="euler", nir_dt=1e-4)
    function = net.nodes[0].output
    again = from_nir(graph, inputs={"stimulus": lambda t: function(t * 10)})
    expected = record(net, 100)
    found = record(again, 100, dt=1e-4)
    assert_same(expected, found, [p.label for p in net.probes])


def make_network():
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(signal(2), label="stimulus")
        net.ens = nengo.Ensemble(20, 2, neuron_type=chip_lif(), label="ens")
        nengo.Connection(stimulus, net.ens, synapse=None)
        nengo.Connection(net.ens, net.ens, synapse=0.1)
        nengo.Probe(net.ens.neurons, label="spikes")
        nengo.Probe(net.ens, label="decoded", synapse=0.01)
    return net


def test_through_a_file(tmp_path):
    net, path = make_network(), tmp_path / "net.nir"
    nir.write(path, to_nir(net))
    again = from_nir(path, inputs={"stimulus": net.nodes[0].output})
    assert_same(record(net), record(again), ["spikes", "decoded"])


def test_convolutions_through_a_file(tmp_path):
    """Of which nir 1.0.8 computes wrong shapes."""
    kernel = np.random.RandomState(0).normal(size=(2, 3, 2, 4))
    transform = nengo.Convolution(4, (4, 5, 4), kernel_size=(2, 3), groups=2, init=kernel)
    with nengo.Network() as net:
        stimulus = nengo.Node(np.linspace(-1, 1, 80), label="stimulus")
        out = nengo.Node(size_in=transform.output_shape.size)
        nengo.Connection(stimulus, out, transform=transform, synapse=None)
        nengo.Probe(out, label="out")
    nir.write(tmp_path / "net.nir", to_nir(net))
    image = channels_first(stimulus.output, transform.input_shape)
    again = from_nir(tmp_path / "net.nir", inputs={"stimulus": image})
    expected = channels_first(record(net, 1)["out"][0], transform.output_shape)
    np.testing.assert_allclose(record(again, 1)["out"][0], expected)


@pytest.mark.core
def test_in_this_simulator():
    """Of a simulator the trained parameters are written; what is read is simulated too."""
    net = make_network()
    with net:
        nengo_dl.configure_settings(
            dtype="float64", trainable_attributes=["tau_rc", "tau", "amplitude"]
        )
        # multiplied by the gain as built, whatever becomes of the encoders
        weights = np.random.RandomState(0).normal(scale=0.1, size=(20, 2))
        synapse = Delay(np.linspace(0, 0.01, 20), longest=0.1)
        nengo.Connection(net.nodes[0], net.ens.neurons, transform=weights, synapse=synapse)
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        change_parameters(sim, add=0.02)
        graph = to_nir(sim)
        sim.run_steps(60)
        expected = {p.label: sim.data[p] for p in net.probes}
    (delay,) = (node.delay for node in graph.nodes.values() if isinstance(node, nir.Delay))
    np.testing.assert_allclose(delay[[0, -1]], [0.003, 0.013])  # a step for the connection
    again = from_nir(graph, inputs={"stimulus": net.nodes[0].output})
    with again:
        nengo_dl.configure_settings(dtype="float64")
    with nengo_dl.Simulator(again, progress_bar=False) as sim:
        sim.run_steps(60)
        found = {p.label: sim.data[p] for p in again.probes}
    assert_same(expected, found, ["spikes", "decoded"])
    assert np.sum(found["spikes"]) > 10


def test_voltages_that_are_kept():
    """Initial voltages other than 0, by other levels of threshold, reset and leak."""
    net = make_network()
    net.ens.neuron_type = nengo.LIF(tau_ref=0, min_voltage=-np.inf)
    check(net, 100, keep_voltages=True)
    node = to_nir(net, keep_voltages=True).nodes["ens"]
    assert np.all(node.v_threshold > node.v_reset) and np.ptp(node.v_reset) > 0
