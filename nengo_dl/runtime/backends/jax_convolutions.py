"""Convolutions as XLA's compiler for the CPU wants them, wherever they are.

XLA has a library for convolutions of images (batch, ..., channels) with kernels (..., channels in,
channels out), and brings others into this form by transposing, but only outside of loops. Inside,
those of another form are a loop over single numbers. The gradients of a convolution have another
form, whatever that of the convolution is: with respect to a kernel they took 10 to 25 times as
long inside of a loop as outside (https://github.com/jax-ml/jax/issues/12868). So the transposition
is written out here, where JAX hands a convolution to XLA.

It is so for all that JAX compiles in the process, since gradients are taken by JAX, and networks
are layers of other models. Results change by no more than rounding. With
``NENGO_DL_JAX_CONVOLUTIONS=0`` in the environment convolutions stay as JAX has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax import lax
from jax.interpreters import mlir

from nengo_dl._private.jax import lowering_rule
from nengo_dl.process_settings import may_set

CONVOLUTION = lax.conv_general_dilated_p


def write_out_transpositions() -> None:
    """Let JAX lower convolutions for the CPU in the form that XLA has a library for."""
    if not may_set("jax convolutions"):
        return
    given = lowering_rule(CONVOLUTION, "cpu")
    if given is not None:  # else training takes longer and is as right
        mlir.register_lowering(CONVOLUTION, _rule(given), platform="cpu")


def _rule(lower):
    """The rule by which a convolution is lowered, from that of one whose form is left as it is."""

    def rule(ctx, lhs, rhs, **settings):
        given = settings["dimension_numbers"]
        wanted = _form(len(given.lhs_spec))
        # many groups are faster in a loop over single numbers
        keep = settings["feature_group_count"] > 1 or settings.get("out_sharding") is not None
        if given == wanted or keep:
            return lower(ctx, lhs, rhs, **settings)

        def convolve(lhs, rhs):
            lhs = _moved(lhs, given.lhs_spec, wanted.lhs_spec)
            rhs = _moved(rhs, given.rhs_spec, wanted.rhs_spec)
            result = CONVOLUTION.bind(lhs, rhs, **{**settings, "dimension_numbers": wanted})
            return _moved(result, wanted.out_spec, given.out_spec)

        return mlir.lower_fun(convolve, multiple_results=False)(ctx, lhs, rhs)

    return rule


def _form(n: int) -> lax.ConvDimensionNumbers:
    """The form that XLA has a library for, of tensors with n dimensions; each part is where batch
    (or channels out), channels (in) and the spatial dimensions are.
    """
    images = (0, n - 1, *range(1, n - 1))
    return lax.ConvDimensionNumbers(images, (n - 1, n - 2, *range(n - 2)), images)


def _moved(value: Any, given: Sequence[int], wanted: Sequence[int]) -> Any:
    """A tensor whose dimensions are where ``wanted`` says instead of where ``given`` does."""
    source = dict(zip(wanted, given, strict=True))
    return lax.transpose(value, [source[k] for k in range(len(source))])
