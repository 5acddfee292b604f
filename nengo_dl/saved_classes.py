"""Classes of files that Keras reads, which it finds whether or not their modules are loaded."""

from __future__ import annotations

import importlib
from typing import Any

#: module -> names of the classes that it registers with Keras
CLASSES = {
    "constraints": ("Mean",),
    "layers": (
        "AdaptiveLIF",
        "AdaptiveLIFCell",
        "Alpha",
        "AlphaCell",
        "DelayLines",
        "LIF",
        "LIFCell",
        "LMU",
        "LMUCell",
        "LMUFeedforward",
        "LegendreMemory",
        "LegendreMemoryCell",
        "Lowpass",
        "LowpassCell",
        "RecurrentAdaptiveLIF",
        "RecurrentAdaptiveLIFCell",
        "RecurrentLIF",
        "RecurrentLIFCell",
        "SpikingActivation",
        "SpikingActivationCell",
    ),
    "losses": ("FiringRates", "Regularize"),
    "nengo_layer": ("NengoLayer",),
    "regularizers": ("L1", "L1L2", "L2", "Percentile", "RangedRegularizer"),
    "surrogates": ("arctan", "fast_sigmoid", "triangle"),
}


class _Later:
    """Stands for a class in Keras's registry until its module is loaded, which registers it."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def from_config(self, config: Any) -> Any:
        """As the class itself."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


def register(keras: Any) -> None:
    """Let Keras find `CLASSES`."""
    registry = keras.saving.get_custom_objects()
    for module, names in CLASSES.items():
        for name in names:
            registry.setdefault(f"nengo_dl>{name}", _Later(f"nengo_dl.{module}", name))
