"""What is trained for: losses, metrics and loss weights, by the name of the probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from nengo.exceptions import ValidationError

from nengo_dl.losses import Penalty
from nengo_dl.runtime.checks import checked_number
from nengo_dl.runtime.training.targets import Targets


@dataclass(frozen=True)
class Objectives:
    """Arguments of ``keras.Model.compile``, each by the name of the probe.

    Attributes
    ----------
    active
        Names of the probes that have a loss or a metric, in the order of the probes.
    any_size
        Names of those whose targets may have another size than the probe.
    any_steps
        Names of those whose targets may have another number of steps than the inputs.
    without_targets
        Names of those whose loss looks at the output alone.
    """

    loss: dict[str, Any] | None
    metrics: dict[str, Any] | None
    weighted_metrics: dict[str, Any] | None
    loss_weights: dict[str, float] | None
    active: tuple[str, ...]
    any_size: frozenset[str]
    any_steps: frozenset[str]
    without_targets: frozenset[str]

    @property
    def loss_to_compute(self) -> dict[str, Any]:
        """The losses, or where there are only metrics one that is 0, because Keras needs one."""
        return dict.fromkeys(self.active[:1], _zero) if self.loss is None else self.loss

    @property
    def only_loss(self) -> tuple[str, float] | None:
        """The probe with a loss and the weight of that, where there is just one."""
        names = [name for name, loss in (self.loss or {}).items() if loss is not None]
        if len(names) != 1:
            return None
        return names[0], (self.loss_weights or {}).get(names[0], 1.0)

    @classmethod
    def of(
        cls, targets: Targets, loss: Any, metrics: Any, loss_weights: Any, weighted_metrics: Any
    ) -> Objectives:
        """From one value for all probes, a list in the order of the probes, or a dict by Probe or
        name.

        One list of metrics is for all probes that have a loss, or for all probes where there is no
        loss.
        """
        losses = {
            name: value
            for name, value in _by_probe(targets, loss, "loss").items()
            if value is not None
        }
        for name, value in losses.items():
            _check_kind(value, keras.losses, "loss", name)
        measured = list(losses) or list(targets.sizes)
        by_name = _metrics(targets, metrics, "metrics", measured)
        weighted = _metrics(targets, weighted_metrics, "weighted_metrics", measured)
        active = tuple(
            name for name in targets.sizes if name in losses or name in by_name or name in weighted
        )
        weights = _by_probe(targets, loss_weights, "loss_weights")
        weights = {
            name: checked_number(f"loss_weights of Probe {name!r}", weight)
            for name, weight in weights.items()
            if weight is not None
        }
        return cls(
            loss={name: losses.get(name) for name in active} if losses else None,
            metrics={name: by_name[name] for name in active if name in by_name} or None,
            weighted_metrics={n: weighted[n] for n in active if n in weighted} or None,
            loss_weights={name: weights.get(name, 1.0) for name in active}
            if weights and losses
            else None,
            active=active,
            any_size=frozenset(n for n in active if n not in losses or _any_size(losses[n])),
            any_steps=frozenset(n for n in active if n not in losses or not _is_known(losses[n])),
            without_targets=frozenset(n for n in active if isinstance(losses.get(n), Penalty)),
        )


#: names of metrics that Keras makes one of many of, by the shapes that it sees
_METRICS_BY_SHAPES = ("accuracy", "acc", "crossentropy", "ce")


def _zero(targets: Any, outputs: Any) -> Any:
    return keras.ops.zeros((), outputs.dtype)


def _by_probe(targets: Targets, value: Any, argument: str) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {targets.probe_name(key, argument): v for key, v in value.items()}
    names = list(targets.sizes)
    if not isinstance(value, (list, tuple)):
        return dict.fromkeys(names, value)
    if len(value) != len(names):
        raise ValidationError(
            f"{len(value)} values were given for {len(names)} probes ({', '.join(names)}); "
            "give one for each, one for all, or a dict",
            attr=argument,
        )
    return dict(zip(names, value, strict=True))


def _metrics(
    targets: Targets, value: Any, argument: str, measured: Sequence[str]
) -> dict[str, Any]:
    nested = isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value)
    if value is None or isinstance(value, Mapping) or nested:
        by_name = _by_probe(targets, value, argument)
        found = {name: metrics for name, metrics in by_name.items() if metrics not in (None, [])}
        for name, metrics in found.items():
            for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
                _check_kind(metric, keras.metrics, argument, name)
        return found
    metrics = list(value) if isinstance(value, (list, tuple)) else [value]
    for metric in metrics:
        _check_kind(metric, keras.metrics, argument, ", ".join(measured))
    # a metric keeps what it has seen, so each probe needs its own
    return {name: [m if i == 0 else _copied(m) for m in metrics] for i, name in enumerate(measured)}


def _check_kind(value: Any, kind: Any, argument: str, name: str) -> None:
    """Whether Keras can make a loss or a metric of a value; ``kind`` is its module for them."""
    by_shapes = kind is keras.metrics and value in _METRICS_BY_SHAPES
    if value is None or callable(value) or by_shapes:
        return
    try:
        found = kind.get(value)
    except (TypeError, ValueError):
        found = None
    if not callable(found):
        raise ValidationError(
            f"Probe {name!r} was given {value!r}; expected a function of targets and outputs, a "
            "Keras object or its name",
            attr=argument,
        )


def _copied(metric: Any) -> Any:
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    return type(metric).from_config(metric.get_config())


def _any_size(loss: Any) -> bool:
    """Whether a loss takes targets of another size than the output: class numbers, and what is not
    known.
    """
    name = loss if isinstance(loss, str) else _kind(loss).__name__
    return not _is_known(loss) or "sparse" in name.lower()


def _is_known(loss: Any) -> bool:
    """Whether a loss compares targets and outputs of the same shape, and is neither a penalty nor a
    user's own, which does what it likes.
    """
    if isinstance(loss, Penalty):
        return False
    known = ("keras.", "nengo_dl.losses", "nengo_dl.obj")
    return isinstance(loss, str) or _kind(loss).__module__.startswith(known)


def _kind(loss: Any) -> Any:
    return loss if hasattr(loss, "__module__") and hasattr(loss, "__name__") else type(loss)
