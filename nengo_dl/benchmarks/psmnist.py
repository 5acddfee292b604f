"""Permuted sequential MNIST with the Legendre memory.

The 784 pixels of a digit come one a step, in a random order that is the same for all digits; the
class is told after the last one (Le, Jaitly and Hinton, 2015). Voelker et al. (2019) reach 97.15 %
with one memory of order 256, Chilkuri and Eliasmith (2021) 98.49 % with one of order 468 whose
steps are all computed at once. Here the memory has order 256, and is computed at once.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nengo_dl.benchmarks.digits import load_digits

N_STEPS, ORDER, HIDDEN = 784, 256, 212


def load(path: str | None = None) -> tuple[tuple, tuple]:
    """(pixels, classes) for training and for the test; pixels of shape (digits, 784, 1), permuted.

    Parameters
    ----------
    path
        As in `load_digits`.
    """
    order = np.random.RandomState(0).permutation(N_STEPS)
    (images, classes), (test_images, test_classes) = load_digits(path)
    images, test_images = (x.reshape(-1, N_STEPS, 1)[:, order] for x in (images, test_images))
    return (images, classes), (test_images, test_classes)


def build(parallel: bool = True) -> Any:
    """The model: memory, one hidden layer, classes."""
    import keras

    from nengo_dl.layers import LegendreMemory

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((N_STEPS, 1)),
            LegendreMemory(ORDER, N_STEPS, dt=1, parallel=parallel),
            keras.layers.Dense(HIDDEN, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10),
        ]
    )


def main(path: str | None = None, epochs: int = 15, batch_size: int = 100) -> float:
    """Train, print what comes out, and return the accuracy on the 10,000 digits of the test."""
    import keras

    train, test = load(path)
    model = build()
    steps = epochs * len(train[0]) // batch_size
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    model.fit(*train, batch_size=batch_size, epochs=epochs, verbose=2)
    seconds = time.perf_counter() - start
    accuracy = model.evaluate(*test, batch_size=500, verbose=0)[1]
    print(
        f"{100 * accuracy:.2f} % of {len(test[0])} digits after {epochs} epochs, "
        f"{model.count_params()} parameters, {seconds:.0f} s of training on "
        f"{keras.backend.backend()}"
    )
    return accuracy


if __name__ == "__main__":
    main()
