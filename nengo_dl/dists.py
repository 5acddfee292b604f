"""Distributions for initial weights, as used in deep learning, in the form of `nengo.dists`.

Use them wherever Nengo takes a distribution, e.g. for the weights of a connection::

    nengo.Connection(a.neurons, b.neurons, transform=nengo_dl.dists.Glorot())
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from nengo.dists import Distribution
from nengo.exceptions import ValidationError
from nengo.params import EnumParam, NumberParam
from nengo.utils.numpy import is_integer

__all__ = ["Glorot", "He", "TruncatedNormal", "VarianceScaling"]

#: standard deviation of a standard normal distribution without what is further than 2 from 0; Keras
#: divides by it where it cuts a normal distribution
_STDDEV_WITHIN_2 = 0.87962566103423978


class TruncatedNormal(Distribution):
    """Normal distribution; values further than ``limit`` from the mean are drawn again.

    Parameters
    ----------
    mean : float
        Mean of the distribution.
    stddev : float
        Standard deviation of the distribution before truncation, which reduces it; not negative.
    limit : float, optional
        Largest distance from the mean; not negative. By default two standard deviations.

    Examples
    --------
    >>> distribution = nengo_dl.dists.TruncatedNormal(mean=1, stddev=0.5)
    >>> values = distribution.sample(1000, rng=np.random.RandomState(0))
    >>> np.all(np.abs(values - 1) <= 1.0).item()  # two standard deviations
    True
    """

    mean = NumberParam("mean")
    stddev = NumberParam("stddev", low=0)
    limit = NumberParam("limit", low=0)

    def __init__(self, mean: float = 0, stddev: float = 1, limit: float | None = None):
        super().__init__()
        self.mean = mean
        self.stddev = stddev
        self.limit = 2 * stddev if limit is None else limit

    def sample(
        self, n: int, d: int | Sequence[int] | None = None, rng: Any = np.random
    ) -> np.ndarray:
        """Draw values.

        Parameters
        ----------
        n, d
            The shape is (n,) without ``d``, (n, d), or ``(n, *d)`` where ``d`` is several numbers.
        rng : numpy.random.RandomState, optional
            Where the random numbers come from; None is ``np.random``.
        """
        rng = np.random if rng is None else rng
        shape = _shape(n, d)
        values = np.empty(math.prod(shape))
        missing = np.ones(values.size, dtype=bool)
        while np.any(missing):
            drawn, accepted = self._propose(int(np.count_nonzero(missing)), rng)
            values[missing] = drawn
            missing[missing] = ~accepted
        return self.mean + values.reshape(shape)

    def _propose(self, size: int, rng: Any) -> tuple[np.ndarray, np.ndarray]:
        """Differences from the mean, and which of them are to be kept."""
        if self.limit >= 0.5 * self.stddev:
            values = rng.normal(scale=self.stddev, size=size)
            return values, np.abs(values) <= self.limit
        # few normal values would be within the limit, where the distribution is nearly flat
        values = rng.uniform(-self.limit, self.limit, size=size)
        return values, rng.uniform(size=size) < np.exp(-0.5 * (values / self.stddev) ** 2)


class VarianceScaling(Distribution):
    """Values around zero whose variance is ``scale`` divided by the number of connections.

    Parameters
    ----------
    scale : float
        Numerator of the variance, as in ``keras.initializers.VarianceScaling``; not negative.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Denominator: the number of inputs per output, the number of outputs per input, or their
        mean.
    distribution : {"uniform", "normal", "truncated_normal", "untruncated_normal"}
        "uniform" is uniform between plus and minus ``sqrt(3 * variance)``. "untruncated_normal" is
        normal with that variance. "normal" also draws values again that are further than two
        standard deviations from 0, which reduces the variance to 0.774 of its value.
        "truncated_normal" does the same with a wider normal distribution, so that the truncated
        distribution has the right variance (as truncated normal distributions in
        ``keras.initializers``).

    Notes
    -----
    Nengo samples a dense matrix with ``sample(size_out, size_in)``. It samples a convolution's
    kernel one position at a time, with ``sample(channels_in, n_filters)``, so the number of
    positions is unknown. To take all positions into account, pass an array to the convolution::

        n, *d = kernel_size + (channels_in, n_filters)
        nengo.Convolution(..., init=nengo_dl.dists.He().sample(n, d))

    Examples
    --------
    >>> distribution = nengo_dl.dists.VarianceScaling(scale=2, mode="fan_in")
    >>> weights = distribution.sample(100, 400, rng=np.random.RandomState(0))
    >>> round(weights.var().item(), 3)  # 2 / 400
    0.005
    """

    scale = NumberParam("scale", low=0)
    mode = EnumParam("mode", values=("fan_in", "fan_out", "fan_avg"))
    distribution = EnumParam(
        "distribution", values=("uniform", "normal", "truncated_normal", "untruncated_normal")
    )

    def __init__(self, scale: float = 1, mode: str = "fan_avg", distribution: str = "uniform"):
        super().__init__()
        self.scale = scale
        self.mode = mode
        self.distribution = distribution

    def sample(
        self, n: int, d: int | Sequence[int] | None = None, rng: Any = np.random
    ) -> np.ndarray:
        """Draw values.

        Parameters
        ----------
        n, d
            The shape is (n, d), for ``n`` outputs with ``d`` inputs each, or (n,), for ``n``
            outputs with one input. Where ``d`` is several numbers, the shape is ``(n, *d)`` and
            that of a convolution's kernel, ``kernel_size + (channels_in, n_filters)``, or, with one
            number, (n, d). In a kernel inputs and outputs count at all positions.
        rng : numpy.random.RandomState, optional
            Where the random numbers come from; None is ``np.random``.
        """
        rng = np.random if rng is None else rng
        shape = _shape(n, d)
        variance = self._numerator() / max(1.0, self._fan(*_fans(shape)))
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return rng.uniform(-limit, limit, size=shape)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return rng.normal(scale=stddev, size=shape)
        if self.distribution == "truncated_normal":
            stddev /= _STDDEV_WITHIN_2
        return TruncatedNormal(stddev=stddev).sample(n, d, rng=rng)

    def _numerator(self) -> float:
        return self.scale

    def _fan(self, fan_in: int, fan_out: int) -> float:
        return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]


class Glorot(VarianceScaling):
    """`VarianceScaling` by the mean of the numbers of inputs and of outputs.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010; ``keras.initializers.GlorotUniform`` and ``GlorotNormal``.

    Parameters
    ----------
    scale : float
        Factor on the variance; not negative.
    distribution : {"uniform", "normal", "truncated_normal", "untruncated_normal"}
        As in `VarianceScaling`.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     a, b = nengo.Ensemble(40, dimensions=1), nengo.Ensemble(60, dimensions=1)
    ...     conn = nengo.Connection(a.neurons, b.neurons, transform=nengo_dl.dists.Glorot())
    >>> nengo_dl.dists.Glorot().sample(60, 40).shape  # (inputs of b, outputs of a)
    (60, 40)
    """

    def __init__(self, scale: float = 1, distribution: str = "uniform"):
        super().__init__(scale=scale, mode="fan_avg", distribution=distribution)


class He(VarianceScaling):
    """`VarianceScaling` by the number of inputs.

    He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet
    classification", 2015. With ``scale=math.sqrt(2)``, which is right for rectifiers, and "uniform"
    it is ``keras.initializers.HeUniform``, with "truncated_normal" ``HeNormal``.

    Parameters
    ----------
    scale : float
        Factor on the standard deviation; not negative.
    distribution : {"normal", "uniform", "truncated_normal", "untruncated_normal"}
        As in `VarianceScaling`.

    Examples
    --------
    >>> weights = nengo_dl.dists.He(scale=2**0.5).sample(100, 400, rng=np.random.RandomState(0))
    >>> round((weights.var() * 400).item(), 1)  # "normal" leaves 0.774 of the variance of 2
    1.5
    """

    def __init__(self, scale: float = 1, distribution: str = "normal"):
        super().__init__(scale=scale, mode="fan_in", distribution=distribution)

    def _numerator(self) -> float:
        return self.scale**2


def _shape(n: int, d: int | Sequence[int] | None) -> tuple[int, ...]:
    rest = () if d is None else tuple(d) if isinstance(d, Sequence) else (d,)
    if not all(is_integer(size) and size >= 0 for size in (n, *rest)):
        raise ValidationError(
            f"expected integers that are not negative; got {(n, *rest)}", attr="n"
        )
    return (n, *rest)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of inputs of an output, and of outputs of an input."""
    if len(shape) <= 2:
        return (1 if len(shape) == 1 else shape[1]), shape[0]
    positions = math.prod(shape[:-2])
    return positions * shape[-2], positions * shape[-1]
