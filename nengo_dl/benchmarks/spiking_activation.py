"""Spiking-aware training on MNIST: a network of two dense layers without spikes, the same with
spikes put in its place, and one that was trained with spikes.

Prints the three accuracies. Run it with ``python -m nengo_dl.benchmarks.spiking_activation``; the
environment variable ``NENGO_DL_MNIST`` names an ``mnist.npz``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import keras

from nengo_dl.benchmarks.digits import Digits, load_digits
from nengo_dl.layers import SpikingActivation

HIDDEN = 128


def make_model(activation: keras.layers.Layer, size: int, n_steps: int) -> keras.Model:
    """From images of ``size`` pixels to classes: the mean of ``n_steps`` in which one is shown."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((size,))
    x = keras.layers.RepeatVector(n_steps)(keras.layers.Dense(HIDDEN)(inputs))
    x = keras.layers.GlobalAveragePooling1D()(activation(x))
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def compile_model(model: keras.Model, learning_rate: Any) -> keras.Model:
    """For classification."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=True,
        steps_per_execution=20,
    )
    return model


def compare(
    train: Digits,
    test: Digits,
    dt: float = 0.01,
    n_steps: int = 10,
    epochs: tuple[int, int] = (10, 10),
    learning_rates: tuple[float, float] = (2e-3, 0.01),
    batch_size: int = 100,
) -> dict[str, float]:
    """Accuracy without spikes, with spikes in the trained network, and after training with them.

    Parameters
    ----------
    train, test
        Images (n, ...) and classes (n,).
    dt, n_steps
        Length of a step in seconds, and for how many an image is shown.
    epochs, learning_rates
        Of training without and with spikes. The rates fall to 0 along a cosine; with spikes a
        higher one lets the weights grow until there are enough of them.
    batch_size
        Number of images in an update.

    Returns
    -------
    dict
        Accuracies ``"without spikes"``, ``"spikes put in"`` and ``"trained with spikes"``.
    """
    (x, y), (x_test, y_test) = ((images.reshape(len(images), -1), c) for images, c in (train, test))

    def made(activation, steps, spiking):
        n_updates = epochs[spiking] * len(x) // batch_size
        decay = keras.optimizers.schedules.CosineDecay(learning_rates[spiking], n_updates)
        return compile_model(make_model(activation, x.shape[1], steps), decay)

    plain = made(keras.layers.Activation("relu"), 1, False)
    plain.fit(x, y, batch_size=batch_size, epochs=epochs[0], verbose=0)
    naive = made(SpikingActivation("relu", dt), n_steps, True)
    for mine, trained in zip(naive.trainable_weights, plain.trainable_weights, strict=True):
        mine.assign(keras.ops.convert_to_numpy(trained))
    aware = made(SpikingActivation("relu", dt), n_steps, True)
    aware.fit(x, y, batch_size=batch_size, epochs=epochs[1], verbose=0)
    models = {"without spikes": plain, "spikes put in": naive, "trained with spikes": aware}
    return {
        name: float(model.evaluate(x_test, y_test, batch_size=500, verbose=0)[1])
        for name, model in models.items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="path of an mnist.npz; downloaded by Keras where not given")
    parser.add_argument("--dt", type=float, default=0.01, help="length of a step in seconds")
    parser.add_argument("--steps", type=int, default=10, help="for which an image is shown")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    train, test = load_digits(arguments.data)
    start = time.perf_counter()
    found = compare(train, test, arguments.dt, arguments.steps, (arguments.epochs,) * 2)
    for name, accuracy in found.items():
        print(f"{name}: {accuracy:.2%} of {len(test[1])} images")
    print(
        f"{arguments.steps} steps of {1000 * arguments.dt:g} ms, {arguments.epochs} epochs, "
        f"{time.perf_counter() - start:.0f} s on {keras.backend.backend()}"
    )


if __name__ == "__main__":
    main()
