"""Tensors of a network, as layers of its Keras model."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops


class StoredValues(keras.layers.Layer):
    """A tensor of a compiled network, or several, as a layer, so that the model's summary lists it
    by name. ``called`` is the name of the variable where there is one.
    """

    def __init__(
        self,
        values: Mapping[str, np.ndarray],
        name: str,
        dtype: str,
        trainable: bool,
        called: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.values = {
            key: self.add_weight(
                shape=value.shape,
                initializer=_Given(value),
                dtype="int32" if value.dtype.kind in "iu" else dtype,
                trainable=trainable,
                name=called or key,
                # where devices have a copy each, they all assign the same
                aggregation="none" if trainable else "only_first_replica",
            )
            for key, value in values.items()
        }
        self.built = True
        drop_wrappers(self)


def drop_wrappers(layer: keras.layers.Layer) -> None:
    """Keras puts functions that hold a layer in place of two of its methods: a cycle, for which
    what the layer holds stays in memory until Python's collector comes by. A layer that is built
    needs neither.
    """
    for method in ("build", "quantize"):
        vars(layer).pop(method, None)


class _Given(keras.initializers.Initializer):
    """Initializes with given numbers."""

    def __init__(self, value: np.ndarray):
        self.value = value

    def __call__(self, shape, dtype=None):
        return ops.convert_to_tensor(self.value, dtype=dtype)

    def clone(self):
        return self
