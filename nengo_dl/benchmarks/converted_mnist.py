"""MNIST by conversion: a convolutional network trained in Keras, then run with spikes.

Prints the accuracy in Keras, with spikes after a plain exchange of the activations, and with spikes
whose rates were scaled by the data. Run it with ``python -m nengo_dl.benchmarks.converted_mnist``;
the environment variable ``NENGO_DL_MNIST`` names an ``mnist.npz``.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl.benchmarks.spiking_mnist import load_data
from nengo_dl.converter.rates import table


def make_model() -> keras.Model:
    """Two convolutional layers, and a dense one."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def convert(model: keras.Model, samples: np.ndarray | None, synapse: float | None):
    """The model with spiking neurons; scaled where there are samples."""
    scale: dict[str, Any] = {}
    if samples is not None:
        scale = {"scale_firing_rates": "auto", "sample_inputs": samples}
    converter = nengo_dl.Converter(
        model,
        allow_fallback=False,
        inference_only=True,
        swap_activations={keras.activations.relu: nengo.SpikingRectifiedLinear()},
        synapse=synapse,
        **scale,
    )
    with converter.net:
        nengo_dl.configure_settings(stateful=False)
    for probe in converter.outputs.values():
        converter.net.config[probe].keep_history = False
    return converter


def accuracy(converter, images: np.ndarray, labels: np.ndarray, n_steps: int) -> float:
    """Share of images whose class the output has after ``n_steps`` of each."""
    (image,), (probe,) = converter.inputs.values(), converter.outputs.values()
    correct, batch = 0, 200
    with nengo_dl.Simulator(converter.net, minibatch_size=batch, progress_bar=False) as sim:
        for start in range(0, len(images), batch):
            rows = images[start : start + batch].reshape(batch, 1, -1)
            output = sim.predict({image: np.repeat(rows, n_steps, axis=1)})[probe][:, -1]
            correct += np.sum(np.argmax(output, axis=-1) == labels[start : start + batch])
    return float(correct / len(images))


def run(data: str | None, epochs: int, n_steps: int, synapse: float, n_test: int) -> dict:
    """Train, convert, test and print; returns the accuracies."""
    (x, y), (x_test, y_test) = load_data(data)
    x, x_test = (images.reshape(-1, 28, 28, 1) for images in (x, x_test))
    x_test, y_test = x_test[:n_test], y_test[:n_test]
    keras.utils.set_random_seed(0)
    model = make_model()
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=50,
    )
    start = time.perf_counter()
    model.fit(x, y, batch_size=100, epochs=epochs, verbose=2)
    result = {"Keras": float(model.evaluate(x_test, y_test, verbose=0)[1])}
    print(f"trained in {time.perf_counter() - start:.0f} s")
    naive = convert(model, None, None)
    auto = convert(model, x[:200], synapse)
    print(table(auto.firing_rates))
    print(table(auto.measure_rates(x_test[:100], n_steps)))
    result[f"spikes, {n_steps} steps, as they are"] = accuracy(naive, x_test, y_test, n_steps)
    result[f"spikes, {n_steps} steps, auto, {synapse * 1000:g} ms"] = accuracy(
        auto, x_test, y_test, n_steps
    )
    for name, value in result.items():
        print(f"{name}: {value:.2%} of {len(x_test)} images")
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("NENGO_DL_MNIST"))
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--synapse", type=float, default=0.01)
    parser.add_argument("--test", type=int, default=10000, help="number of test images")
    arguments = parser.parse_args()
    run(arguments.data, arguments.epochs, arguments.steps, arguments.synapse, arguments.test)


if __name__ == "__main__":
    main()
