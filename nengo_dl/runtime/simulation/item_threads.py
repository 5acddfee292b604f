"""A minibatch in shares of some items each, which run in threads of their own.

XLA computes nearly all of a step on one core: a loop over the neurons is over before a second
thread has begun, and it would begin and end in each step. The items of a minibatch do not depend on
each other, so each share runs all steps of a chunk by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from nengo_dl.compiler.kernel import Settings
from nengo_dl.runtime.inputs.feeds import first_padded
from nengo_dl.runtime.step.lowered_network import LoweredNetwork
from nengo_dl.runtime.threads import in_threads

#: bytes of a minibatch's values below which the threads take longer than they save
LEAST_BYTES = 2**16
#: bytes of a share's values that stay close to a core from step to step, if there are fewer ...
SHARE_BYTES = 6 * 2**20
#: ... times the bytes of the weights, which every share reads in every step
TIMES_WEIGHTS = 4
#: ... and no fewer items than this, where there are enough for all threads
FEW_ITEMS = 4
#: bytes of weights that stay in the cache of a core
FEW_WEIGHTS = 2 * 2**20
#: elements of a matrix from which on XLA multiplies on all cores ...
LARGE_MATRIX = 200_000
#: ... and how many of them take as long as one of an item's values
PRODUCTS_PER_VALUE = 8


def share_size(lowered: LoweredNetwork) -> int:
    """How many items of a minibatch run together; all of them where nothing is gained by shares.

    Products with large matrices are on all cores already, and weights that no cache holds are read
    once for each share. The numbers are from measurements on two cores with the networks of
    `nengo_dl.benchmarks`, and one of two ensembles with a matrix between all of their neurons.
    """
    batch, threads = lowered.settings.minibatch_size, lowered.settings.threads
    itemsize = np.dtype(lowered.settings.dtype).itemsize
    tensors = lowered.layout.tensors
    n_weights = sum(t.width for t in tensors if t.kind in ("constant", "parameter"))
    n_values = sum(t.width for t in tensors) - n_weights
    weights, all_values = n_weights * itemsize, n_values * itemsize * batch
    large = sum(p.matrix for p in lowered.kernels.values() if p.matrix >= LARGE_MATRIX)
    few = max(FEW_WEIGHTS, all_values / TIMES_WEIGHTS)
    if all_values < LEAST_BYTES or weights > few or large > PRODUCTS_PER_VALUE * n_values:
        return batch
    share = max(SHARE_BYTES, TIMES_WEIGHTS * weights)
    n_shares = threads * ceil(all_values / (threads * share))
    return max(ceil(batch / n_shares), min(FEW_ITEMS, ceil(batch / threads)))


class ItemParts(Sequence):
    """The states of a minibatch, as the shares left them; they are put together when they are read.

    Parameters
    ----------
    parts
        For each share, its states, (items, width) each.
    join
        Puts the values of one state together.
    """

    def __init__(self, parts: Sequence[Sequence[Any]], join: Callable[[list[Any]], Any]):
        self.parts, self._join = parts, join
        self._whole: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._whole:
            self._whole[index] = self._join([part[index] for part in self.parts])
        return self._whole[index]


class ItemThreads:
    """Calls a function of ``size`` items for each share of a minibatch.

    Parameters
    ----------
    call
        ``call(arguments, fixed, state, rows, first_step, n_steps) -> (state, outputs)``: the steps
        of a chunk for ``size`` items. What has one item in place of a minibatch is the same for
        all; outputs are arrays (n_steps or more, size, width), or (size, width) of the last step.
    size
        Items of a share. The last share is filled with copies of the last item.
    settings
        Those of the network.
    backend
        Module of `nengo_dl.runtime.backends`.
    """

    def __init__(self, call: Callable, size: int, settings: Settings, backend: Any):
        self._call, self._size, self._batch = call, size, settings.minibatch_size
        self._backend, self._dtype, self._threads = backend, settings.dtype, settings.threads
        self._compiled: set[tuple[int, ...]] = set()

    def __call__(self, arguments, fixed, state, rows, first_step: int, n_steps: int):
        """The same for the whole minibatch."""
        shares = list(self._shares(fixed, self._parts(state), rows))

        def run(share):
            fixed, state, rows = share
            return self._call(arguments, fixed, state, rows, first_step, n_steps)

        shapes = tuple(len(values) for values in rows)
        if shapes in self._compiled:
            results = in_threads(self._threads, run, shares)
        else:  # the first one compiles
            results = [run(share) for share in shares]
            self._compiled.add(shapes)
        states, outputs = zip(*results, strict=True)
        joined = [self._join_outputs(values, n_steps) for values in zip(*outputs, strict=True)]
        return ItemParts(states, self._join_state), joined

    def _parts(self, state: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """For each share, its states."""
        if isinstance(state, ItemParts):
            return state.parts
        arrays = [self._backend.array(value) for value in state]
        return [
            [self._backend.tensor(self._items(k, array), self._dtype) for array in arrays]
            for k in range(ceil(self._batch / self._size))
        ]

    def _shares(self, fixed, parts, rows) -> Iterator[tuple[list, Sequence[Any], list]]:
        for k, state in enumerate(parts):
            yield [self._items(k, v) for v in fixed], state, [self._items(k, v) for v in rows]

    def _items(self, k: int, values: np.ndarray) -> np.ndarray:
        """Those of a share, of values for each item or for all."""
        if len(values) != self._batch:
            return values
        return first_padded(values[k * self._size :], self._size)

    def _join_state(self, values: list[Any]) -> Any:
        arrays = [self._backend.array(value) for value in values]
        return self._backend.tensor(np.concatenate(arrays)[: self._batch], self._dtype)

    def _join_outputs(self, values: Sequence[np.ndarray], n_steps: int) -> np.ndarray:
        if values[0].ndim == 2:
            return np.concatenate(values)[: self._batch]
        return np.concatenate([v[:n_steps] for v in values], axis=1)[:, : self._batch]
