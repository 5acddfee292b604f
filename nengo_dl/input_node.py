"""Where values enter a network that may be a part of a larger one."""

from __future__ import annotations

from typing import Any

import nengo
from nengo.params import Default


class InputNode(nengo.Node):
    """A Node that passes on what is connected to it, or else the data that it is given.

    Where nothing is connected to it, ``nengo_dl.Simulator`` takes data for it as for a Node
    without input; without data it is zero. Other simulators treat it as ``nengo.Node(size_in=n)``.

    Parameters
    ----------
    size_in : int
        Number of values.
    label, seed
        As in nengo.Node.
    """

    def __init__(self, size_in: int, label: Any = Default, seed: Any = Default):
        super().__init__(output=None, size_in=size_in, label=label, seed=seed)


class ConstantNode(nengo.Node):
    """A Node with an array as output, for which no data is given: it is not an input."""
