"""Several devices of JAX, of one process or of several, among which items of a minibatch are shared
out.

Keras says which: ``keras.distribution.set_distribution``. It is asked when a network is built, when
variables get their places; all that runs later is placed here, and Keras's trainer is told of
nothing, since it would cut the data for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from nengo.exceptions import SimulationError

from nengo_dl._private.jax import shard_map
from nengo_dl.runtime.backends.jax_executables import may_compile
from nengo_dl.runtime.step.chunk import Chunk


class Devices:
    """The devices of a distribution of Keras.

    Attributes
    ----------
    n_shares
        Parts into which a minibatch is cut.
    cuts_calls
        Whether a call of the network is cut here into shares. It is not where weights are shared
        out as well as items, and XLA does all of it.
    is_first_process
        Whether this process writes files, of those that compute together.
    """

    def __init__(self, distribution: Any):
        self.mesh = distribution.device_mesh.backend_mesh
        self.axis = distribution.batch_dim_name
        self.n_shares = self.mesh.shape[self.axis]
        self.cuts_calls = self.n_shares == self.mesh.size
        self.is_first_process = jax.process_index() == 0
        self._distribution = distribution

    def simulating(self) -> Devices:
        """The same devices: simulations run on them as well as training."""
        return self

    def making(self) -> AbstractContextManager:
        """Context in which variables are made, and get their places."""
        return self._distribution.scope()

    def check_training(self, model: Any) -> None:
        """Training is compiled."""
        if model.run_eagerly or not model.jit_compile:
            raise SimulationError(
                "on several devices, training is compiled by XLA; remove run_eagerly=True and "
                "jit_compile=False, or build the simulator without a distribution"
            )

    # -- places ------------------------------------------------------------------------------------

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Where a tensor is whose dimensions are cut along these axes of the mesh."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def everywhere(self, value: Any) -> Any:
        """A tensor that is on all devices; where it is on them already it stays as it is."""
        placed = getattr(value, "sharding", None)
        if isinstance(placed, NamedSharding) and placed.mesh == self.mesh:
            return value
        return self._put(value, self.sharding())

    def by_items(self, value: Any, axis: int = 0) -> Any:
        """A tensor whose items are shared out; on all devices where they cannot be."""
        even = value.shape[axis] % self.n_shares == 0
        return self._put(value, self.sharding(*[None] * axis, self.axis if even else None))

    def _put(self, value: Any, sharding: NamedSharding) -> Any:
        if sharding.is_fully_addressable or not _is_local(value):
            return jax.device_put(value, sharding)
        whole = np.asarray(value)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    def wait(self) -> None:
        """Wait until all processes are here."""
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("nengo_dl")

    # -- functions ---------------------------------------------------------------------------------

    def by_shares(self, function: Callable, shared: Any, items: Any) -> Any:
        """``function(shared, items)``, computed for each share of the items on a device of its own:
        everything in ``items``, and that is returned, begins with the items.
        """
        spec = PartitionSpec(self.axis)
        return shard_map(function, self.mesh, (PartitionSpec(), spec), spec)(shared, items)

    def check_items(self, n_items: int) -> None:
        """Minibatches may have any number of items."""

    def own_items(self, value: Any, n_items: int) -> Any:
        """The items of this call of a network, of a tensor of the whole minibatch: it is called
        for all of them.
        """
        return value[:n_items]

    def chunk_function(self, run: Callable, chunk: Chunk, minibatch_size: int) -> Callable:
        """As ``run``, the function of a chunk, of all items; where it is for fewer of them, each
        share is computed on a device of its own. Outputs are arrays.
        """
        cut = chunk.minibatch_size < minibatch_size
        may_compile()
        outputs = [PartitionSpec(*[None] * kept, self.axis) for kept in chunk.kept]

        def along(value: Any, axis: int = 0) -> PartitionSpec:
            whole = cut and value.shape[axis] == minibatch_size
            return PartitionSpec(*[None] * axis, self.axis if whole else None)

        @jax.jit
        def compiled(arguments, fixed, state, rows, first_step, n_steps):
            if not cut:
                return run(arguments, fixed, state, rows, first_step, n_steps)
            states = [along(value) for value in state]
            everywhere = PartitionSpec()
            specs = (
                everywhere,
                [along(value) for value in fixed],
                states,
                [along(value, 1) for value in rows],
                *(everywhere, everywhere),
            )
            call = shard_map(run, self.mesh, specs, (states, outputs))
            return call(arguments, fixed, state, rows, first_step, n_steps)

        def call(arguments, fixed, state, rows, first_step, n_steps):
            tensors, outputs = compiled(
                jax.tree.map(self.everywhere, arguments),
                [self.everywhere(value) for value in fixed],
                [self.by_items(v) if len(v) == minibatch_size else v for v in state],
                [self.by_items(row, 1) for row in rows],
                *(self.everywhere(first_step), self.everywhere(n_steps)),
            )
            return tensors, [array(value) for value in outputs]

        return call

    def block_function(self, train: Callable) -> Callable:
        """``train(state, block, count) -> (logs, state)``, compiled, where the items of the batches
        of a block are shared out.
        """
        compiled = None

        def run(state, block, count):
            nonlocal compiled
            state = jax.tree.map(self.everywhere, state)
            block = jax.tree.map(partial(self.by_items, axis=1), block)
            if compiled is None:
                places = jax.tree.map(lambda value: value.sharding, state)
                outputs = (self.sharding(), places)
                compiled = jax.jit(train, donate_argnums=0, out_shardings=outputs)
            return compiled(state, block, self.everywhere(count))

        return run


def in_force() -> Devices | None:
    """The devices over which Keras spreads models."""
    distribution = keras.distribution.distribution()
    return None if distribution is None else Devices(distribution)


@contextmanager
def none_in_force() -> Iterator[None]:
    """Context in which Keras spreads nothing over devices."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


# -- processes -------------------------------------------------------------------------------------


def array(value: Any) -> np.ndarray:
    """A tensor's values on the host, also those that are on devices of other processes."""
    if _is_local(value) or value.is_fully_replicated:
        return np.asarray(value)
    return multihost_utils.process_allgather(value, tiled=True)


def _is_local(value: Any) -> bool:
    return getattr(value, "is_fully_addressable", True)
