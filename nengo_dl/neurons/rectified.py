"""Rectified linear neurons with a slope, a bound, a threshold, and their spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.dists import Uniform
from nengo.neurons import RectifiedLinear
from nengo.params import NumberParam


class LeakyReLU(RectifiedLinear):
    """`nengo.RectifiedLinear` that also passes on negative currents, scaled down.

    The output is ``amplitude * J`` for ``J >= 0`` and ``amplitude * negative_slope * J`` below.
    Gains and biases are computed as for RectifiedLinear: the output is the maximum rate at 1, and
    zero at the intercept.

    Parameters
    ----------
    negative_slope : float
        Factor on negative currents; not negative.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        Initial values or distributions of the state variables.

    Examples
    --------
    >>> nengo_dl.LeakyReLU(negative_slope=0.1).rates([[-10.0], [10.0]], gain=[1], bias=[0]).tolist()
    [[-1.0], [10.0]]
    """

    negative = True

    negative_slope = NumberParam("negative_slope", low=0)

    def __init__(
        self,
        negative_slope: float = 0.3,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.negative_slope = negative_slope

    def rates(self, x, gain, bias):
        """Firing rates in hertz, of shape (n_samples, n_neurons), for inputs ``x``."""
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        LeakyReLU.step(self, dt=1, J=J, output=out)
        return out

    def step(self, dt, J, output):
        """Write the firing rates in hertz for the currents ``J`` into ``output``."""
        output[...] = self.amplitude * self._leaky(J)

    def _leaky(self, J):
        return np.where(J < 0, self.negative_slope * J, J)


class ClippedReLU(RectifiedLinear):
    """`nengo.RectifiedLinear` with an upper bound, a threshold and a slope below it.

    The output is ``amplitude`` times ``max_value`` for ``J >= max_value``, ``J`` for
    ``threshold <= J < max_value``, and ``negative_slope * (J - threshold)`` below: the function of
    ``keras.layers.ReLU``. ``nengo.RegularSpiking(ClippedReLU())`` is its spiking version.

    Parameters
    ----------
    max_value : float
        The largest output, before the amplitude.
    negative_slope : float
        Slope below the threshold; not negative.
    threshold : float
        The lowest current at which the output equals the current.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        As in `nengo.RectifiedLinear`; there is no state to give a value to.

    Examples
    --------
    >>> neurons = nengo_dl.ClippedReLU(max_value=6)
    >>> neurons.rates([[-10.0], [3.0], [10.0]], gain=[1], bias=[0]).tolist()
    [[0.0], [3.0], [6.0]]
    """

    max_value = NumberParam("max_value", low=0)
    negative_slope = NumberParam("negative_slope", low=0)
    threshold = NumberParam("threshold")

    def __init__(
        self,
        max_value: float = 6.0,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
    ):
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.max_value, self.negative_slope = max_value, negative_slope
        self.threshold = threshold

    @property
    def negative(self):
        """Whether the output can be negative."""
        return self.negative_slope > 0

    def rates(self, x, gain, bias):
        """Firing rates in hertz, of shape (n_samples, n_neurons), for inputs ``x``."""
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        ClippedReLU.step(self, dt=1, J=J, output=out)
        return out

    def step(self, dt, J, output):
        """Write the firing rates in hertz for the currents ``J`` into ``output``."""
        below = self.negative_slope * (J - self.threshold)
        output[...] = self.amplitude * np.where(
            J < self.threshold, below, np.minimum(J, self.max_value)
        )


class SpikingLeakyReLU(LeakyReLU):
    """Spiking version of `LeakyReLU`, like `nengo.SpikingRectifiedLinear` for RectifiedLinear.

    The voltage integrates the rate of LeakyReLU without its amplitude. In each step, the integer
    part of the voltage, rounded toward zero, is subtracted and emitted as that many spikes of
    height ``amplitude / dt``: positive spikes for a positive voltage, negative spikes for a
    negative voltage.

    Parameters
    ----------
    negative_slope : float
        Factor on negative currents; not negative.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        Initial value or distribution of ``"voltage"``.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     ens = nengo.Ensemble(10, dimensions=1, neuron_type=nengo_dl.SpikingLeakyReLU())
    """

    state = {"voltage": Uniform(low=0, high=1)}
    spiking = True

    def step(self, dt, J, output, voltage):
        """Write the spikes of one time step into ``output``, and the new ``voltage``."""
        voltage += self._leaky(J) * dt
        n_spikes = np.trunc(voltage)
        output[...] = (self.amplitude / dt) * n_spikes
        voltage -= n_spikes
