"""Jobs that train networks in nengo_dl; one unit of a run is one update, or one epoch."""

from __future__ import annotations

import keras
import nengo
import numpy as np

from nengo_dl import Simulator, configure_settings, dists

from .simulators import Job, device, versions
from .training_data import BPTT, LAYER, N_HIDDEN, N_IN, N_OUT, images, random_sequences

LIBRARIES = ["nengo-dl", "keras", "tensorflow-cpu", "tensorflow", "jax", "numpy"]
UNIT = {"gain": nengo.dists.Choice([1]), "bias": nengo.dists.Choice([0])}


def autoencoder(n_images: int, batch: int = 50) -> Job:
    """Epochs of a 784-64-784 autoencoder of rectified linear neurons."""
    with nengo.Network(seed=0) as net:
        net.a = nengo.Node(np.zeros(N_IN))
        kwargs = {"neuron_type": nengo.RectifiedLinear(), **UNIT}
        b = nengo.Ensemble(64, 1, **kwargs)
        c = nengo.Ensemble(N_IN, 1, **kwargs)
        init = dists.Glorot()
        nengo.Connection(net.a, b.neurons, transform=init, synapse=None)
        nengo.Connection(b.neurons, c.neurons, transform=init, synapse=None)
        net.p = nengo.Probe(c.neurons)
    sim = Simulator(net, minibatch_size=batch, progress_bar=False)
    sim.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mse")
    x = images(n_images)[:, None, :]
    return lambda n: sim.fit(x, x, epochs=n, verbose=0), _facts(net)


def spiking(sequence_kernels: bool | None = None) -> Job:
    """Updates through 200 steps of 784-256-10 LIF neurons, by their spikes."""
    net = lif_network([N_IN, N_HIDDEN, N_OUT], sequence_kernels)
    x, y = random_sequences(BPTT, N_IN, N_OUT)
    return updates(net, x, y)


def layer(n_neurons: int, sequence_kernels: bool | None = None) -> Job:
    """Updates through 500 steps of one dense layer of LIF neurons, by their spikes."""
    net = lif_network([n_neurons, n_neurons], sequence_kernels)
    x, y = random_sequences(LAYER, n_neurons, n_neurons)
    return updates(net, x, y, loss=lambda y, spikes: keras.ops.sum(spikes))


def lif_network(sizes: list[int], sequence_kernels: bool | None) -> nengo.Network:
    """Dense layers of LIF neurons without refractory period, trained through their spikes."""
    with nengo.Network(seed=0) as net:
        configure_settings(
            surrogate="fast_sigmoid", trainable=None, sequence_kernels=sequence_kernels
        )
        # what is compared are the weights between the layers
        net.config[nengo.Ensemble].trainable = False
        neurons = nengo.LIF(tau_rc=BPTT.tau, tau_ref=0, amplitude=BPTT.dt)
        net.input = x = nengo.Node(np.zeros(sizes[0]))
        for size in sizes[1:]:
            ensemble = nengo.Ensemble(size, 1, neuron_type=neurons, **UNIT)
            nengo.Connection(x, ensemble.neurons, transform=dists.He(), synapse=None)
            x = ensemble.neurons
        net.p = nengo.Probe(x)
    return net


def updates(net, x, y, loss="mse") -> Job:
    """Updates of a network that has ``input`` and ``p``."""
    sim = Simulator(net, minibatch_size=len(x), progress_bar=False)
    sim.compile(optimizer=keras.optimizers.SGD(1e-3), loss=loss)
    x, y = map(keras.ops.convert_to_tensor, (x, y))  # on the device, as in the other libraries

    def run(n):
        for _ in range(n):
            sim.train_on_batch({net.input: x}, {net.p: y})

    return run, _facts(net)


def _facts(net) -> dict:
    return {"neurons": int(net.n_neurons), "versions": versions(LIBRARIES), "device": device()}
