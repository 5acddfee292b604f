"""What Keras is told: optimizers, epochs, and what batches look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl._private.keras import flattened
from nengo_dl.runtime.backends.protocol import Backend
from nengo_dl.runtime.checks import check_counts, checked_count
from nengo_dl.runtime.sequences.keras_model import NengoModel


@contextmanager
def unless_failing(model: keras.Model) -> Iterator[None]:
    """Context in which the model is compiled; where that fails it stays as it was."""
    before = dict(vars(model))
    try:
        yield
    except BaseException:
        for name, value in before.items():
            if getattr(model, name) is not value:
                setattr(model, name, value)
        raise


def scaled(optimizer: Any, model: NengoModel, auto_scale_loss: bool) -> Any:
    """The optimizer; with a scaled loss where the network, or layers inside it, compute with
    ``float16``, as Keras does it.
    """
    name = type(optimizer).__name__
    if type(optimizer).__module__.startswith("tensorflow.") and name.endswith("Optimizer"):
        raise ValidationError(
            f"{name} is an optimizer of TensorFlow 1; use one of keras.optimizers, such as "
            "Adam, RMSprop or SGD (which has momentum)",
            attr="optimizer",
        )
    optimizer = keras.optimizers.get(optimizer)
    layers = [inner for layer in model.lowered.layers for inner in flattened(layer)]
    types = {model.lowered.settings.half, *(layer.compute_dtype for layer in layers)}
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if "float16" in types and auto_scale_loss and not is_scaled:
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def checked_epochs(kwargs: dict[str, Any]) -> dict[str, int]:
    """The epochs of ``Training.fit``; the other counts are only checked."""
    check_counts(kwargs, "steps_per_epoch", "validation_steps")
    return {
        name: checked_count(name, kwargs.get(name, default), least=0)
        for name, default in (("epochs", 1), ("initial_epoch", 0))
    }


def first_batch(
    data: Sequence[Mapping[str, np.ndarray]], n_items: int, backend: Backend
) -> tuple[dict[str, np.ndarray], ...]:
    """The first items of inputs, targets and weights. JAX has integers in 32 bits, and warns of
    others.
    """

    def first(values: np.ndarray) -> np.ndarray:
        wide = backend.name == "jax" and values.dtype.kind in "iu"
        return values[:n_items].astype(np.int32) if wide else values[:n_items]

    return tuple({name: first(values) for name, values in part.items()} for part in data)
