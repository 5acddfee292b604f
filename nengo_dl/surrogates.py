"""Surrogate derivatives of spikes, for training with spikes.

With ``configure_settings(surrogate=...)``, neurons also spike in training. The derivative of a
spike with respect to the excess of the membrane voltage over the threshold is zero almost
everywhere. In the backward pass, it is replaced by a function of this excess (Neftci, Mostafa and
Zenke, 2019, "Surrogate gradient learning in spiking neural networks", arXiv:1901.09948). Voltages
are in units of the threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops
from nengo.exceptions import ConfigError
from nengo.utils.numpy import is_number

__all__ = ["RateDerivative", "arctan", "fast_sigmoid", "get", "triangle"]


class _Shape:
    """A function with one positive parameter, which Keras saves with a layer."""

    def __post_init__(self) -> None:
        for name, value in self.get_config().items():
            if not is_number(value) or not value > 0:
                raise ConfigError(f"{name} was given {value!r}; expected a positive number")

    def get_config(self) -> dict[str, Any]:
        """The parameter by its name."""
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> _Shape:
        """The function of a `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="nengo_dl")
@dataclass(frozen=True)
class fast_sigmoid(_Shape):
    """``1 / (1 + slope |x|)^2`` (Zenke and Ganguli, 2018, "SuperSpike").

    Examples
    --------
    >>> derivative = nengo_dl.surrogates.fast_sigmoid(slope=10.0)
    >>> float(derivative(0.0)), float(derivative(0.1))
    (1.0, 0.25)
    >>> with nengo.Network() as net:
    ...     nengo_dl.configure_settings(surrogate=derivative)
    """

    slope: float = 25.0

    def __call__(self, x: Any) -> Any:
        return 1.0 / ops.square(1.0 + self.slope * ops.abs(x))


@keras.saving.register_keras_serializable(package="nengo_dl")
@dataclass(frozen=True)
class arctan(_Shape):
    """``(alpha / 2) / (1 + (pi/2 alpha x)^2)`` (Fang et al., 2021, "Incorporating learnable
    membrane time constant").

    Examples
    --------
    >>> float(nengo_dl.surrogates.arctan(alpha=2.0)(0.0))
    1.0
    """

    alpha: float = 2.0

    def __call__(self, x: Any) -> Any:
        return (self.alpha / 2.0) / (1.0 + ops.square(1.5707963267948966 * self.alpha * x))


@keras.saving.register_keras_serializable(package="nengo_dl")
@dataclass(frozen=True)
class triangle(_Shape):
    """``max(0, 1 - |x| / width) / width`` (Bellec et al., 2018, "Long short-term memory and
    learning-to-learn").

    Examples
    --------
    >>> derivative = nengo_dl.surrogates.triangle(width=1.0)
    >>> float(derivative(0.25)), float(derivative(2.0))
    (0.75, 0.0)
    """

    width: float = 1.0

    def __call__(self, x: Any) -> Any:
        return ops.maximum(0.0, 1.0 - ops.abs(x) / self.width) / self.width


class RateDerivative:
    """The derivative of the neuron type's firing rate with respect to its input current, instead of
    a function of the voltage.

    For LIF neurons, this is the derivative of `nengo_dl.SoftLIFRate` if ``lif_smoothing`` is set.

    Examples
    --------
    >>> layer = nengo_dl.layers.LIF(surrogate="softlif", lif_smoothing=0.5)
    """


_NAMED: dict[str, Callable[[], Any]] = {
    "fast_sigmoid": fast_sigmoid,
    "arctan": arctan,
    "triangle": triangle,
    "softlif": RateDerivative,
    "rate": RateDerivative,
}


def get(surrogate: Any) -> Any:
    """Return the surrogate with a name; a surrogate itself (a function of the excess, or a
    `RateDerivative`) is returned unchanged.

    Raises
    ------
    nengo.exceptions.ConfigError
        If it is neither a name nor a surrogate.

    Examples
    --------
    >>> float(nengo_dl.surrogates.get("triangle")(0.0))
    1.0
    """
    if surrogate is None or isinstance(surrogate, RateDerivative):
        return surrogate
    if isinstance(surrogate, str) and surrogate in _NAMED:
        return _NAMED[surrogate]()
    if callable(surrogate):
        return surrogate
    raise ConfigError(
        f"the setting 'surrogate' was given {surrogate!r}; expected a function of the voltage's "
        "excess over the "
        f"threshold, or one of {', '.join(sorted(_NAMED))}"
    )
