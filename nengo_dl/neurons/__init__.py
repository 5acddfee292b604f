"""Neuron types for networks that are trained or converted; they run in nengo.Simulator too."""

from nengo_dl.neurons.integrated import IntegratedSpiking, RunningMean
from nengo_dl.neurons.rectified import ClippedReLU, LeakyReLU, SpikingLeakyReLU
from nengo_dl.neurons.smooth import ELU, GELU, SiLU
from nengo_dl.neurons.soft_lif import SoftLIFRate

__all__ = [
    "ELU",
    "GELU",
    "ClippedReLU",
    "IntegratedSpiking",
    "LeakyReLU",
    "RunningMean",
    "SiLU",
    "SoftLIFRate",
    "SpikingLeakyReLU",
]
