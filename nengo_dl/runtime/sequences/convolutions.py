"""Which Keras layers convolve."""

from __future__ import annotations

import keras

from nengo_dl._private.keras import flattened

#: all layers of Keras that convolve, by themselves or with a cell
CONVOLUTIONS = tuple(
    {cls for name, cls in vars(keras.layers).items() if "Conv" in name and isinstance(cls, type)}
)


def convolves(layer: keras.layers.Layer) -> bool:
    """Whether a Keras layer or model convolves, or one inside of it."""
    return any(isinstance(inner, CONVOLUTIONS) for inner in flattened(layer))
