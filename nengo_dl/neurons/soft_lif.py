"""`nengo.LIFRate` with a smooth threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.neurons import LIFRate
from nengo.params import NumberParam

#: below this, softplus(x) is exp(x) to double precision
_SMALL_SOFTPLUS = -37.0


class SoftLIFRate(LIFRate):
    r"""`nengo.LIFRate` with a smooth firing threshold, so that it is differentiable everywhere.

    The output is

    .. math:: \frac{\text{amplitude}}{\tau_{ref} + \tau_{rc} \log(1 + 1 / j)}, \qquad
       j = \sigma \log\left(1 + e^{(J - 1) / \sigma}\right)

    from Hunsberger and Eliasmith, "Spiking deep networks with LIF neurons", 2015
    (https://arxiv.org/abs/1510.08829). For :math:`\sigma \to 0`, it is the output of LIFRate.

    Gains and biases are computed as for LIFRate, so this type can replace LIF in training, and LIF
    can replace it afterwards, with the same parameters. ``max_rates`` and ``intercepts`` therefore
    refer to neurons without smoothing: neurons fire slightly at the intercept and below, and they
    exceed maximum rates whose current is less than a few ``sigma`` above the threshold.

    Parameters
    ----------
    sigma : float
        Width of the smoothing, in units of the threshold current; positive.
    tau_rc : float
        Time constant of the membrane, in seconds.
    tau_ref : float
        Refractory period, in seconds.
    amplitude : float
        Factor on the output.
    initial_state : dict, optional
        As in `nengo.LIFRate`; there is no state to give a value to.

    Examples
    --------
    >>> neurons = nengo_dl.SoftLIFRate(sigma=0.1)
    >>> neurons.rates([[0.9], [1.0], [2.0]], gain=[1], bias=[0]).round(0).ravel().tolist()
    [14.0, 18.0, 63.0]
    """

    sigma = NumberParam("sigma", low=0, low_open=True)

    def __init__(
        self,
        sigma: float = 1.0,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
    ):
        super().__init__(
            tau_rc=tau_rc, tau_ref=tau_ref, amplitude=amplitude, initial_state=initial_state
        )
        self.sigma = sigma

    def rates(self, x, gain, bias):
        """Firing rates in hertz, of shape (n_samples, n_neurons), for inputs ``x``."""
        J = self.current(x, gain, bias)
        out = np.zeros_like(J)
        SoftLIFRate.step(self, dt=1, J=J, output=out)
        return out

    def step(self, dt, J, output):
        """Write the firing rates in hertz for the currents ``J`` into ``output``."""
        x = (J - 1) / self.sigma
        small = x < _SMALL_SOFTPLUS
        j = self.sigma * np.logaddexp(0, np.where(small, 0, x))
        # log(1 + 1 / j) is -log(j) for a j that is too small to divide by
        log = np.where(small, -x - np.log(self.sigma), np.log1p(1 / j))
        output[...] = self.amplitude / (self.tau_ref + self.tau_rc * log)
