"""Filters as functions of their time constant, in the discretization that Nengo uses: input held
constant over a step (zero-order hold), and the state after it.
"""

from __future__ import annotations

from typing import Any

import keras.ops as ops


def lowpass_decay(tau: Any, dt: Any) -> Any:
    """What a lowpass filter ``1 / (tau s + 1)`` keeps of its level in a step, ``exp(-dt / tau)``.

    The level becomes ``u + decay * (level - u)``.
    """
    return ops.exp(-dt / tau)


def alpha_coefficients(tau: Any, dt: Any) -> Any:
    """Numbers that `alpha_step` needs for filters ``1 / (tau s + 1)^2``: four, on a new first axis.

    With the realization of `nengo.utils.filter_design.tf2ss`, ``A = [[-2/tau, -1/tau^2], [1, 0]]``
    and ``B = [1, 0]``. A has the eigenvalue ``-1/tau`` twice, so with ``r = dt / tau``
    ``exp(A dt) = exp(-r) (1 + (A + 1/tau) dt)``. What is stored is ``exp(A dt) - 1``: the state
    comes to rest exactly where it should, however small ``r`` is.
    """
    r = dt / tau
    decay = ops.exp(-r)
    # 1 - (1 + r) exp(-r) loses all digits for a small r; there the first terms of its series do
    small = r < 0.05
    s = ops.where(small, r, 0.05)
    series = s * s * (1 / 2 - s * (1 / 3 - s * (1 / 8 - s * (1 / 30 - s * (1 / 144 - s / 840)))))
    series = series + s**8 / 5760
    gap = ops.where(small, series, -ops.expm1(-r) - r * decay)
    return ops.stack([ops.expm1(-r) - r * decay, decay * dt, gap, tau + 0 * r])


def alpha_step(coefficients: Any, u: Any, rate: Any, level: Any) -> tuple[Any, Any, Any]:
    """One step of alpha filters: the output, and the new state.

    Parameters
    ----------
    coefficients
        Of `alpha_coefficients`.
    u
        The input.
    rate, level
        The two parts of the state; at rest 0 and ``tau^2`` times the output.
    """
    fall, gain, gap, tau = coefficients[0], coefficients[1], coefficients[2], coefficients[3]
    missing = u - level / (tau * tau)
    new_rate = rate + fall * rate + gain * missing
    level = level + gain * rate + gap * (tau * tau * missing)
    return level / (tau * tau), new_rate, level
