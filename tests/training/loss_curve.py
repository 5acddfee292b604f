"""Trains a network of every kind of part; run as a script it prints the losses."""

import json
import os
import sys

import keras
import nengo
import numpy as np

import nengo_dl


def losses(epochs=5):
    """The loss of each epoch, from fixed weights and data in a fixed order."""
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        inp = nengo.Node(np.zeros(3))
        lif = nengo.Ensemble(20, 3, neuron_type=nengo.LIF())
        rate = nengo.Ensemble(15, 2, neuron_type=nengo.Tanh())
        out = nengo.Node(size_in=2)
        nengo.Connection(inp, lif, synapse=None)
        nengo.Connection(lif, rate, synapse=0.005, transform=rng.normal(size=(2, 3)))
        nengo.Connection(rate, rate, synapse=0.01)
        nengo.Connection(
            rate.neurons, out, transform=nengo_dl.dists.Glorot(), synapse=nengo.Alpha(0.003)
        )
        nengo.Probe(out)
    x, y = rng.uniform(-1, 1, size=(24, 10, 3)), rng.uniform(-1, 1, size=(24, 10, 2))
    with nengo_dl.Simulator(net, minibatch_size=6, seed=0, progress_bar=False) as sim:
        sim.compile(keras.optimizers.Adam(0.01), loss="mse")
        return sim.fit(x, y, epochs=epochs, shuffle=False, verbose=0).history["loss"]


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    nengo.rc.set("decoder_cache", "enabled", "False")
    json.dump({"backend": keras.backend.backend(), "losses": losses()}, sys.stdout)
