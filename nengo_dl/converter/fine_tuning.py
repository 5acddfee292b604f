"""Training of a converted network with its spikes, from where the conversion left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.exceptions import ValidationError

from nengo_dl.converter import lookup, probing
from nengo_dl.converter.calibration import average_outputs
from nengo_dl.converter.parts import Conversion
from nengo_dl.converter.rates import checked_target
from nengo_dl.losses import Penalty
from nengo_dl.neurons import IntegratedSpiking
from nengo_dl.simulator import Simulator

LEARNING_RATE = 3e-4
#: of the penalty on rates, whose unit is the target
RATE_WEIGHT = 1.0


class MeanRate(Penalty):
    """The square of how far the mean firing rate of a layer is above a target, relative to that.

    Parameters
    ----------
    amplitude
        Height of the neurons' spikes; a number, or one for each.
    target
        The largest mean rate, in hertz.
    """

    def __init__(self, amplitude: Any, target: float, name: str = "mean_rate", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.amplitude, self.target = amplitude, target

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The penalty for the neurons' output, (batch, n_steps, n_neurons)."""
        scale = ops.convert_to_tensor(1 / (self.amplitude * self.target), dtype=y_pred.dtype)
        relative = ops.mean(ops.abs(y_pred) * scale)
        return ops.square(ops.relu(relative - 1.0))


def fine_tune(
    converter: Conversion,
    x: Any,
    y: Any,
    n_steps: int,
    n_updates: int,
    batch_size: int,
    optimizer: Any,
    loss: Any,
    target_rate: float | None,
    dt: float,
    seed: int,
) -> None:
    """See `Converter.fine_tune`."""
    ensembles = list(converter.populations)
    if not all(isinstance(ens.neuron_type, IntegratedSpiking) for ens in ensembles):
        raise ValidationError(
            "the network has neurons that were not calibrated; call "
            f"converter.calibrate(data, steps={n_steps}) first",
            attr="populations",
        )
    checked_target(target_rate)
    arrays = lookup.input_arrays(converter.graph, x, "x")
    batch_size = min(batch_size, len(arrays[0]))
    losses, targets = _losses(converter, arrays, y, loss)
    average_outputs(converter, n_steps)
    trained = [c for c in converter.net.all_connections if converter.net.config[c].trainable]
    with (
        _training(converter),
        probing.probes(converter.net, [ens.neurons for ens in ensembles]) as probes,
    ):
        weights = dict.fromkeys(losses, 1.0)
        if target_rate is not None:
            for ens, probe in zip(ensembles, probes, strict=True):
                losses[probe] = MeanRate(ens.neuron_type.amplitude, target_rate)
                weights[probe] = RATE_WEIGHT
        optimizer = keras.optimizers.Adam(LEARNING_RATE) if optimizer is None else optimizer
        with Simulator(
            converter.net, dt=dt, minibatch_size=batch_size, progress_bar=False, seed=seed
        ) as sim:
            sim.compile(optimizer=optimizer, loss=losses, loss_weights=weights)
            batches = _batches(converter, arrays, targets, batch_size, n_steps, seed)
            sim.fit(batches, steps_per_epoch=n_updates, epochs=1, verbose=0)
            sim.freeze_params(trained)


def _losses(converter: Conversion, arrays: list, y: Any, loss: Any) -> tuple[dict, dict]:
    """The loss and the targets, (batch, 1, size), of each output's probe."""
    outputs = converter.graph.outputs
    probes = [converter.outputs[value.tensor] for value in outputs]
    if y is None:
        values = converter.graph.evaluate(arrays)
        given, loss = [values[value] for value in outputs], "mse" if loss is None else loss
    else:
        given = list(y) if isinstance(y, (list, tuple)) else [y]
    if loss is None:
        loss = getattr(converter.model, "loss", None)
    if loss is None or len(given) != len(outputs):
        raise ValidationError(
            f"the model has {len(outputs)} outputs and is not compiled with a loss for them; "
            f"got {len(given)} arrays as y, and loss={loss!r}. Give the loss, e.g. "
            "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
            attr="loss",
        )
    losses = loss if isinstance(loss, (list, tuple)) else [loss] * len(outputs)
    rows = [np.asarray(array).reshape(len(array), 1, -1) for array in given]
    return dict(zip(probes, losses, strict=True)), dict(zip(probes, rows, strict=True))


def _batches(converter, arrays, targets, batch_size: int, n_steps: int, seed: int) -> Iterator:
    """Minibatches without end, each item shown for some steps."""
    rng = np.random.RandomState(seed)
    while True:
        order = rng.permutation(len(arrays[0]))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            rows = [array[chosen] for array in arrays]
            yield (
                probing.input_data(converter, rows, n_steps),
                {probe: values[chosen] for probe, values in targets.items()},
            )


@contextmanager
def _training(converter: Conversion) -> Iterator[None]:
    """Settings with which neurons spike in training, and what counts is the last step."""
    net = converter.net
    probes = list(converter.outputs.values())
    kept = [net.config[probe].keep_history for probe in probes]
    for probe in probes:
        net.config[probe].keep_history = False
    try:
        with probing.setting(net, "surrogate", "rate"):
            yield
    finally:
        for probe, value in zip(probes, kept, strict=True):
            net.config[probe].keep_history = value
