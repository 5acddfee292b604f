"""Calls that the simulator had in earlier versions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_dl import obj
from nengo_dl.compat.arguments import ignored_arguments, warn

#: arguments of versions 1 and 2 without an equivalent
IGNORED = {
    "summaries": "pass nengo_dl.callbacks.NengoSummaries to fit as one of the callbacks",
    "truncation": "gradients go through all steps; checkpoint_segments saves memory",
    "profile": "use the profiler of TensorFlow or JAX",
    "tensorboard": "pass keras.callbacks.TensorBoard to fit as one of the callbacks",
    "step_blocks": "any number of steps can be run",
}


class OlderCalls:
    """Methods and attributes of NengoDL 2 and 3 that `nengo_dl.Simulator` has by other names."""

    @property
    def unroll(self: Any) -> int:
        """Deprecated: use ``unroll_simulation``."""
        warn("Simulator.unroll", "Simulator.unroll_simulation")
        return self.unroll_simulation

    @ignored_arguments(**IGNORED)
    def train(
        self: Any,
        data: dict,
        *arguments: Any,
        n_epochs: int = 1,
        objective: Any = None,
        shuffle: bool = True,
        **kwargs: Any,
    ) -> None:
        """Deprecated: the training call of versions 1 and 2. Use `compile` and `fit`.

        ``data`` holds inputs by Node and targets by Probe; an optimizer follows. ``objective`` is a
        function of (outputs, targets), or a dict of them by Probe. Version 1 has targets in a dict
        of their own, between data and optimizer.
        """
        warn("Simulator.train", "Simulator.compile and Simulator.fit", stacklevel=4)
        data, rest = _joined(data, arguments)
        given = dict(zip(("optimizer", "n_epochs", "objective", "shuffle"), rest, strict=False))
        optimizer = given.get("optimizer", kwargs.pop("optimizer", None))
        n_epochs, shuffle = given.get("n_epochs", n_epochs), given.get("shuffle", shuffle)
        objective = given.get("objective", objective)
        x, y = _split_data(data)
        self.compile(optimizer=optimizer, loss=_objective_losses(objective, y))
        self.fit(x, y, epochs=n_epochs, shuffle=shuffle, **kwargs)

    @ignored_arguments(**IGNORED)
    def loss(self: Any, data: dict, *arguments: Any, objective: Any = None, **kwargs: Any) -> float:
        """Deprecated: the evaluation call of versions 1 and 2. Use `compile` and `evaluate`."""
        warn("Simulator.loss", "Simulator.compile and Simulator.evaluate", stacklevel=4)
        data, rest = _joined(data, arguments)
        objective = rest[0] if rest else objective
        x, y = _split_data(data)
        self.compile(loss=_objective_losses(objective, y))
        return self.evaluate(x, y, **kwargs)["loss"]

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


def _joined(data: dict, arguments: Sequence[Any]) -> tuple[dict, Sequence[Any]]:
    """Inputs and targets in one dict, and what follows them."""
    if not arguments or not isinstance(arguments[0], Mapping) or _has_probes(data):
        return data, arguments
    return {**data, **arguments[0]}, arguments[1:]


def _has_probes(data: Any) -> bool:
    return isinstance(data, Mapping) and any(isinstance(key, Probe) for key in data)


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
