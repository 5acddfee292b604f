"""Keras models into Nengo networks."""

from nengo_dl.converter import (
    activation,
    convolution,
    dense,
    merge,
    noise,
    normalization,
    pooling,
    recurrent,
    shape,
    spiking_layers,
)
from nengo_dl.converter.base import LayerConverter, NotConvertible
from nengo_dl.converter.core import Converter

__all__ = [
    "Converter",
    "LayerConverter",
    "NotConvertible",
    "activation",
    "convolution",
    "dense",
    "merge",
    "noise",
    "normalization",
    "pooling",
    "recurrent",
    "shape",
    "spiking_layers",
]
