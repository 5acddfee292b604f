"""Whether kernels for all steps give what loops give, on this device and on the processor, and how
large their programs should be. JAX; run with ``python -m nengo_dl.benchmarks.kernels``, which
prints a line of JSON for each thing that is found.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import nengo
import numpy as np

import nengo_dl
from nengo_dl import tuning
from nengo_dl.benchmarks.peers import training_nengo_dl
from nengo_dl.benchmarks.peers.training_data import Sequences

TYPES = nengo.LIF(), nengo.AdaptiveLIF(), nengo.SpikingRectifiedLinear()
#: elements, warps and steps that are read ahead, of a program of a kernel
SIZES = (64, 2, 4), (64, 2, 1), (64, 2, 8), (32, 1, 4), (128, 4, 4), (128, 2, 4), (256, 4, 4)


def update(neuron_type: Any, sequence_kernels: bool, device: str | None, size: int, n_steps: int):
    """The loss of an update of two layers and a filter, and all that it changes, in one vector."""
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(surrogate="fast_sigmoid", sequence_kernels=sequence_kernels)
        net.input = nengo.Node(np.zeros(size))
        units = {"neuron_type": neuron_type, "max_rates": nengo.dists.Choice([100])}
        layers = [nengo.Ensemble(n, 1, seed=n, **units).neurons for n in (size, 10)]
        he = nengo_dl.dists.He()
        nengo.Connection(net.input, layers[0], transform=he, synapse=None)
        nengo.Connection(layers[0], layers[1], transform=he, synapse=None)
        net.probe = nengo.Probe(layers[1], synapse=0.01)
    rng = np.random.RandomState(0)
    x, y = rng.uniform(0, 1, (32, n_steps, size)), rng.uniform(0, 100, (32, n_steps, 10))
    with nengo_dl.Simulator(net, minibatch_size=32, device=device, progress_bar=False) as sim:
        variables = sim.keras_model.trainable_weights
        before = [keras.ops.convert_to_numpy(v.value) for v in variables]
        sim.compile(keras.optimizers.SGD(1.0), loss="mse")
        loss = sim.fit({net.input: x}, {net.probe: y}, verbose=0).history["loss"][0]
        after = [keras.ops.convert_to_numpy(v.value) for v in variables]
    changes = [(b - a).ravel() for a, b in zip(before, after, strict=True)]
    return loss, np.concatenate(changes)


def equality(size: int, n_steps: int) -> Iterator[dict[str, Any]]:
    """For each type, how far kernels are from loops, as shares of the loss and of the largest
    change.
    """
    for neuron_type in TYPES:
        loss, changes = update(neuron_type, True, None, size, n_steps)
        for other, kernels, device in (("loops", False, None), ("processor", False, "/cpu:0")):
            its_loss, its_changes = update(neuron_type, kernels, device, size, n_steps)
            difference = np.abs(changes - its_changes).max() / np.abs(its_changes).max()
            yield {
                "neurons": str(neuron_type),
                "other": other,
                "loss": abs(loss / its_loss - 1),
                "changes": float(difference),
            }


def sizes(n_neurons: int, shape: Sequences, n_updates: int) -> Iterator[dict[str, Any]]:
    """For each size of programs the seconds of an update of a layer, and of loops without them."""
    x, y = training_nengo_dl.random_sequences(shape, n_neurons, n_neurons)
    for chosen in (None, *SIZES):
        if chosen is not None:
            tuning.KERNEL_ELEMENTS, tuning.KERNEL_WARPS, tuning.KERNEL_STEPS = chosen
        net = training_nengo_dl.lif_network([n_neurons, n_neurons], chosen is not None)
        run, facts = training_nengo_dl.updates(net, x, y)
        run(2)
        start = time.perf_counter()
        run(n_updates)
        seconds = (time.perf_counter() - start) / n_updates
        yield {"program": chosen, "seconds": seconds, "device": facts["device"], **_memory()}


def _memory() -> dict[str, int]:
    """The most bytes that were in use on the device so far, where it tells."""
    statistics = jax.devices()[0].memory_stats() or {}
    return {k: v for k, v in statistics.items() if k == "peak_bytes_in_use"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["equality", "sizes"])
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--updates", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.what == "equality":
        # a GPU rounds what it multiplies to ten bits or so where it is not told otherwise
        jax.config.update("jax_default_matmul_precision", "highest")
        found = equality(arguments.neurons, arguments.steps)
    else:
        shape = Sequences(batch=32, n_steps=arguments.steps)
        found = sizes(arguments.neurons, shape, arguments.updates)
    for line in found:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
