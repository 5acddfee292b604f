"""Nodes that compute softmax and layer normalization."""

from __future__ import annotations

import keras.ops as ops

from nengo_dl.compiler.kernel import Prepared, SingleOperatorKernel


class NormalizationKernel(SingleOperatorKernel):
    """A `nengo_dl.normalizations.Normalization`."""

    def reads(self, op):
        """See `Kernel`."""
        return (op.input, *op.state.values())

    def writes(self, op):
        """See `Kernel`."""
        return (op.output, *op.state.values())

    def prepare_one(self, op, settings):
        """See `Kernel`."""
        process = op.process

        def step(context, constants, x, *state):
            if process.on_mean:
                return process.advance(ops, x, *state)
            return (process.function(ops, x),)

        return Prepared(step)
