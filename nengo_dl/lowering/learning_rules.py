"""Learning rules: the change of the weights of a connection in one step, from Nengo's
`nengo.builder.learning_rules`.

Each rule is a function of tensors that have an axis for the rules of a group: a vector of n
elements is ``(batch, rules, n)``, a matrix ``(batch, rules, rows, columns)``. In a minibatch each
item has weights of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import keras.ops as ops
import numpy as np
from nengo.builder import learning_rules as nengo_rules
from nengo.builder.operator import Operator

from nengo_dl.compiler.kernel import Kernel, Prepared, register


class LearningRuleKernel(Kernel):
    """Rules of one type whose signals have the same shapes."""

    deferrable = True

    def merge_key(self, op):
        return tuple(sig.shape for sig in (*self.reads(op), *self.writes(op)))

    def writes(self, op):
        return tuple(op.updates)

    @abstractmethod
    def constants(self, op: Operator, dt: float) -> dict[str, np.ndarray | float]:
        """What is fixed about one rule."""

    @abstractmethod
    def change(self, *operands, **constants) -> tuple:
        """The new values of what the rule writes."""

    def prepare(self, ops_, settings):
        shapes = [(len(ops_), *sig.shape) for sig in self.reads(ops_[0])]
        sizes = [len(ops_) * sig.size for sig in self.writes(ops_[0])]

        def step(context, constants, *operands):
            operands = [
                ops.reshape(x, (-1, *shape)) for x, shape in zip(operands, shapes, strict=True)
            ]
            results = self.change(*operands, **constants)
            return tuple(ops.reshape(r, (-1, size)) for r, size in zip(results, sizes, strict=True))

        return Prepared(step, _stack([self.constants(op, settings.dt) for op in ops_]))


def _stack(constants: Sequence[dict]) -> dict[str, np.ndarray]:
    """One array of each constant, with axes for the batch and the rules, and of full rank for
    matrices.
    """
    arrays = {}
    for name in constants[0]:
        array = np.stack([np.asarray(c[name], dtype=float) for c in constants])[None]
        arrays[name] = array.reshape(array.shape + (1,) * (4 - array.ndim))
    return arrays


def _outer(rows, columns):
    """(..., n) and (..., m) -> (..., n, m)"""
    return rows[..., :, None] * columns[..., None, :]


class PESKernel(LearningRuleKernel):
    """Prescribed error sensitivity."""

    def constants(self, op, dt):
        return {"alpha": -op.learning_rate * dt / op.pre_filtered.shape[0]}

    def change(self, pre, error, alpha):
        return (_outer(alpha[..., 0] * error, pre),)


class BCMKernel(LearningRuleKernel):
    """Bienenstock-Cooper-Munroe."""

    def constants(self, op, dt):
        return {"alpha": op.learning_rate * dt}

    def change(self, pre, post, theta, alpha):
        return (_outer(alpha[..., 0] * post * (post - theta), pre),)


class OjaKernel(LearningRuleKernel):
    """Oja's rule: Hebbian learning that keeps the weights bounded."""

    def constants(self, op, dt):
        return {"alpha": op.learning_rate * dt, "beta": op.beta}

    def change(self, pre, post, weights, alpha, beta):
        post_squared = alpha[..., 0] * post * post
        forgetting = -beta * weights * post_squared[..., None]
        return (forgetting + _outer(alpha[..., 0] * post, pre),)


class VojaKernel(LearningRuleKernel):
    """Vector Oja: moves the encoders of active neurons towards the input."""

    def constants(self, op, dt):
        return {"alpha": op.learning_rate * dt, "scale": op.scale}

    def change(self, pre, post, encoders, learning_signal, alpha, scale):
        towards = scale * _outer(post, pre) - post[..., None] * encoders
        return (alpha * ops.reshape(learning_signal, (*learning_signal.shape[:2], 1, 1)) * towards,)


class RLSKernel(LearningRuleKernel):
    """Recursive least squares."""

    def reads(self, op):
        return (*op.reads, op.inv_gamma)

    def constants(self, op, dt):
        return {}

    def change(self, pre, error, inv_gamma):
        gain = ops.sum(inv_gamma * pre[..., None, :], axis=-1)
        norm = 1.0 / (1.0 + ops.sum(pre * gain, axis=-1, keepdims=True))
        delta = _outer(error, -norm * gain)
        return delta, inv_gamma - _outer(gain, gain * norm)


@register(nengo_rules.SimPES)
def _choose_pes(op):
    return PESKernel()


@register(nengo_rules.SimBCM)
def _choose_bcm(op):
    return BCMKernel()


@register(nengo_rules.SimOja)
def _choose_oja(op):
    return OjaKernel()


@register(nengo_rules.SimVoja)
def _choose_voja(op):
    return VojaKernel()


@register(nengo_rules.SimRLS)
def _choose_rls(op):
    return RLSKernel()
