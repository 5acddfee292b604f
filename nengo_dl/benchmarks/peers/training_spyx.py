"""Jobs that train networks of LIF neurons in Spyx, on JAX; a unit of a run is one update."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
import spyx
from flax import nnx

from .simulators import Job, versions
from .training_data import BPTT, LAYER, N_HIDDEN, N_IN, N_OUT, SLOPE, Sequences, random_sequences


def spiking() -> Job:
    """Updates through 200 steps of 784-256-10 LIF neurons, with a mean squared error."""
    return _updates([N_IN, N_HIDDEN, N_OUT], BPTT, lambda spikes, y: jnp.mean((spikes - y) ** 2))


def layer(n_neurons: int) -> Job:
    """Forward and backward pass through 500 steps of one dense layer of LIF neurons.

    The loss is the sum of the spikes.
    """
    return _updates([n_neurons, n_neurons], LAYER, lambda spikes, y: jnp.sum(spikes))


def _updates(sizes: list[int], shape: Sequences, loss) -> Job:
    model = _model(sizes, shape)
    optimizer = nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)
    # time first, as Spyx wants it
    x, y = (
        jnp.asarray(values).swapaxes(0, 1)
        for values in random_sequences(shape, sizes[0], sizes[-1])
    )
    step = spyx.optimize.make_train_step(lambda model, x, y: loss(spyx.nn.run(model, x)[0], y))

    def run(n):
        for _ in range(n):
            value = step(model, optimizer, x, y)
        jax.block_until_ready(value)

    libraries = ["spyx", "flax", "jax"]
    device = jax.devices()[0].device_kind
    return run, {"versions": versions(libraries), "device": device}


def _model(sizes: list[int], shape: Sequences):
    rngs = nnx.Rngs(0)
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):  # noqa: B905
        layers.append(nnx.Linear(n_in, n_out, use_bias=False, rngs=rngs))
        neurons = spyx.nn.LIF(
            (n_out,), beta=shape.decay, activation=spyx.axn.superspike(SLOPE), rngs=rngs
        )
        neurons.beta = nnx.Variable(jnp.full((), shape.decay))  # not trained, as in the others
        layers.append(neurons)
    return spyx.nn.Sequential(*layers)
