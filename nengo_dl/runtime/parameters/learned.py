"""What online learning rules changed: the part of the state that outlives the rest of it.

Neurons, synapses and changes that are under way go back to where they were; weights and encoders
that were learned stay, and so does what a rule knows besides (the inverse matrix of RLS).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from keras import ops
from nengo.builder import Model
from nengo.builder.signal import Signal
from nengo.connection import LearningRule

from nengo_dl.compiler.layout import Stored
from nengo_dl.runtime.parameters.parameter_signals import ParameterSignals


class Learned:
    """Tells apart what is learned in the tensors of a state.

    Parameters
    ----------
    signals
        Base signals that hold what is learned.
    states
        What the tensors hold.
    """

    def __init__(self, signals: Container[Signal], states: Sequence[Stored]):
        self._masks = [
            np.concatenate(
                [np.full(span.stop - span.start, s in signals) for s, span in st.spans()]
            )
            for st in states
        ]
        #: whether anything is learned
        self.any = any(np.any(mask) for mask in self._masks)

    def kept(self, state: Sequence[Any], source: Sequence[Any]) -> list[Any]:
        """The tensors of ``state``, (minibatch_size, width) each, but for what was learned as it is
        in those of ``source``.
        """
        return [
            value if not np.any(mask) else other if np.all(mask) else ops.where(mask, other, value)
            for mask, value, other in zip(self._masks, state, source, strict=True)
        ]


def learned_signals(model: Model) -> set[Signal]:
    """Base signals of the parameters of Nengo objects, and of what the operators of learning rules
    write besides the change that they make.
    """
    signals_of = ParameterSignals(model)
    parameters = {sig.base for obj in model.params for sig in signals_of(obj).values()}
    changes = {model.sig[rule]["delta"] for rule in model.params if isinstance(rule, LearningRule)}
    of_rules = set()
    for op in model.operators:
        written = {*op.sets, *op.incs, *op.updates}
        if written & changes:
            of_rules |= {sig.base for sig in written - changes}
    return parameters | of_rules
