"""Blocks of batches: what one call of a compiled training function takes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from math import ceil, prod
from typing import Any

import keras
import numpy as np

from nengo_dl import tuning


class Blocks:
    """Batches of examples, in a new random order in each epoch, stacked into blocks.

    A block has shape (n_batches, batch, ...), always of the same size so that nothing is compiled
    twice; where fewer batches are left, the rest of it is not to be looked at. The last batch of an
    epoch, where it has fewer items, is a block of its own.

    Parameters
    ----------
    examples
        A structure of arrays that start with the same batch axis.
    batch_size
        Items of a batch.
    batches_per_call
        Batches that `next_call` gives.
    shuffle
        True: the examples change places in each epoch. False: they keep their order. "batch":
        those of each batch change places.
    """

    def __init__(self, examples: Any, batch_size: int, batches_per_call: int, shuffle: Any = True):
        self._examples = examples
        self._arrays = {id(a): a for a in keras.tree.flatten(examples)}
        self._batch_size, self._shuffle = batch_size, shuffle
        self._n_items = len(next(iter(self._arrays.values())))
        self._n_full = self._n_items // batch_size
        self.n_batches = ceil(self._n_items / batch_size)
        bytes_of_batch = sum(a.nbytes for a in self._arrays.values()) / self.n_batches
        self._size = batches_in_block(bytes_of_batch, batches_per_call)
        self._batches_per_call = batches_per_call
        self._next, self._order = 0, self._new_order()
        self._worker = ThreadPoolExecutor(1, "nengo_dl-blocks")
        #: the next block, where it is of the same epoch
        self._ahead: Future | None = None

    def _new_order(self) -> np.ndarray:
        """Numbers of the examples."""
        if self._shuffle and self._shuffle != "batch":
            return np.random.permutation(self._n_items)
        order = np.arange(self._n_items)
        if self._shuffle == "batch":
            for start in range(0, self._n_items, self._batch_size):
                np.random.shuffle(order[start : start + self._batch_size])
        return order

    def next_call(self) -> Iterator[tuple[Any, np.int32]]:
        """Blocks of the next call, each with the number of batches in it, to the end of the epoch
        at most.
        """
        if self._next == self.n_batches:
            self._next, self._order = 0, self._new_order()
        stop = self._stop()
        while self._next < stop:
            count, ahead = self._count(), self._ahead
            block = ahead.result() if ahead else self._gathered(self._items())
            self._next, self._ahead = self._next + count, None
            if self._next < self.n_batches:
                self._ahead = self._worker.submit(self._gathered, self._items())
            yield block, np.int32(count)

    def _stop(self) -> int:
        """The end of the call that the next batch is of."""
        first = self._next - self._next % self._batches_per_call
        return min(first + self._batches_per_call, self.n_batches)

    def _count(self) -> int:
        """Batches in the next block."""
        if self._next == self._n_full:
            return 1
        return min(self._size, min(self._stop(), self._n_full) - self._next)

    def _items(self) -> np.ndarray:
        """Numbers of the examples of the next block, (n_batches, batch_size)."""
        n_items = self._n_full * self._batch_size
        if self._next == self._n_full:
            return self._order[None, n_items:]
        chosen = np.arange(self._next, self._next + self._size)
        chosen[self._count() :] = self._next
        return self._order[:n_items].reshape(self._n_full, self._batch_size)[chosen]

    def _gathered(self, items: np.ndarray) -> Any:
        taken = {key: array[items] for key, array in self._arrays.items()}
        return keras.tree.map_structure(lambda array: taken[id(array)], self._examples)


def batches_in_block(bytes_of_batch: float, most: int) -> int:
    """How many batches a block has at most."""
    return int(np.clip(tuning.BLOCK_BYTES / max(bytes_of_batch, 1), 1, most))


def stacked(batches: Iterator, most: int) -> Iterator[tuple[Any, np.int32]]:
    """Blocks of the next batches, ``most`` at most, as `Blocks.next_call` gives them; the batches
    of a block have the same shapes.
    """
    group: list[Any] = []
    shapes, size = None, 1
    for parts in islice(batches, most):
        batch = tuple(part for part in parts if part is not None)
        flat = keras.tree.flatten(batch)
        found = [tuple(values.shape) for values in flat]
        if group and (found != shapes or len(group) == size):
            yield _block(group, size)
            group = []
        if found != shapes:
            shapes = found
            size = batches_in_block(sum(prod(values.shape) * 4 for values in flat), most)
        group.append(batch)
    if group:
        yield _block(group, size)


def _block(group: list[Any], size: int) -> tuple[Any, np.int32]:
    full = [*group, *[group[0]] * (size - len(group))]
    return keras.tree.map_structure(_stack, *full), np.int32(len(group))


def _stack(*values: Any) -> Any:
    given = all(isinstance(value, np.ndarray) for value in values)
    return np.stack(values) if given else keras.ops.stack(values)


def ticks() -> Iterator[tuple[np.ndarray]]:
    """What Keras is given instead of data where a function takes its batches from `Blocks`: one
    for each batch.
    """
    while True:
        yield (np.zeros((1, 1), dtype=np.float32),)
