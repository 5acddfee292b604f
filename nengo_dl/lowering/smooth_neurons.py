"""Rates that are smooth functions of the current."""

from __future__ import annotations

import keras.ops as ops
import numpy as np

from nengo_dl.lowering.neuron_types import exact_tanh
from nengo_dl.lowering.neurons import register_neurons
from nengo_dl.neurons import ELU, GELU, SiLU


@register_neurons(SiLU)
def silu(context, J, amplitude):
    """`nengo_dl.SiLU`."""
    return amplitude * (J * ops.sigmoid(J))


@register_neurons(GELU)
def gelu(context, J, approximate, amplitude):
    """`nengo_dl.GELU`; which of the two forms may differ between neurons."""
    if np.ndim(approximate) == 0:
        form = _with_tanh if approximate else _with_erf
        return amplitude * (J * form(context, J))
    Phi = ops.where(approximate > 0, _with_tanh(context, J), _with_erf(context, J))
    return amplitude * (J * Phi)


def _with_tanh(context, J):
    return 0.5 * (1 + exact_tanh(context, np.sqrt(2 / np.pi) * (J + 0.044715 * J * J * J)))


def _with_erf(context, J):
    return 0.5 * (1 + ops.erf(J * np.sqrt(0.5)))


@register_neurons(ELU)
def elu(context, J, alpha, amplitude):
    """`nengo_dl.ELU`."""
    return amplitude * ops.where(J < 0, alpha * ops.expm1(ops.minimum(J, 0.0)), J)
