"""Several devices of TensorFlow, of one process or of several, each of which trains with some items
of a minibatch: ``tf.distribute``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf
from nengo.exceptions import SimulationError, ValidationError

#: strategies with a copy of each variable on each device, which see the same updates
MIRRORED = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
    tf.distribute.OneDeviceStrategy,
)


class Replicas:
    """The devices of a strategy.

    Attributes
    ----------
    n_shares
        Parts into which a minibatch is cut.
    is_first_process
        Whether this process writes files, of those that compute together.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy
        self.n_shares = strategy.num_replicas_in_sync
        resolver = strategy.cluster_resolver
        self.is_first_process = resolver is None or not resolver.task_id
        if not isinstance(strategy, MIRRORED):
            raise SimulationError(
                f"got a {type(strategy).__name__}; expected tf.distribute.MirroredStrategy or "
                "MultiWorkerMirroredStrategy"
            )

    def simulating(self) -> None:
        """Simulations run on one device."""

    def making(self) -> AbstractContextManager:
        """Context in which variables are made."""
        return self._strategy.scope()

    def check_training(self, model: Any) -> None:
        """Keras's trainer knows nothing of the strategy, but the optimizer does."""
        if model.keep_state:
            raise SimulationError(
                "on TensorFlow, devices do not exchange states, as stateful=True and online "
                "learning rules require; avoid these, or use JAX"
            )
        if model.run_eagerly:
            raise SimulationError(
                "on several devices, training is compiled to a graph; remove run_eagerly=True, "
                "or build the simulator outside of strategy.scope()"
            )
        if model.distribute_strategy is self._strategy and not tf.distribute.has_strategy():
            raise SimulationError("this version of Keras cuts minibatches itself; use JAX")
        if tf.distribute.has_strategy():
            raise SimulationError(
                "call fit, evaluate and train_on_batch outside of strategy.scope(); only the "
                "simulator and the optimizer must be created in it"
            )
        optimizer = model.optimizer
        made = getattr(optimizer, "iterations", None)
        if made is not None and not isinstance(made.value, tf.distribute.DistributedValues):
            raise SimulationError(
                "the optimizer was made outside of strategy.scope(); make it within, as the "
                "simulator"
            )

    def check_items(self, n_items: int) -> None:
        """Means of the devices are the mean of all items only where each has as many."""
        if n_items % self.n_shares:
            raise ValidationError(
                f"the last minibatch has {n_items} items, which cannot be divided evenly among "
                f"{self.n_shares} devices, so TensorFlow's mean would be wrong; leave out the last "
                f"{n_items % self.n_shares}",
                attr="x",
            )

    # -- in a call of the network ------------------------------------------------------------------

    def own_items(self, value: Any, n_items: int) -> Any:
        """The items of this call of a network, of a tensor of the whole minibatch."""
        replica = tf.distribute.get_replica_context()
        if replica is None:  # Keras looks at the network as a whole
            return value[:n_items]
        first = replica.replica_id_in_sync_group * n_items
        return tf.ensure_shape(value[first : first + n_items], (n_items, *value.shape[1:]))

    # -- blocks of batches -------------------------------------------------------------------------

    def shared_out(self, block: Any) -> Any:
        """The items of the batches of a block, each share on its device."""
        n_items = tf.nest.flatten(block)[0].shape[1]
        self.check_items(n_items)
        size = n_items // self.n_shares

        def share(context):
            first = context.replica_id_in_sync_group * size
            return tf.nest.map_structure(
                lambda v: tf.convert_to_tensor(v[:, first : first + size]), block
            )

        return self._strategy.experimental_distribute_values_from_function(share)

    def wait(self) -> None:
        """Wait until all processes are here."""
        ones = self._strategy.run(tf.function(lambda: tf.ones(())))
        self._strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

    def run(self, function: Callable, *arguments: Any) -> Any:
        """Call a function on each device."""
        return self._strategy.run(function, args=arguments)


def in_force() -> Replicas | None:
    """The devices of the strategy in whose scope the program is."""
    return Replicas(tf.distribute.get_strategy()) if tf.distribute.has_strategy() else None
