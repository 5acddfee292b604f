"""A name that other packages look up.

nengo_loihi 1.1 enters the TensorFlow code of its neuron types in
``nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL`` as soon as it makes one, and cannot
simulate where that is missing. What is entered is not used: these neuron types run as any others
do, by their own NumPy step, or by what `nengo_dl.register_neurons` is given.
"""

from __future__ import annotations

from typing import Any


class SimNeuronsBuilder:
    """Holds what other packages enter.

    Attributes
    ----------
    TF_NEURON_IMPL
        Neuron type -> a class of the package that entered it.
    """

    TF_NEURON_IMPL: dict[type, Any] = {}
