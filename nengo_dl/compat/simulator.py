"""Calls that the simulator had in earlier versions."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_dl import obj
from nengo_dl.compat.arguments import ignored_arguments, warn

#: arguments of versions 1 and 2 for which there is something else
IGNORED = {
    "summaries": "pass nengo_dl.callbacks.NengoSummaries to fit as one of the callbacks",
    "truncation": "gradients go through all steps; checkpoint_segments saves memory",
    "profile": "use the profiler of TensorFlow or JAX",
}

#: the same of the simulator itself
IGNORED_BY_SIMULATOR = {
    "step_blocks": "any number of steps can be run",
    "tensorboard": "pass keras.callbacks.TensorBoard to fit as one of the callbacks",
}


class OlderCalls:
    """Methods and attributes of NengoDL 2 and 3 that `nengo_dl.Simulator` has by other names."""

    @property
    def unroll(self: Any) -> int:
        """Deprecated: use ``unroll_simulation``."""
        warn("Simulator.unroll", "Simulator.unroll_simulation")
        return self.unroll_simulation

    @ignored_arguments(**IGNORED)
    def train(self: Any, *arguments: Any, **kwargs: Any) -> None:
        """Deprecated: ``train(data, optimizer, n_epochs=1, objective=None, shuffle=True)``, the
        training call of version 2. Use `compile` and `fit`.

        ``data`` holds inputs by Node and targets by Probe; ``objective`` is a function of (outputs,
        targets), or a dict of them by Probe. Version 1 has targets in a dict of their own, between
        data and optimizer.
        """
        warn("Simulator.train", "Simulator.compile and Simulator.fit", stacklevel=4)
        _train(self, *_joined(arguments), **kwargs)

    @ignored_arguments(**IGNORED)
    def loss(self: Any, *arguments: Any, **kwargs: Any) -> float:
        """Deprecated: ``loss(data, objective=None)``, the evaluation call of version 2, with data
        and objective as in `train`. Use `compile` and `evaluate`.
        """
        warn("Simulator.loss", "Simulator.compile and Simulator.evaluate", stacklevel=4)
        return _loss(self, *_joined(arguments), **kwargs)

    def soft_reset(
        self: Any, include_trainable: bool = False, include_probes: bool = False
    ) -> None:
        """Deprecated: use `reset`."""
        warn("Simulator.soft_reset", "Simulator.reset")
        self.reset(
            include_trainable=include_trainable,
            include_probes=include_probes,
            include_processes=False,
        )


def _train(
    sim: Any,
    data: dict,
    optimizer: Any,
    n_epochs: int = 1,
    objective: Any = None,
    shuffle: bool = True,
    **kwargs: Any,
) -> None:
    x, y = _split_data(data)
    sim.compile(optimizer=optimizer, loss=_objective_losses(objective, y))
    sim.fit(x, y, epochs=n_epochs, shuffle=shuffle, **kwargs)


def _loss(sim: Any, data: dict, objective: Any = None, **kwargs: Any) -> float:
    x, y = _split_data(data)
    sim.compile(loss=_objective_losses(objective, y))
    return sim.evaluate(x, y, **kwargs)["loss"]


def _joined(arguments: tuple) -> tuple:
    """Arguments with inputs and targets in one dict, which are two in version 1."""
    first = arguments[:2]
    if len(first) < 2 or not all(isinstance(values, Mapping) for values in first):
        return arguments
    inputs, targets = first
    if any(isinstance(key, Probe) for key in inputs):
        return arguments
    return ({**inputs, **targets}, *arguments[2:])


def _split_data(data: dict) -> tuple[dict, dict]:
    if not isinstance(data, Mapping):
        raise ValidationError(
            f"expected a dict of inputs by Node and targets by Probe, got {data!r}", attr="data"
        )
    y = {key: value for key, value in data.items() if isinstance(key, Probe)}
    return {key: value for key, value in data.items() if key not in y}, y


def _objective_losses(objective: Any, y: dict) -> dict:
    objective = obj.mse if objective is None else objective
    if not isinstance(objective, dict):
        objective = dict.fromkeys(y, objective)
    return {probe: _swapped(function) for probe, function in objective.items()}


def _swapped(objective: Any) -> Any:
    """An objective of (outputs, targets) as a loss of (targets, outputs)."""
    if not callable(objective):
        return objective

    @functools.wraps(objective)
    def loss(targets, outputs):
        return objective(outputs, targets)

    return loss
