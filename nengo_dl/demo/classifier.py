"""A spiking classifier of handwritten digits: trained with firing rates, tested with spikes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.optional import installed

N_NEURONS = 150
MINIBATCH = 50
DT = 0.001  # seconds
STEPS = 60  # for which a digit is shown
N_SHOWN = 6  # digits in the picture


@dataclass(frozen=True)
class TrainingReport:
    """What training did.

    Attributes
    ----------
    before, after
        Accuracy with spikes on digits that were not trained with.
    rate
        Mean firing rate of the neurons while they classify, in hertz.
    loss, accuracy
        Of each epoch, on the digits that are trained with, with firing rates.
    images, labels
        The digits that the picture shows, (N_SHOWN, 8, 8), and what they are.
    spikes
        Spikes while these are shown one after the other, (N_SHOWN * STEPS, N_NEURONS).
    outputs
        The ten filtered outputs meanwhile, (N_SHOWN * STEPS, 10).
    seconds
        Time that training took.
    """

    before: float
    after: float
    rate: float
    loss: list[float]
    accuracy: list[float]
    images: np.ndarray
    labels: np.ndarray
    spikes: np.ndarray
    outputs: np.ndarray
    seconds: float


def make_network() -> nengo.Network:
    """64 pixels, LIF neurons, 10 outputs."""
    with nengo.Network(seed=0) as net:
        net.config[nengo.Connection].synapse = None
        net.image = nengo.Node(np.zeros(64), label="image")
        hidden = nengo.Ensemble(
            N_NEURONS,
            1,
            neuron_type=nengo.LIF(amplitude=0.01),
            max_rates=nengo.dists.Choice([150]),
            intercepts=nengo.dists.Choice([0]),
        )
        init = nengo_dl.dists.Glorot()
        nengo.Connection(net.image, hidden.neurons, transform=init)
        out = nengo.Node(size_in=10)
        nengo.Connection(hidden.neurons, out, transform=init)
        net.out = nengo.Probe(out, label="out")
        net.filtered = nengo.Probe(out, synapse=0.02, label="filtered")
        net.spikes = nengo.Probe(hidden.neurons, label="spikes")
    return net


def load_digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images (n, 64) in 0..1 and labels, for training and for testing; 1,797 in all."""
    with installed("demo"):
        from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.data / 16.0, data.target
    order = np.random.RandomState(0).permutation(len(images))
    train, test = order[:1300], order[1300 : 1300 + 450]
    return (images[train], labels[train]), (images[test], labels[test])


def train(epochs: int = 30, seed: int = 0) -> TrainingReport:
    """Train the classifier and test it, with spikes, before and after.

    Parameters
    ----------
    epochs
        How often all digits are trained with.
    seed
        Of the order of the digits.
    """
    keras.utils.set_random_seed(seed)
    (x, y), test = load_digits()
    net = make_network()
    with nengo_dl.Simulator(net, minibatch_size=MINIBATCH, seed=seed, progress_bar=False) as sim:
        before, _ = spiking_accuracy(sim, net, *test)
        sim.compile(
            optimizer=keras.optimizers.Adam(3e-3),
            loss={net.out: keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
            metrics={net.out: ["accuracy"]},
        )
        start = time.perf_counter()
        history = sim.fit(
            {net.image: x[:, None]}, {net.out: y[:, None, None]}, epochs=epochs, verbose=0
        ).history
        seconds = time.perf_counter() - start
        after, rate = spiking_accuracy(sim, net, *test)
        images, labels = test[0][:N_SHOWN], test[1][:N_SHOWN]
        shown = _show_one_after_the_other(sim, net, images)
    return TrainingReport(
        before=before,
        after=after,
        rate=rate,
        loss=history["loss"],
        accuracy=history["accuracy"] if "accuracy" in history else history["out_accuracy"],
        images=images.reshape(-1, 8, 8),
        labels=labels,
        spikes=shown[net.spikes][0] > 0,
        outputs=shown[net.filtered][0],
        seconds=seconds,
    )


def spiking_accuracy(sim, net, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy of the last filtered output, and the neurons' mean firing rate in hertz."""
    result = sim.predict({net.image: np.repeat(images[:, None], STEPS, axis=1)})
    classes = np.argmax(result[net.filtered][:, -1], axis=-1)
    rate = np.mean(result[net.spikes] > 0) / sim.dt
    return float(np.mean(classes == labels)), float(rate)


def _show_one_after_the_other(sim, net, images: np.ndarray) -> dict:
    sequence = np.repeat(images, STEPS, axis=0)[None]
    return sim.predict({net.image: np.repeat(sequence, MINIBATCH, axis=0)})


def training_summary(report: TrainingReport) -> str:
    """What a person wants to know, a line each."""
    rows = (
        (
            "training",
            f"{N_NEURONS} LIF neurons, {len(report.loss)} epochs in {report.seconds:.1f} s",
        ),
        ("accuracy", f"{report.before:.1%} before, {report.after:.1%} after, with spikes"),
        ("rates", f"{report.rate:.0f} Hz on average, {STEPS} ms a digit"),
        ("loss", f"{report.loss[0]:.3f} in the first epoch, {report.loss[-1]:.3f} in the last"),
    )
    return "\n".join(f"{name:<12}{value}" for name, value in rows)
