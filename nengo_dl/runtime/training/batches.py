"""Data that comes in batches of its own: generators, ``PyDataset`` and ``tf.data.Dataset``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras


def is_batches(data: Any) -> bool:
    """Whether data comes in batches of its own: a generator, a PyDataset or a tf.data.Dataset."""
    return isinstance(data, (keras.utils.PyDataset, Iterator)) or is_tensorflow_dataset(data)


def is_tensorflow_dataset(data: Any) -> bool:
    """Whether data is a tf.data.Dataset, without importing TensorFlow to know."""
    return any(
        cls.__name__ == "DatasetV2" and cls.__module__.startswith("tensorflow.")
        for cls in type(data).__mro__
    )


def number_of_batches(data: Any) -> int | None:
    """The number of batches where it is known."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    if is_tensorflow_dataset(data):
        n = int(data.cardinality())
        return n if n > 0 else None
    return None


def iterated(data: Any) -> Iterator:
    """The batches, one after the other."""
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(data.num_batches))
    return data.as_numpy_iterator() if is_tensorflow_dataset(data) else data


class NamedDataset(keras.utils.PyDataset):
    """A PyDataset whose batches are checked and named."""

    def __init__(self, data: keras.utils.PyDataset, convert: Callable[[Any, int], tuple]):
        super().__init__(
            workers=data.workers,
            use_multiprocessing=data.use_multiprocessing,
            max_queue_size=data.max_queue_size,
        )
        self.data, self.convert = data, convert

    @property
    def num_batches(self):
        return self.data.num_batches

    def __getitem__(self, index: int) -> tuple:
        return self.convert(self.data[index], index)

    def on_epoch_begin(self):
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()
