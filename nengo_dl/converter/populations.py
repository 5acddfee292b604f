"""The neurons of a converted network, and what of the model they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_dl.converter.graph import Shape, Value


@dataclass(frozen=True)
class Population:
    """Neurons of a converted network.

    Attributes
    ----------
    name
        Name of the layer, and of what the neurons are in it.
    value
        The tensor of the model whose size says how high their spikes are to be.
    channels
        For each neuron its channel in that, ...
    channels_of_value
        ... and the channel of each element of that.
    computes_value
        Whether the neurons' output is that tensor.
    takes_back
        Whether their spikes may be negative although their output is not.
    """

    name: str
    value: Value
    channels: np.ndarray
    channels_of_value: np.ndarray
    computes_value: bool = False
    takes_back: bool = False


def channels_of(layer: Any, shape: Shape) -> np.ndarray:
    """The channel of each element of a tensor that a layer computes, or reads."""
    first = getattr(layer, "data_format", None) == "channels_first" and len(shape) > 1
    return np.indices(shape)[0 if first else -1].ravel()
