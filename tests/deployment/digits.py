"""A spiking classifier of digits that chips can run, and how it is trained.

The network needs Nengo only, so that environments without Keras can make it too.
"""

import functools

import nengo
import numpy as np

N_HIDDEN = (100, 60)
STEPS = 100  # for which a digit is shown


def chip_lif(**kwargs):
    """LIF neurons as NIR and most chips have them."""
    start = {"voltage": nengo.dists.Choice([0])}
    return nengo.LIF(**{"tau_ref": 0.0, "min_voltage": -np.inf, "initial_state": start, **kwargs})


def make_network(neuron_type=None, seed=0, synapse=None):
    """64 pixels, two layers of neurons, ten outputs. The first weights are He's."""
    neuron_type = chip_lif(amplitude=0.01) if neuron_type is None else neuron_type
    rng = np.random.RandomState(seed)
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Connection].synapse = synapse
        net.config[nengo.Ensemble].neuron_type = neuron_type
        net.config[nengo.Ensemble].gain = nengo.dists.Choice([1.0])
        net.config[nengo.Ensemble].bias = nengo.dists.Choice([1.0])
        net.image = nengo.Node(np.zeros(64), label="image")
        net.hidden = [nengo.Ensemble(n, 1, label=f"hidden{i}") for i, n in enumerate(N_HIDDEN)]
        net.out_node = nengo.Node(size_in=10, label="out_node")
        neurons = [ens.neurons for ens in net.hidden]
        pairs = zip([net.image, *neurons], [*neurons, net.out_node], strict=True)
        for i, (pre, post) in enumerate(pairs):
            weights = rng.standard_normal((post.size_in, pre.size_out))
            nengo.Connection(
                pre,
                post,
                transform=weights * np.sqrt(2 / pre.size_out),
                synapse=None if i == 0 else synapse,
            )
        net.out = nengo.Probe(net.out_node, label="out")
        net.spikes = [nengo.Probe(n, label=f"spikes{i}") for i, n in enumerate(neurons)]
    return net


@functools.cache
def load_digits():
    """Images (n, 64) in 0..1 and labels, for training and for testing."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.data / 16.0, data.target
    order = np.random.RandomState(0).permutation(len(images))
    train, test = order[:1350], order[1350:]
    return (images[train], labels[train]), (images[test], labels[test])


def train(net, epochs=15, n_steps=1, lr=3e-3, **settings):
    """Train a network with firing rates (or ``surrogate``); returns the open simulator."""
    import keras

    import nengo_dl

    keras.utils.set_random_seed(0)
    (x, y), _ = load_digits()
    with net:
        nengo_dl.configure_settings(**settings)
    sim = nengo_dl.Simulator(net, minibatch_size=50, seed=0, progress_bar=False)
    sim.compile(
        optimizer=keras.optimizers.Adam(lr),
        loss={net.out: keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
    )
    rows = np.repeat(x[:, None], n_steps, axis=1)
    sim.fit(
        {net.image: rows},
        {net.out: np.repeat(y[:, None, None], n_steps, 1)},
        epochs=epochs,
        verbose=0,
    )
    return sim


def held(images, n_steps=STEPS):
    return np.repeat(np.asarray(images)[:, None], n_steps, axis=1)


def classes(outputs):
    """What is recognized: the largest output, summed over time. (n, n_steps, 10) -> (n,)"""
    return np.argmax(np.sum(outputs, axis=1), axis=-1)


def accuracy(outputs, labels):
    return float(np.mean(classes(outputs) == labels))
