"""Time constants in Nengo and in NIR.

NIR describes neurons by differential equations. Nengo solves them exactly for inputs that are
constant over a step: ``v += (1 - exp(-dt / tau)) * (J - v)``. The libraries that read NIR take a
step of Euler's method, ``v += dt / tau * (J - v)``, with time constants and steps of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.runtime.checks import number

METHODS = ("exact", "euler")

#: a leaky neuron with at least this time constant, in seconds, stands for one without a leak
NO_LEAK = 1e5
#: and one whose time constant is at most this part of a step for one that follows its input
NO_MEMORY = 1e-3


@dataclass(frozen=True)
class Times:
    """How time constants are written and read.

    Parameters
    ----------
    dt
        Time step of the Nengo simulation, in seconds.
    method
        "exact": time constants are what they are; "euler": they are such that a step of Euler's
        method does what Nengo's exact step does.
    nir_dt
        Time step, in seconds, of what runs the graph. All times are scaled by ``nir_dt / dt``, so
        that a step there is a step here.
    """

    dt: float
    method: str = "exact"
    nir_dt: float | None = None

    def __post_init__(self):
        if not isinstance(self.method, str) or self.method not in METHODS:
            raise ValidationError(
                f"expected one of {', '.join(METHODS)}, got {self.method!r}", attr="method"
            )
        for name in ("dt", "nir_dt"):
            value = getattr(self, name)
            if value is not None and not 0 < number(value) < np.inf:
                raise ValidationError(f"expected a number of seconds > 0, got {value!r}", attr=name)

    @property
    def scale(self) -> float:
        """A second of Nengo's time in NIR."""
        return 1.0 if self.nir_dt is None else self.nir_dt / self.dt

    @property
    def written_dt(self) -> float:
        """Time step of what runs the graph."""
        return self.dt if self.nir_dt is None else self.nir_dt

    def to_nir(self, tau: float) -> float:
        """The time constant that NIR has for one of Nengo."""
        if self.method == "euler":
            tau = self.dt / -np.expm1(-self.dt / tau)
        return float(tau * self.scale)

    def from_nir(self, tau: float, name: str) -> float:
        """The time constant that Nengo has for one of NIR, of the node called ``name``."""
        tau = float(tau) / self.scale
        if not tau > 0:
            raise ValidationError(f"{name!r} has a time constant of {tau}; expected one > 0", "tau")
        if self.method == "exact":
            return tau
        ratio = self.dt / tau
        if ratio > 1 + 1e-9:
            raise ValidationError(
                f"{name!r} has a time constant of {tau:g} s, less than the time step of "
                f"{self.dt:g} s, with which Euler's method cannot run it. Give from_nir the dt "
                "for which the graph was written",
                attr="dt",
            )
        if ratio > 1 - 1e-9:  # what was there before is forgotten in a step
            return self.dt * NO_MEMORY
        return float(-self.dt / np.log1p(-ratio))
