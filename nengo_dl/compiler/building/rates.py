"""Firing rates of ensembles at evaluation points.

Nengo's own functions, where time counts written as a few operations in place on as many numbers as
a cache holds: those of LIF neurons take a fifth of the time, and differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from nengo.neurons import LIFRate, NeuronType, RatesToSpikesNeuronType

#: numbers of a matrix that are read or computed at once: a quarter of a megabyte
BLOCK = 2**15
#: how much longer the membrane's time constant than the refractory period may be for the rate to
#: be exact to 14 digits without `log1p`
LONGEST = 100
#: a current above the threshold whose inverse is finite
SMALLEST = 1e-300


def rates(
    neurons: NeuronType, x: np.ndarray, encoders: np.ndarray, gain: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Firing rates of the neurons of an ensemble.

    Parameters
    ----------
    neurons
        Type of the neurons.
    x
        Evaluation points, of shape (n_points, dimensions).
    encoders
        Encoders over radius, of shape (n_neurons, dimensions).
    gain, bias
        One number for each neuron.

    Returns
    -------
    rates
        In hertz, of shape (n_points, n_neurons).
    """
    rate = _in_place(neurons)
    if rate is None:
        return neurons.rates(np.dot(x, encoders.T), gain, bias)
    weights = np.ascontiguousarray((encoders * gain[:, np.newaxis]).T)
    result = np.empty((len(x), len(bias)))
    with np.errstate(divide="ignore", over="ignore"):
        for rows in blocks(result):
            block = result[rows]
            np.matmul(x[rows], weights, out=block)
            block += bias
            rate(block)
    return result


def blocks(matrix: np.ndarray) -> Iterator[slice]:
    """The rows of a matrix in groups that a cache holds."""
    size = max(1, BLOCK // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), size):
        yield slice(start, start + size)


def _in_place(neurons: NeuronType) -> Callable[[np.ndarray], None] | None:
    """A function that makes rates of input currents, if one is known."""
    while isinstance(neurons, RatesToSpikesNeuronType) and _inherits(
        neurons, RatesToSpikesNeuronType
    ):
        neurons = neurons.base_type
    if isinstance(neurons, LIFRate) and _inherits(neurons, LIFRate):
        return _lif(float(neurons.tau_rc), float(neurons.tau_ref), float(neurons.amplitude))
    return None


def _inherits(neurons: NeuronType, cls: type[NeuronType]) -> bool:
    """Whether rates are those of a class of Nengo's."""
    cls_rates, cls_current = cls.rates, NeuronType.current
    return type(neurons).rates is cls_rates and type(neurons).current is cls_current


def _lif(tau_rc: float, tau_ref: float, amplitude: float) -> Callable[[np.ndarray], None]:
    shift, scale = tau_ref / tau_rc, amplitude / tau_rc

    def rate(j: np.ndarray) -> None:
        j -= 1
        fires = j > 0
        # for zero the rate would be zero by way of infinity, whose logarithm takes twice as long
        np.maximum(j, SMALLEST, out=j)
        np.divide(1, j, out=j)
        if tau_rc <= LONGEST * tau_ref:
            j += 1
            np.log(j, out=j)
        else:
            np.log1p(j, out=j)
        j += shift
        np.divide(scale, j, out=j)
        j *= fires

    return rate
