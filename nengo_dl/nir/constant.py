"""A Node whose value belongs to the network, unlike that of an input."""

from __future__ import annotations

from nengo import Node


class Constant(Node):
    """A Node with a constant output that is a part of the network: a bias.

    Where a network is written as NIR a Node without input is an input of the graph. One of this
    class is not: its value is folded into biases.
    """
