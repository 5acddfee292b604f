"""Spiking MNIST: a convolutional network of LIF neurons, trained with their rates, then with their
spikes, and tested with their spikes.

The network of Rasmussen (2018), "NengoDL: combining deep learning and neuromorphic modelling
methods" (arXiv:1805.11144), which reports 98.4 to 98.9 % with spikes. Run it with ``python -m
nengo_dl.benchmarks.spiking_mnist``.
"""

from __future__ import annotations

import argparse
import time

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.digits import load_digits

#: the first steps say little: the spikes have to get through the layers
TRANSIENT = 3
#: of a neuron whose input is one, in Hz: a few spikes in the time for which an image is shown
MAX_RATE = 250


def make_network() -> nengo.Network:
    """Three convolutional layers of LIF neurons and a dense one; the probe is ``net.out``."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Ensemble].max_rates = nengo.dists.Choice([MAX_RATE])
        net.config[nengo.Ensemble].intercepts = nengo.dists.Choice([0])
        net.config[nengo.Connection].synapse = None
        nengo_dl.configure_settings(stateful=False)
        neurons = nengo.LIF(amplitude=1 / MAX_RATE)
        net.image = nengo.Node(np.zeros(28 * 28), label="image")
        x, shape = net.image, (28, 28, 1)
        for filters, strides in ((32, 1), (64, 2), (128, 2)):
            layer = keras.layers.Conv2D(filters, kernel_size=3, strides=strides)
            x = nengo_dl.Layer(layer)(x, shape_in=shape)
            shape = x.shape_out
            x = nengo_dl.Layer(neurons)(x)
        out = nengo_dl.Layer(keras.layers.Dense(10))(x)
        net.out = nengo.Probe(out, label="out")
    return net


def load_data(path: str | None):
    """As `load_digits`, with images of shape (n, 784)."""
    train, test = load_digits(path)
    return tuple((x.reshape(len(x), -1), y) for x, y in (train, test))


def accuracy_with_spikes(sim: nengo_dl.Simulator, net, images, labels, n_steps: int) -> float:
    """Share of images that the mean output classifies correctly when each is shown for
    ``n_steps``.
    """
    correct, size = 0, sim.minibatch_size or 1
    for start in range(0, len(images), size):
        batch = np.tile(images[start : start + size, None], (1, n_steps, 1))
        output = sim.predict({net.image: batch})[net.out][:, TRANSIENT:].mean(axis=1)
        correct += np.sum(np.argmax(output, axis=-1) == labels[start : start + len(output)])
    return float(correct / len(images))


def train_rates(net, x, y, epochs: int, minibatch_size: int) -> None:
    """Train with the neurons' rates, one step for each image; the network keeps the result."""
    n_updates = epochs * len(x) // minibatch_size
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.compile(
            optimizer=keras.optimizers.RMSprop(
                keras.optimizers.schedules.CosineDecay(1e-3, n_updates)
            ),
            loss={net.out: keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        )
        sim.fit({net.image: x[:, None]}, {net.out: y[:, None, None]}, epochs=epochs, verbose=2)
        sim.freeze_params(net)


def train_spikes(net, x, y, n_updates: int, n_steps: int = 10, minibatch_size: int = 100) -> None:
    """Train with spikes, whose derivative is a surrogate; the network keeps the result.

    With rates the network learns nothing of what few spikes do to the layer that comes after.
    """
    with net:
        nengo_dl.configure_settings(surrogate="fast_sigmoid")

    def loss(labels, outputs):
        mean = keras.ops.mean(outputs[:, TRANSIENT:], axis=1)
        return keras.losses.sparse_categorical_crossentropy(labels[:, 0], mean, from_logits=True)

    def batches():
        rng = np.random.RandomState(0)
        while True:
            for i in rng.permutation(len(x)).reshape(-1, minibatch_size):
                yield (
                    {net.image: np.repeat(x[i][:, None], n_steps, axis=1)},
                    {net.out: np.repeat(y[i, None, None], n_steps, axis=1)},
                )

    rate = keras.optimizers.schedules.CosineDecay(1.5e-3, n_updates)
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        sim.compile(optimizer=keras.optimizers.Adam(rate), loss={net.out: loss})
        sim.fit(batches(), steps_per_epoch=n_updates, verbose=2)
        sim.freeze_params(net)


def test(net, x, y, n_steps: int, minibatch_size: int = 200) -> float:
    """Accuracy with spikes."""
    with nengo_dl.Simulator(net, minibatch_size=minibatch_size, progress_bar=False) as sim:
        return accuracy_with_spikes(sim, net, x, y, n_steps)


def run(
    data: str | None,
    epochs: int,
    n_steps: int,
    minibatch_size: int = 200,
    n_train: int = 60000,
    n_updates: int = 3000,
) -> float:
    """Train, test, and print what came out."""
    (x, y), (x_test, y_test) = load_data(data)
    x, y = x[:n_train], y[:n_train]
    net = make_network()
    seconds = {}
    start = time.perf_counter()
    train_rates(net, x, y, epochs, minibatch_size)
    seconds["training with rates"] = time.perf_counter() - start
    before = test(net, x_test[:1000], y_test[:1000], n_steps)
    print(f"accuracy with spikes after that: {before:.2%} on the first 1000 images", flush=True)
    start = time.perf_counter()
    train_spikes(net, x, y, n_updates)
    seconds["training with spikes"] = time.perf_counter() - start
    accuracy = test(net, x_test, y_test, n_steps)
    print(f"accuracy with spikes over {n_steps} steps: {accuracy:.2%} on {len(x_test)} images")
    print(", ".join(f"{what} took {value:.0f} s" for what, value in seconds.items()))
    return accuracy


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="path of an mnist.npz; downloaded by Keras where not given")
    parser.add_argument("--epochs", type=int, default=4, help="of training with rates")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--train", type=int, default=60000, help="number of training images")
    parser.add_argument("--updates", type=int, default=3000, help="of training with spikes")
    arguments = parser.parse_args()
    run(
        arguments.data,
        arguments.epochs,
        arguments.steps,
        n_train=arguments.train,
        n_updates=arguments.updates,
    )


if __name__ == "__main__":
    main()
