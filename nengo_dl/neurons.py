"""Neuron types for deep learning, usable in every Nengo simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.dists import Uniform
from nengo.neurons import LIFRate, RectifiedLinear
from nengo.params import NumberParam


class SoftLIFRate(LIFRate):
    """LIF firing rates with a smooth onset, so that they can be differentiated everywhere.

    The ``max(J - 1, 0)`` of the LIF rate is replaced by ``sigma * log(1 + exp((J - 1) / sigma))``
    (Hunsberger and Eliasmith, 2015, "Spiking deep networks with LIF neurons", arXiv:1510.08829,
    equation 4).

    Parameters
    ----------
    sigma : float
        Amount of smoothing, in units of input current; LIFRate as it goes to 0.
    tau_rc, tau_ref
        Membrane time constant and refractory period in seconds.
    amplitude
        Scale of the output.
    """

    sigma = NumberParam("sigma", low=0, low_open=True)

    def __init__(
        self, sigma: float = 1.0, tau_rc: float = 0.02, tau_ref: float = 0.002, **kwargs: Any
    ):
        super().__init__(tau_rc=tau_rc, tau_ref=tau_ref, **kwargs)
        self.sigma = sigma

    def rates(self, x, gain, bias):
        """Firing rates in hertz for inputs ``x``, of shape (samples, neurons)."""
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        self.step(dt=1, J=J, output=out)
        return out

    def step(self, dt, J, output):
        """Rates in hertz for input currents ``J``."""
        x = (J - 1) / self.sigma
        # below about -34 the softplus is exp(x) to rounding, and 1 / j would overflow: log1p(1 / j)
        # -> -log(j)
        j = self.sigma * np.logaddexp(0, np.maximum(x, -30))
        inverse = np.where(x < -30, -x - np.log(self.sigma), np.log1p(1 / j))
        output[...] = self.amplitude / (self.tau_ref + self.tau_rc * inverse)


class LeakyReLU(RectifiedLinear):
    """Rectified linear rates that do not go quite to zero: ``max(J, negative_slope * J)``.

    Parameters
    ----------
    negative_slope : float
        Slope for negative input currents.
    amplitude : float
        Scale of the output.
    """

    negative = True
    negative_slope = NumberParam("negative_slope")

    def __init__(self, negative_slope: float = 0.3, amplitude: float = 1, **kwargs: Any):
        super().__init__(amplitude=amplitude, **kwargs)
        self.negative_slope = negative_slope

    def step(self, dt, J, output):
        """Rates in hertz for input currents ``J``."""
        output[...] = self.amplitude * np.where(J < 0, self.negative_slope * J, J)


class SpikingLeakyReLU(LeakyReLU):
    """The spiking version of `LeakyReLU`, with negative spikes for negative currents.

    The rate is integrated; whole numbers of spikes are emitted as the integral passes them, towards
    either side.
    """

    state = {"voltage": Uniform(low=0, high=1)}
    spiking = True

    def rates(self, x, gain, bias):
        """Firing rates in hertz for inputs ``x``, of shape (samples, neurons)."""
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        LeakyReLU.step(self, dt=1.0, J=J, output=out)
        return out

    def step(self, dt, J, output, voltage):
        """Spikes (amplitude / dt each) for input currents ``J``."""
        voltage += np.where(J < 0, self.negative_slope * J, J) * dt
        n_spikes = np.trunc(voltage)
        output[...] = (self.amplitude / dt) * n_spikes
        voltage -= n_spikes
