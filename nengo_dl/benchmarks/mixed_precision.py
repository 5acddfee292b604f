"""What mixed precision does to accuracy and to speed. Run it with ``python -m
nengo_dl.benchmarks.mixed_precision``, which prints a line of JSON for each thing that is found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.digits import load_digits
from nengo_dl.benchmarks.measure import seconds_of
from nengo_dl.benchmarks.peers import training_nengo_dl
from nengo_dl.benchmarks.peers.simulators import device
from nengo_dl.benchmarks.peers.training_data import Sequences
from nengo_dl.optional import installed

DTYPES = "float32", "mixed_bfloat16", "mixed_float16"


# -- accuracy --------------------------------------------------------------------------------------


def classifier(sizes: Sequence[int], dtype: str, seed: int) -> nengo.Network:
    """Layers of LIF neurons; ``net.out`` is the filtered output."""
    with nengo.Network(seed=seed) as net:
        nengo_dl.configure_settings(dtype=dtype, keep_history=True)
        net.image = x = nengo.Node(np.zeros(sizes[0]))
        for size in sizes[1:-1]:
            layer = nengo.Ensemble(
                size,
                1,
                neuron_type=nengo.LIF(amplitude=0.01),
                max_rates=nengo.dists.Choice([150]),
                intercepts=nengo.dists.Choice([0]),
            )
            nengo.Connection(x, layer.neurons, transform=nengo_dl.dists.Glorot(), synapse=None)
            x = layer.neurons
        out = nengo.Node(size_in=sizes[-1])
        nengo.Connection(x, out, transform=nengo_dl.dists.Glorot(), synapse=None)
        net.rates = nengo.Probe(out)
        net.out = nengo.Probe(out, synapse=0.02)
        net.config[net.out].keep_history = False
    return net


def digits_through_spikes(dtype: str, seed: int) -> float:
    """Accuracy on the digits of scikit-learn, trained through 20 steps of spikes."""
    with installed("demo"):
        from sklearn.datasets import load_digits as sklearn_digits

    data = sklearn_digits()
    order = np.random.RandomState(0).permutation(len(data.target))
    x, y = data.data[order] / 16.0, data.target[order]
    (x, y), test = (x[:-500], y[:-500]), (x[-500:], y[-500:])
    net = classifier([64, 128, 128, 10], dtype, seed)
    with net:
        nengo_dl.configure_settings(surrogate="fast_sigmoid")
    x = np.repeat(x[:, None], 20, axis=1)
    return _trained(net, net.out, x, y, test, seed, minibatch_size=50, epochs=12, n_steps=20)


def mnist_through_rates(dtype: str, seed: int, file: str | None, epochs: int = 4) -> float:
    """Accuracy on MNIST with spikes, trained with rates."""
    train, test = load_digits(file)
    (x, y), test = ((x.reshape(len(x), -1), y) for x, y in (train, test))
    net = classifier([784, 256, 128, 10], dtype, seed)
    sizes: dict[str, int] = {"minibatch_size": 200, "epochs": epochs, "n_steps": 50}
    return _trained(net, net.rates, x[:, None], y, test, seed, **sizes)


def _trained(
    net: nengo.Network,
    probe: nengo.Probe,
    x: np.ndarray,
    y: np.ndarray,
    test: tuple[np.ndarray, np.ndarray],
    seed: int,
    minibatch_size: int,
    epochs: int,
    n_steps: int,
) -> float:
    """Train with one output for each image, and test the last one of several steps of spikes."""
    keras.utils.set_random_seed(seed)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(x) // minibatch_size)
    with nengo_dl.Simulator(
        net, minibatch_size=minibatch_size, seed=seed, progress_bar=False
    ) as sim:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        sim.compile(keras.optimizers.Adam(rate), loss={probe: loss})
        sim.fit({net.image: x}, {probe: y[:, None, None]}, epochs=epochs, verbose=0)
        correct = 0
        for start in range(0, len(test[0]), 1000):
            images, labels = (part[start : start + 1000] for part in test)
            output = sim.predict({net.image: np.repeat(images[:, None], n_steps, axis=1)})
            correct += int(np.sum(np.argmax(output[net.out][:, -1], axis=-1) == labels))
    return correct / len(test[0])


def accuracy(run: Callable[[str, int], float], n_seeds: int) -> Iterator[dict[str, Any]]:
    """For each precision the accuracy of each seed, in percent, and the mean difference from single
    precision with its standard error, in points.
    """
    found: dict[str, np.ndarray] = {}
    for dtype in DTYPES:
        found[dtype] = 100 * np.array([run(dtype, seed) for seed in range(n_seeds)])
        difference = found[dtype] - found[DTYPES[0]]
        yield {
            "dtype": dtype,
            "accuracy": float(found[dtype].mean()),
            "difference": float(difference.mean()),
            "standard_error": float(difference.std() / np.sqrt(max(n_seeds - 1, 1))),
            "seeds": found[dtype].round(2).tolist(),
        }


# -- speed -----------------------------------------------------------------------------------------


def update(n_neurons: int, n_steps: int, dtype: str, kernels: bool) -> Callable[[int], None]:
    """Updates of a dense layer of LIF neurons, by their spikes."""
    net = training_nengo_dl.lif_network([n_neurons, n_neurons], kernels)
    with net:
        nengo_dl.configure_settings(dtype=dtype)
    x, y = training_nengo_dl.random_sequences(Sequences(32, n_steps), n_neurons, n_neurons)
    run, _ = training_nengo_dl.updates(net, x, y)
    return run


def simulation(n_neurons: int, n_steps: int, dtype: str) -> Callable[[int], None]:
    """Runs of 128 items of an ensemble with a recurrent connection of all its neurons."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(dtype=dtype, inference_only=True, keep_history=False)
        neurons = nengo.Ensemble(n_neurons, 1, neuron_type=nengo.LIF()).neurons
        weights = np.random.RandomState(0).normal(0, 1e-4, size=(n_neurons, n_neurons))
        nengo.Connection(neurons, neurons, transform=weights, synapse=0.005)
        net.probe = nengo.Probe(neurons)
    sim = nengo_dl.Simulator(net, minibatch_size=128, progress_bar=False)

    def run(n):
        for _ in range(n):
            sim.run_steps(n_steps)

    return run


def speed(
    sizes: Sequence[int], n_steps: int, n_runs: int, dtypes: Sequence[str] = DTYPES[:2]
) -> Iterator[dict[str, Any]]:
    """The least seconds of an update, and of a simulation, for each precision in turn."""
    timed: list[tuple[dict[str, Any], Callable[..., Callable[[int], None]]]] = [
        (
            {"timed": "update", "neurons": n, "kernels": kernels},
            partial(update, n, n_steps, kernels=kernels),
        )
        for n in sizes
        for kernels in (False, True)
    ]
    timed += [
        ({"timed": "simulation", "neurons": n}, partial(simulation, n, n_steps)) for n in sizes
    ]
    for what, make in timed:
        runs = {dtype: make(dtype=dtype) for dtype in dtypes}
        for run in runs.values():
            run(1)  # compiles
        seconds = {dtype: np.inf for dtype in dtypes}
        for _ in range(n_runs):
            for dtype, run in runs.items():
                seconds[dtype] = min(seconds[dtype], seconds_of(partial(run, 2)) / 2)
        yield {**what, "steps": n_steps, "seconds": seconds, "device": device()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["digits", "mnist", "speed"])
    parser.add_argument("--seeds", type=int, default=5, help="networks of each precision")
    parser.add_argument("--data", help="an mnist.npz; by default NENGO_DL_MNIST")
    parser.add_argument("--neurons", type=int, nargs="+", default=[512, 4096])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    if given.what == "speed":
        found = speed(given.neurons, given.steps, given.runs)
    elif given.what == "digits":
        found = accuracy(digits_through_spikes, given.seeds)
    else:
        found = accuracy(partial(mnist_through_rates, file=given.data), given.seeds)
    for line in found:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
