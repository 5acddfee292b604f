"""Random numbers of TensorFlow, which earlier versions seeded."""

from __future__ import annotations

import sys

import keras


def seed_tensorflow(seed: int) -> None:
    """Seed ``tf.random`` with the seed of a simulator, where TensorFlow is the backend, so that
    what a user's function in a TensorNode draws is the same each time.
    """
    if keras.backend.backend() == "tensorflow":
        sys.modules["tensorflow"].random.set_seed(seed)
