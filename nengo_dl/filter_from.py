"""A filter whose output does not begin at zero, as the output of a Node."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.params import NdarrayParam
from nengo.synapses import LinearFilter


class FilterFrom(LinearFilter):
    """A linear filter that has been at rest at some level before the first step.

    Nengo's synapses begin at zero. Every simulator takes it as it takes a `nengo.LinearFilter`.

    Parameters
    ----------
    synapse : nengo.LinearFilter
        The filter.
    initial_level : (size,) array_like
        Its output before the first step.
    """

    initial_level = NdarrayParam("initial_level", shape=("*",))

    def __init__(self, synapse: LinearFilter, initial_level: Any):
        super().__init__(synapse.num, synapse.den, analog=synapse.analog, method=synapse.method)
        self.initial_level = initial_level

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        """The state whose output is the level; that of another size is at zero."""
        begins = shape_out == self.initial_level.shape
        level = np.asarray(self.initial_level) if begins else y0
        return super().make_state(shape_in, shape_out, dt, dtype=dtype, y0=level)
