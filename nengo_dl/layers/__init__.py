"""Spiking neurons, filters and memories as Keras layers, with every backend of Keras."""

from nengo_dl.layers.arguments import default
from nengo_dl.layers.attributes import UnitAttribute
from nengo_dl.layers.cell import Cell
from nengo_dl.layers.filters import Alpha, AlphaCell, Lowpass, LowpassCell
from nengo_dl.layers.legendre import LegendreMemory, LegendreMemoryCell
from nengo_dl.layers.lmu import LMU, LMUFeedforward
from nengo_dl.layers.lmu_cell import LMUCell
from nengo_dl.layers.neurons import LIF, AdaptiveLIF, AdaptiveLIFCell, LIFCell
from nengo_dl.layers.recurrent import (
    DelayLines,
    RecurrentAdaptiveLIF,
    RecurrentAdaptiveLIFCell,
    RecurrentLIF,
    RecurrentLIFCell,
)
from nengo_dl.layers.sequence_layer import SequenceLayer
from nengo_dl.layers.spiking import SpikingActivation, SpikingActivationCell

__all__ = [
    "LIF",
    "LMU",
    "AdaptiveLIF",
    "AdaptiveLIFCell",
    "Alpha",
    "AlphaCell",
    "Cell",
    "DelayLines",
    "LIFCell",
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
    "SequenceLayer",
    "SpikingActivation",
    "SpikingActivationCell",
    "UnitAttribute",
    "default",
]
