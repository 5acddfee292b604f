"""Convolutions: Nengo's numbers for each geometry; in three dimensions a sum over windows."""

import itertools

import nengo
import numpy as np
import pytest

import nengo_dl
from oracle import assert_matches_nengo

# (spatial shape, kernel, strides)
GEOMETRIES = [
    ((7,), (3,), (1,)),
    ((8,), (4,), (3,)),
    ((5,), (2,), (4,)),
    ((5, 6), (3, 3), (1, 1)),
    ((6, 5), (2, 4), (2, 3)),
    ((7, 7), (3, 2), (2, 2)),
    ((4, 4), (1, 1), (3, 3)),
]


def network_of(*transforms):
    with nengo.Network(seed=0) as net:
        for transform in transforms:
            size = transform.size_in
            node = nengo.Node(lambda t, n=size: np.sin(np.arange(n) + 100 * t), size_out=size)
            out = nengo.Node(size_in=transform.size_out)
            nengo.Connection(node, out, transform=transform, synapse=None)
            nengo.Probe(out)
    return net


def shape_of(spatial, channels, channels_last):
    return (*spatial, channels) if channels_last else (channels, *spatial)


@pytest.mark.core
@pytest.mark.parametrize("minibatch_size", [None, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(groups, minibatch_size):
    transforms = [
        nengo.Convolution(
            6,
            shape_of(spatial, 4, channels_last),
            kernel_size=kernel,
            strides=strides,
            padding=padding,
            channels_last=channels_last,
            groups=groups,
        )
        for (spatial, kernel, strides), padding, channels_last in itertools.product(
            GEOMETRIES, ("same", "valid"), (True, False)
        )
    ]
    assert_matches_nengo(network_of(*transforms), n_steps=5, minibatch_size=minibatch_size)


def transposes():
    for (spatial, kernel, strides), padding, channels_last in itertools.product(
        GEOMETRIES, ("same", "valid"), (True, False)
    ):
        forward = nengo.Convolution(
            3, (*spatial, 2), kernel_size=kernel, strides=strides, padding=padding
        )
        small = forward.output_shape.spatial_shape
        for output in (None, shape_of(spatial, 2, channels_last)):
            yield nengo.ConvolutionTranspose(
                2,
                shape_of(small, 3, channels_last),
                output_shape=output,
                kernel_size=kernel,
                strides=strides,
                padding=padding,
                channels_last=channels_last,
            )


@pytest.mark.core
def test_transposed_convolution():
    assert_matches_nengo(network_of(*transposes()), n_steps=5)


@pytest.fixture
def without_trial_steps():
    """Nengo's builder does not try the step of each operator."""
    before = nengo.rc.get("nengo.Simulator", "fail_fast")
    nengo.rc.set("nengo.Simulator", "fail_fast", "False")
    yield
    nengo.rc.set("nengo.Simulator", "fail_fast", before)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_three_dimensions(padding, without_trial_steps):
    """Nengo's own simulator stops at two."""
    shape, kernel, strides = (4, 5, 6), (2, 3, 3), (1, 2, 1)
    transform = nengo.Convolution(
        3, (*shape, 2), kernel_size=kernel, strides=strides, padding=padding
    )
    net = network_of(transform)
    with net:
        nengo_dl.configure_settings(dtype="float64")
    with nengo_dl.Simulator(net) as sim:
        sim.run_steps(3)
        weights = sim.data[net.connections[0]].weights
        result = sim.data[net.probes[0]][-1].reshape(transform.output_shape.shape)
    image = np.sin(np.arange(transform.size_in) + 0.3).reshape(*shape, 2)
    totals = [
        max((n - 1) * s + k - size, 0)
        for n, s, k, size in zip(result.shape, strides, kernel, shape, strict=False)
    ]
    pads = [(total // 2, total - total // 2) for total in totals]
    image = np.pad(image, [*pads, (0, 0)] if padding == "same" else [(0, 0)] * 4)
    expected = np.zeros(result.shape)
    for place in np.ndindex(*result.shape[:3]):
        window = tuple(
            slice(i * s, i * s + k) for i, s, k in zip(place, strides, kernel, strict=True)
        )
        expected[place] = np.tensordot(image[window], weights, 4)
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_on_neurons_with_a_gradient_for_each_weight():
    transform = nengo.Convolution(2, (6, 6, 1), kernel_size=(3, 3))
    with nengo.Network(seed=0) as net:
        node = nengo.Node(np.ones(36))
        ens = nengo.Ensemble(transform.size_out, 1, neuron_type=nengo.RectifiedLinear())
        conn = nengo.Connection(node, ens.neurons, transform=transform, synapse=None)
        probe = nengo.Probe(ens.neurons)
    with nengo_dl.Simulator(net, minibatch_size=1) as sim:
        sim.compile("sgd", loss="mse")
        before = sim.data[conn].weights.copy()
        target = np.full((1, 1, probe.size_in), 500.0)
        sim.fit({node: np.ones((1, 1, 36))}, {probe: target}, verbose=0)
        after = sim.data[conn].weights
    assert after.shape == before.shape == (3, 3, 1, 2)
    assert np.all(after != before)
