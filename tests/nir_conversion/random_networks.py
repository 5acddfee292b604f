"""Random networks of which NIR can express everything."""

import nengo
import numpy as np
from hypothesis import strategies as st

from nengo_dl.input_node import ConstantNode
from nengo_dl.synapses import Delay
from nir_conversion.simulate import chip_lif, signal

SYNAPSES = (
    None,
    nengo.Lowpass(0.005),
    nengo.Lowpass(0.02),
    nengo.Alpha(0.01),
    Delay(0.003, then=nengo.Lowpass(0.005)),
)
FILTERS = (
    *SYNAPSES[1:],
    nengo.LinearFilter([3.0], [0.001, 0.11, 1.0]),
    nengo.LinearFilter([1], [1, 0, 0], analog=False),
    Delay(0.002),
)
OF_TWO = (*SYNAPSES, Delay([0.001, 0.004]), Delay([0.0, 0.003], then=nengo.Alpha(0.01)))


@st.composite
def networks(draw):
    """A network whose probes are called "spikes ..." where they record spikes."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        size = draw(st.integers(1, 4))
        stimulus = nengo.Node(signal(size, seed), label="stimulus")
        ensembles = [draw_ensemble(draw, rng, i) for i in range(draw(st.integers(1, 3)))]
        places = [stimulus]
        for ens in ensembles:
            for pre in draw(st.lists(st.sampled_from(places), min_size=1, unique=True)):
                draw_connection(draw, rng, pre, ens)
            places.append(ens)
        for _ in range(draw(st.integers(0, 2))):  # loops, which need a synapse
            pre, post = draw(st.sampled_from(ensembles)), draw(st.sampled_from(ensembles))
            draw_connection(draw, rng, pre, post, FILTERS)
        if draw(st.booleans()):
            constant = ConstantNode(rng.uniform(-1, 1, 2), label="constant")
            nengo.Connection(
                constant, ensembles[-1], transform=rng.normal(size=(1, 2)), synapse=None
            )
        out = nengo.Node(size_in=2, label="out")
        for pre in draw(st.lists(st.sampled_from(places), min_size=1, unique=True)):
            weights = rng.normal(size=(2, pre.size_out))
            nengo.Connection(pre, out, transform=weights, synapse=draw(st.sampled_from(SYNAPSES)))
        if draw(st.booleans()):
            nengo.Connection(out, ensembles[0], transform=[[1, -1]], synapse=0.01)
        for ens in ensembles:
            nengo.Probe(ens.neurons, label=f"spikes {ens.label}")
        nengo.Probe(out, label="out", synapse=draw(st.sampled_from(OF_TWO)))
        nengo.Probe(ensembles[-1], label="decoded", synapse=0.01)
    return net


def draw_ensemble(draw, rng, i):
    n = draw(st.integers(4, 9))
    tau_rc = draw(st.sampled_from([0.005, 0.02, 0.1]))
    ens = nengo.Ensemble(
        n,
        1,
        neuron_type=chip_lif(tau_rc=tau_rc, amplitude=draw(st.sampled_from([1, 0.01]))),
        max_rates=nengo.dists.Uniform(100, 200),
        intercepts=nengo.dists.Uniform(-0.9, 0.5),
        radius=draw(st.sampled_from([1, 2.0])),
        label=f"ens{i}",
    )
    return ens


def draw_connection(draw, rng, pre, post, synapses=SYNAPSES):
    """Between what they represent, or between neurons."""
    synapse = draw(st.sampled_from(synapses))
    kind = draw(st.sampled_from(["values", "function", "neurons", "part", "relay", "sparse"]))
    source = pre.neurons if isinstance(pre, nengo.Ensemble) else pre
    height = 1.0 if source is pre else 0.005 / pre.neuron_type.amplitude
    weights = height * rng.normal(size=(post.n_neurons, source.size_out))
    if kind in ("values", "function"):
        function = (lambda x: x**2) if kind == "function" and source is not pre else None
        nengo.Connection(pre[0], post, function=function, synapse=synapse)
    elif kind == "neurons":
        nengo.Connection(source, post.neurons, transform=weights, synapse=synapse)
    elif kind == "part":
        half = slice(None, None, 2)
        n = len(range(source.size_out)[half])
        nengo.Connection(
            source[half], post.neurons[[1, 0]], transform=weights[:2, :n], synapse=synapse
        )
    elif kind == "sparse":
        places = [(i, i % source.size_out) for i in range(post.n_neurons)]
        sparse = nengo.Sparse(weights.shape, indices=places, init=weights[:, 0])
        nengo.Connection(source, post.neurons, transform=sparse, synapse=synapse)
    else:
        relay = nengo.Node(size_in=2)
        nengo.Connection(source, relay, transform=weights[:2], synapse=synapse)
        onward = rng.normal(size=(post.n_neurons, 2))
        nengo.Connection(relay, post.neurons, transform=onward, synapse=None)
        nengo.Connection(relay[1], post.neurons[0], synapse=None)


@st.composite
def image_networks(draw):
    """Convolutions, pools and dense layers, with channels first or last."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.RandomState(seed)
    last = draw(st.booleans())
    n_dims = draw(st.integers(1, 2))
    shape = nengo.transforms.ChannelShape.from_space_and_channels(
        tuple(draw(st.integers(4, 6)) for _ in range(n_dims)), draw(st.integers(1, 2)), last
    )
    with nengo.Network(seed=seed) as net:
        net.images = {}  # shapes by label
        pre = nengo.Node(signal(shape.size, seed), label="stimulus")
        for i in range(draw(st.integers(1, 2))):
            filters = draw(st.sampled_from([2, 4]))
            kernel = (draw(st.integers(1, 3)),) * n_dims
            groups = 2 if draw(st.booleans()) and shape.n_channels % 2 == 0 else 1
            convolution = nengo.Convolution(
                filters,
                shape,
                kernel_size=kernel,
                strides=(draw(st.integers(1, 2)),) * n_dims,
                padding=draw(st.sampled_from(["same", "valid"])),
                channels_last=last,
                groups=groups,
                init=rng.normal(size=(*kernel, shape.n_channels // groups, filters)),
            )
            shape = convolution.output_shape
            ens = neurons_of(draw, rng, shape, f"ens{i}")
            synapse = draw(st.sampled_from(SYNAPSES[:2]))
            nengo.Connection(pre, ens.neurons, transform=convolution, synapse=synapse)
            nengo.Probe(ens.neurons, label=f"spikes {ens.label}")
            net.images[f"spikes {ens.label}"] = shape
            pre = ens.neurons
            if min(shape.spatial_shape) < 3:
                break
        out = nengo.Node(size_in=3, label="out")
        nengo.Connection(pre, out, transform=rng.normal(size=(3, shape.size)), synapse=0.01)
        nengo.Probe(out, label="out")
    return net


def neurons_of(draw, rng, shape, label):
    """Ensembles for an image, whose biases are the same in each channel, or not."""
    bias = rng.uniform(0.5, 1.5, shape.size)
    if draw(st.booleans()):
        grid = np.zeros(shape.shape)
        per_channel = rng.uniform(0.5, 1.5, shape.n_channels)
        bias = (
            grid + (per_channel if shape.channels_last else _columns(per_channel, grid))
        ).ravel()
    return nengo.Ensemble(
        shape.size,
        1,
        neuron_type=chip_lif(amplitude=0.01),
        gain=nengo.dists.Choice([1.0]),
        bias=bias,
        label=label,
    )


def _columns(values, grid):
    return np.reshape(values, (-1, *[1] * (grid.ndim - 1)))
