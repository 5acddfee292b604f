"""The autoencoder in plain Keras; one unit of a run is one epoch."""

from __future__ import annotations

import keras

from .simulators import Job, versions
from .training_data import N_IN, images


def autoencoder(n_images: int, batch: int = 50, steps_per_execution: int = 1) -> Job:
    """Epochs of a 784-64-784 autoencoder."""
    model = keras.Sequential(
        [
            keras.layers.Input((N_IN,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(N_IN, activation="relu"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(1e-3),
        loss="mse",
        steps_per_execution=steps_per_execution,
    )
    x = images(n_images)
    facts = {"versions": versions(["keras", "tensorflow-cpu", "tensorflow", "jax"])}
    return lambda n: model.fit(x, x, batch_size=batch, epochs=n, verbose=0), facts
