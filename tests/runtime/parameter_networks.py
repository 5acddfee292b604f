"""A network with every kind of connection, and changes of all its parameters."""

import nengo
import numpy as np

import nengo_dl

N_STEPS = 40
POINTS = np.random.RandomState(0).uniform(-1, 1, (40, 2))


def mixed(seed=0, neuron_type=None, dtype="float64", **settings):
    neuron_type = nengo.LIF() if neuron_type is None else neuron_type
    uniform = nengo.dists.Uniform
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype=dtype, **settings)
        net.config[nengo.Ensemble].neuron_type = neuron_type
        net.config[nengo.Ensemble].max_rates = uniform(100, 200)
        net.config[nengo.Ensemble].intercepts = uniform(-0.9, 0.5)
        stimulus = nengo.Node(lambda t: [np.sin(6 * t), np.cos(4 * t)], label="stimulus")
        out = nengo.Node(size_in=2, label="out")
        with nengo.Network(label="inner"):
            a = nengo.Ensemble(20, 2, label="a", radius=1.5)
            b = nengo.Ensemble(12, 1, label="b")
        c = nengo.Ensemble(15, 2)
        d = nengo.Ensemble(
            16,
            1,
            label="d",
            gain=uniform(0.5, 2),
            bias=uniform(0, 1),
            max_rates=nengo.Ensemble.max_rates.default,
            intercepts=nengo.Ensemble.intercepts.default,
        )
        direct = nengo.Ensemble(1, 2, neuron_type=nengo.Direct())
        nengo.Connection(stimulus, a)
        nengo.Connection(stimulus[0], b, transform=[[0.5]], function=lambda x: x**2)
        nengo.Connection(a[1], b)
        nengo.Connection(
            a, c, function=lambda x: [x[0] * x[1], *x], transform=[[1, 0, 0.5], [0, 1, 0.2]]
        )
        nengo.Connection(a, c[0], function=lambda x: x[0] ** 2)
        nengo.Connection(a, c, solver=nengo.solvers.LstsqL2(weights=True), function=lambda x: -x)
        nengo.Connection(a[0], c[1], solver=nengo.solvers.LstsqL2(weights=True))
        kernel = nengo.Convolution(
            1, (16, 1), (3,), strides=(1,), padding="same", init=uniform(-0.01, 0.01)
        )
        nengo.Connection(d.neurons, d.neurons, transform=kernel)
        places = [(i, (3 * i) % 16) for i in range(16)]
        sparse = nengo.Sparse((16, 16), indices=places, init=uniform(-0.01, 0.01))
        nengo.Connection(d.neurons, d.neurons, transform=sparse)
        nengo.Connection(c.neurons[::5], d.neurons[[1, 4, 2]], label="picked")
        nengo.Connection(c.neurons, d.neurons, transform=uniform(-0.001, 0.001))
        nengo.Connection(c, direct)
        nengo.Connection(direct, out, function=lambda x: 2 * x)
        nengo.Connection(d, out[0], transform=2)
        nengo.Connection(c, out, eval_points=POINTS, function=POINTS**2)
        nengo.Probe(out, synapse=0.01, label="out probe")
        nengo.Probe(a, synapse=0.01)
        nengo.Probe(c[1])
        nengo.Probe(d.neurons)
        nengo.Probe(b.neurons)
    return net


def change_parameters(sim, seed=1, scale=0.05, add=0):
    """As training would."""
    rng = np.random.RandomState(seed)
    with sim._engine.scope():
        for variable in sim.keras_model.parameters.values():
            factors = 1 + scale * rng.standard_normal(tuple(variable.shape))
            variable.assign(np.asarray(variable) * factors + add)


def recorded(simulator, net, n_steps=N_STEPS):
    with simulator(net, progress_bar=False) as sim:
        sim.run_steps(n_steps)
        return [sim.data[probe].copy() for probe in net.all_probes]


def assert_equal(values, expected, atol=1e-9):
    assert len(values) == len(expected) > 0
    for i, (given, wanted) in enumerate(zip(values, expected, strict=True)):
        scale = max(1, np.abs(wanted).max())
        np.testing.assert_allclose(given, wanted, atol=atol * scale, rtol=0, err_msg=f"probe {i}")
