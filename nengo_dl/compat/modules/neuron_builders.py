"""Builders of neuron types, which NengoDL 3 had and in which other packages enter theirs.

nengo_loihi 1.1 enters those of its neuron types as soon as it makes one. What is entered is not
used: neuron types run by their own NumPy step, or by what `nengo_dl.register_neurons` was given.
"""

from __future__ import annotations

import warnings
from typing import Any

from nengo_dl.compat.builders import OpBuilder, builders_of

__all__ = ["SimNeuronsBuilder"]

__getattr__ = builders_of("nengo_dl.neuron_builders")


class _Implementations(dict):
    """Takes builders, and warns where nothing else computes the neuron type."""

    def __setitem__(self, neuron_type: type, builder: Any) -> None:
        from nengo_dl.lowering.neurons import lowering_of_type

        super().__setitem__(neuron_type, builder)
        if lowering_of_type(neuron_type) is None:
            warnings.warn(
                f"SimNeuronsBuilder.TF_NEURON_IMPL is deprecated: {builder} is not used, neurons "
                f"of type {neuron_type.__name__} run by their own NumPy step, without a gradient. "
                "To compute them in tensors, use nengo_dl.register_neurons",
                DeprecationWarning,
                stacklevel=2,
            )


class SimNeuronsBuilder(OpBuilder):
    """Holds what is entered.

    Attributes
    ----------
    TF_NEURON_IMPL
        Neuron type -> a class of the package that entered it.
    """

    TF_NEURON_IMPL: dict[type, Any] = _Implementations()
