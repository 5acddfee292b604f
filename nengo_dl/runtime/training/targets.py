"""What the outputs of a network are compared with in training and evaluation, and its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.runtime import checks
from nengo_dl.runtime.inputs import feeds
from nengo_dl.runtime.inputs.names import Endpoints, named
from nengo_dl.runtime.sequences.keras_model import NengoModel

Arrays = dict[str, np.ndarray]


class Targets:
    """Checks targets and weights and gives them the names and types of the Keras model.

    Parameters
    ----------
    keras_model
        The network.
    endpoints
        Its Nodes and Probes.
    """

    def __init__(self, keras_model: NengoModel, endpoints: Endpoints):
        self.model = keras_model
        self.probe_names = {probe: endpoints.names[probe] for probe in endpoints.probes}
        self.sizes = {name: probe.size_in for probe, name in self.probe_names.items()}
        #: names of the probes whose targets may have any size, because of their loss
        self.any_size: frozenset[str] = frozenset()
        #: ... and any number of steps
        self.any_steps: frozenset[str] = frozenset()
        #: names of the probes that need no targets
        self.needless: frozenset[str] = frozenset()

    def arrays(self, y: Any, batch: int, n_steps: int, argument: str = "y") -> Arrays:
        """Targets by name of the probe, for each probe that has a loss or a metric; where none are
        needed, and none given, a zero for each item.
        """
        active = self.model.active_outputs
        given = self._given(y, argument)
        missing = [n for n in active if n not in given and n not in self.needless]
        if missing and not given:
            raise ValidationError(
                f"there are no targets; they are needed for {listed('Probe', missing)}, "
                "which have a loss or metric",
                attr=argument,
            )
        if missing:
            raise ValidationError(
                f"there are no targets for {listed('Probe', missing)}, which have a loss or "
                "metric; give targets, or leave them out of compile",
                attr=argument,
            )
        targets = {
            name: feeds.numbers_of(given[name], f"target of Probe {name!r}", argument)
            if name in given
            else np.zeros((batch, 1, 1))
            for name in active
        }
        for name in active:
            self._check_target(name, targets[name].shape, batch, n_steps, argument)
        return {name: self._as_computed(values) for name, values in targets.items()}

    def _as_computed(self, values: np.ndarray) -> np.ndarray:
        """Floating point numbers in the precision of the network; class numbers stay integers."""
        return (
            values if values.dtype.kind != "f" else in_precision(values, self.model.compute_dtype)
        )

    def steps_of(self, y: Any) -> int | None:
        """The number of steps of the targets of a probe that keeps all steps."""
        kept = self._kept()
        for name, values in self._given(y, "y").items():
            shape = np.shape(values)
            if kept[name] and len(shape) == 3:
                return shape[1]
        return None

    def items_of(self, y: Any) -> int | None:
        """The number of items of the targets."""
        return next((len(values) for values in self._given(y, "y").values()), None)

    def _kept(self) -> dict[str, bool]:
        return dict(zip(self.model.network_outputs, self.model.kept, strict=True))

    def _check_target(self, name: str, shape, batch: int, n_steps: int, argument: str) -> None:
        what = f"the targets of Probe {name!r}"
        kept = self._kept()[name]
        expected = (batch, n_steps if kept else 1, self.sizes[name])
        if len(shape) != 3:
            raise ValidationError(
                f"{what} have shape {tuple(shape)}; expected three dimensions, "
                f"(batch, n_steps, size), here {expected}",
                attr=argument,
            )
        if shape[0] != expected[0]:
            raise ValidationError(
                f"{what} have batch size {shape[0]} but the inputs {batch}; give one target "
                "for each input",
                attr=argument,
            )
        if shape[1] != expected[1] and name not in self.any_steps:
            raise ValidationError(
                f"{what} have {shape[1]} steps; expected {expected[1]}"
                + ("" if kept else ", the last one only, because of keep_history=False")
                + "; only a custom loss may take a different number",
                attr=argument,
            )
        if shape[2] != expected[2] and name not in self.any_size:
            raise ValidationError(
                f"{what} have {shape[2]} values a step (shape {tuple(shape)}); the size of the "
                f"Probe is {expected[2]}, expected shape {expected}",
                attr=argument,
            )

    def _given(self, y: Any, argument: str) -> dict[str, Any]:
        """`by_probe`, without what is None."""
        by_probe = self.by_probe(y, argument) if is_given(y) else {}
        return {name: values for name, values in by_probe.items() if values is not None}

    def by_probe(self, y: Any, argument: str) -> dict[str, Any]:
        """From a dict by Probe or name, a list in the order of the probes with a loss, or one
        value.
        """
        if isinstance(y, Mapping):
            result: dict[str, Any] = {}
            for key, value in y.items():
                name = self.probe_name(key, argument)
                if name in result:
                    raise ValidationError(
                        f"there are two values for Probe {name!r}, by object and by name; give one",
                        attr=argument,
                    )
                result[name] = value
            return result
        active = self.model.active_outputs
        values = feeds.as_list(y)
        if len(values) != len(active):
            raise ValidationError(
                f"{len(values)} arrays were given for {len(active)} probes with a loss or metric "
                f"({', '.join(active)}); give one for each, or a dict",
                attr=argument,
            )
        return dict(zip(active, values, strict=True))

    def probe_name(self, key: Any, argument: str) -> str:
        """The name of a Probe, given by itself or by its name."""
        probe = named(key, self.probe_names) if isinstance(key, str) else key
        if probe not in self.probe_names:
            known = ", ".join(repr(n) for n in self.probe_names.values()) or "none"
            raise ValidationError(
                f"{key!r} is not a Probe of this network; those are {known}", attr=argument
            )
        return self.probe_names[probe]

    # -- weights -----------------------------------------------------------------------------------

    def sample_weights(self, weights: Any, targets: Arrays) -> Arrays | None:
        """Weights by name of the probe, of shape (batch, 1) or (batch, n_steps)."""
        if weights is None:
            return None
        if not isinstance(weights, Mapping) and (
            not isinstance(weights, (list, tuple)) or not any(map(feeds.rank, weights))
        ):
            weights = dict.fromkeys(targets, weights)
        by_name = self.by_probe(weights, "sample_weight")
        batch = len(next(iter(targets.values())))
        result = {name: np.ones((batch, 1), dtype=np.float32) for name in targets}
        for name in targets:
            if name in by_name:
                result[name] = _checked_weights(by_name[name], targets[name], name)
        return result

    def class_weights(self, targets: Arrays, class_weight: Mapping[int, float]) -> Arrays:
        """The weight of each target's class."""
        if len(targets) != 1:
            raise ValidationError(
                "class_weight can be used with one probe that has a loss or metric, but there are "
                f"{len(targets)} ({', '.join(targets)}); use sample_weight",
                attr="class_weight",
            )
        ((name, y),) = targets.items()
        classes = np.argmax(y, axis=-1) if y.shape[-1] > 1 else np.round(y[..., 0]).astype(int)
        weights = np.ones(classes.shape, dtype=np.float32)
        if not isinstance(class_weight, Mapping):
            raise ValidationError(
                f"expected a dict of class number -> weight, got {class_weight!r}",
                attr="class_weight",
            )
        for number, weight in class_weight.items():
            if checks.integer(number) is None:
                raise ValidationError(
                    f"expected numbers of classes as keys, got {number!r}", attr="class_weight"
                )
            weight = checks.checked_number(f"class_weight of {number}", weight)
            weights[classes == number] = weight
        return {name: weights}


def is_given(data: Any) -> bool:
    """Whether there is anything in an argument."""
    return data is not None and not (isinstance(data, (Mapping, list, tuple)) and len(data) == 0)


def in_precision(values: Any, dtype: str) -> Any:
    """Values of this type; an array that has it stays where it is."""
    return values if values.dtype == dtype else np.asarray(values, dtype=dtype)


def _checked_weights(weights: Any, targets: np.ndarray, name: str) -> np.ndarray:
    weights = feeds.numbers_of(weights, f"weights of Probe {name!r}", "sample_weight")
    weights = np.asarray(weights, dtype=np.float32)
    batch, n_steps = targets.shape[:2]
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.shape not in ((batch, 1), (batch, n_steps)):
        raise ValidationError(
            f"the sample weights of Probe {name!r} have shape {weights.shape}; expected "
            f"({batch},) or "
            f"({batch}, {n_steps}), one for each item, or for each step of each item",
            attr="sample_weight",
        )
    return weights


def listed(kind: str, names: Sequence[str]) -> str:
    """Names of Nodes or Probes, in words."""
    plural = "" if len(names) == 1 else "s"
    return f"{kind}{plural} " + ", ".join(repr(name) for name in names)
