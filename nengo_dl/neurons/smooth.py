"""Rates that are smooth functions of the current, as layers of Keras have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.neurons import RectifiedLinear
from nengo.params import BoolParam, NumberParam
from scipy.special import erf, expit


class SiLU(RectifiedLinear):
    """Rates ``amplitude * J * sigmoid(J)``, also called swish.

    From Elfwing, Uchibe and Doya, 2018, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning" (https://arxiv.org/abs/1702.03118). For negative
    currents, the output is negative, with a minimum of -0.28.

    Gains and biases are computed as for `nengo.RectifiedLinear`, which the output approaches for
    currents far from 0. ``nengo.RegularSpiking`` and `IntegratedSpiking` are spiking versions.

    Parameters
    ----------
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        As in `nengo.RectifiedLinear`; there is no state to give a value to.

    Examples
    --------
    >>> with nengo.Network():
    ...     ens = nengo.Ensemble(50, 1, neuron_type=nengo_dl.SiLU())
    """

    negative = True

    def step(self, dt, J, output):
        """Write the rates for the currents ``J`` into ``output``."""
        output[...] = self.amplitude * (J * expit(J))


class GELU(RectifiedLinear):
    """Rates ``amplitude * J * Phi(J)``, where Phi is the cumulative distribution function of the
    normal distribution.

    From Hendrycks and Gimpel, 2016, "Gaussian error linear units"
    (https://arxiv.org/abs/1606.08415). Gains and biases are computed as for
    `nengo.RectifiedLinear`.

    Parameters
    ----------
    approximate : bool
        Whether Phi is computed with a hyperbolic tangent, as many models do.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        As in `nengo.RectifiedLinear`; there is no state to give a value to.
    """

    negative = True

    approximate = BoolParam("approximate")

    def __init__(
        self,
        approximate: bool = False,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.approximate = approximate

    def step(self, dt, J, output):
        """Write the rates for the currents ``J`` into ``output``."""
        if self.approximate:
            Phi = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (J + 0.044715 * J**3)))
        else:
            Phi = 0.5 * (1 + erf(J / np.sqrt(2)))
        output[...] = self.amplitude * (J * Phi)


class ELU(RectifiedLinear):
    """Rates ``amplitude * J`` for ``J >= 0``, and ``amplitude * alpha * (exp(J) - 1)`` below.

    From Clevert, Unterthiner and Hochreiter, 2015, "Fast and accurate deep network learning by
    exponential linear units" (https://arxiv.org/abs/1511.07289). Gains and biases are computed as
    for `nengo.RectifiedLinear`.

    Parameters
    ----------
    alpha : float
        Absolute value of the limit of the output for very negative currents; not negative.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        As in `nengo.RectifiedLinear`; there is no state to give a value to.
    """

    negative = True

    alpha = NumberParam("alpha", low=0)

    def __init__(
        self,
        alpha: float = 1.0,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.alpha = alpha

    def step(self, dt, J, output):
        """Write the rates for the currents ``J`` into ``output``."""
        output[...] = self.amplitude * np.where(J < 0, self.alpha * np.expm1(np.minimum(J, 0)), J)
