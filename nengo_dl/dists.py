"""Distributions that deep learning draws initial weights from, as Nengo distributions.

As the ``transform`` of a connection between neurons they are drawn with the shape of the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.dists import Distribution
from nengo.exceptions import ValidationError
from nengo.params import EnumParam, NumberParam

#: standard deviation of a standard normal distribution truncated at +-2 (as in
#: keras.initializers.VarianceScaling)
_TRUNCATED_STDDEV = 0.87962566103423978


class TruncatedNormal(Distribution):
    """A normal distribution without its tails: samples beyond ``limit`` from the mean are drawn
    again.

    Parameters
    ----------
    mean, stddev : float
        Of the distribution before it is truncated.
    limit : float, optional
        Largest distance from the mean; ``2 * stddev`` by default.
    """

    mean = NumberParam("mean")
    stddev = NumberParam("stddev", low=0)
    limit = NumberParam("limit", low=0, low_open=True, optional=True)

    def __init__(self, mean: float = 0, stddev: float = 1, limit: float | None = None):
        super().__init__()
        self.mean, self.stddev = mean, stddev
        self.limit = limit if limit is not None or stddev == 0 else 2 * stddev

    def sample(self, n: int, d: Any = None, rng: Any = np.random) -> np.ndarray:
        """Samples of shape (n,) or (n, d)."""
        shape = _sample_shape(n, d)
        samples = rng.normal(self.mean, self.stddev, size=shape)
        while self.limit is not None:
            outside = np.abs(samples - self.mean) > self.limit
            if not np.any(outside):
                break
            samples[outside] = rng.normal(self.mean, self.stddev, size=np.count_nonzero(outside))
        return samples


class VarianceScaling(Distribution):
    """Weights with a variance of ``scale / n``, as ``keras.initializers.VarianceScaling``.

    Parameters
    ----------
    scale : float
        Scaling factor.
    mode : "fan_in", "fan_out" or "fan_avg"
        What ``n`` is: the number of inputs of an output, of outputs of an input, or the average of
        the two.
    distribution : "uniform" or "normal"
        Uniform, or a normal distribution truncated at two standard deviations.
    """

    scale = NumberParam("scale", low=0)
    mode = EnumParam("mode", values=("fan_in", "fan_out", "fan_avg"))
    distribution = EnumParam("distribution", values=("uniform", "normal"))

    def __init__(self, scale: float = 1, mode: str = "fan_avg", distribution: str = "uniform"):
        super().__init__()
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def sample(self, n: int, d: Any = None, rng: Any = np.random) -> np.ndarray:
        r"""Samples of shape (n,) or (n, d), where n is the number of outputs and d that of inputs.

        A ``d`` of several numbers makes (n, *d) a convolution kernel as Nengo stores it:
        (*kernel_size, channels in, channels out).
        """
        shape = _sample_shape(n, d)
        variance = self.scale / max(1.0, self._fan(shape))
        if self.distribution == "uniform":
            limit = np.sqrt(3.0 * variance)
            return rng.uniform(-limit, limit, size=shape)
        stddev = np.sqrt(variance) / _TRUNCATED_STDDEV
        return TruncatedNormal(stddev=stddev).sample(n, d, rng=rng)

    def _fan(self, shape: tuple[int, ...]) -> float:
        if len(shape) <= 2:
            fan_out, fan_in = shape[0], shape[-1]
        else:
            field = np.prod(shape[:-2])
            fan_in, fan_out = field * shape[-2], field * shape[-1]
        return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]


class Glorot(VarianceScaling):
    """Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks".
    """

    def __init__(self, scale: float = 1, distribution: str = "uniform"):
        super().__init__(scale=scale, mode="fan_avg", distribution=distribution)


class He(VarianceScaling):
    """He et al. (2015), "Delving deep into rectifiers" (a ``scale`` of 2 is theirs for rectified
    linear neurons).
    """

    def __init__(self, scale: float = 1, distribution: str = "normal"):
        super().__init__(scale=scale, mode="fan_in", distribution=distribution)


def _sample_shape(n: int, d: Any) -> tuple[int, ...]:
    if n < 0:
        raise ValidationError(f"the number of samples must not be negative, got {n}", attr="n")
    return (n,) if d is None else (n, *np.atleast_1d(d).tolist())
