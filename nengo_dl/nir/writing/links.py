"""Nengo connections and probes as lists of operations between places."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo import Connection, Ensemble, LinearFilter, Node, Probe
from nengo.ensemble import Neurons
from nengo.synapses import Alpha, Lowpass
from nengo.transforms import Convolution, Dense, NoTransform, Sparse

from nengo_dl.filter_from import FilterFrom
from nengo_dl.nir.findings import Findings
from nengo_dl.nir.writing.built import Built, is_direct
from nengo_dl.nir.writing.operations import (
    Convolve,
    Elementwise,
    Integrate,
    LeakyFilter,
    Operation,
    Operations,
    Wait,
    simplify,
)
from nengo_dl.nir.writing.operations import Dense as DenseOperation
from nengo_dl.runtime.parameters.parameter_signals import has_full_weights, is_decoded
from nengo_dl.synapses import Delay


class ConnectionReader:
    """Says what each connection does.

    Parameters
    ----------
    built
        The parameters.
    findings
        Takes what cannot be expressed.
    """

    def __init__(self, built: Built, findings: Findings):
        self.built, self.findings = built, findings

    def operations(self, conn: Connection) -> Operations:
        """From the value of ``conn.pre_obj`` to the input of ``conn.post_obj``: of the neurons
        where that is an ensemble.
        """
        self._check(conn)
        weights = self.built.weights(conn)
        operations: list[Operation] = [self._pre_factor(conn)] if self._has_factor(conn) else []
        if is_decoded(conn):
            operations.append(DenseOperation(np.asarray(weights)))
        else:
            operations += self._transform(conn, weights)
        operations += self.synapse(conn)
        return simplify([*operations, *self._post(conn)])

    def _check(self, conn: Connection) -> None:
        if conn.learning_rule_type is not None:
            self.findings.approximate(
                conn,
                "NIR has no learning rules",
                "Freeze what was learned and remove the rule",
                "its present weights, which stay as they are",
            )
        direct = isinstance(conn.pre_obj, Node) or is_direct(conn.pre_obj)
        if direct and conn.function is not None:
            raise self.findings.refuse(
                conn,
                "it computes a function of values that are not the activities of neurons; let an "
                "Ensemble compute it",
            )
        if not isinstance(conn.pre_obj, (Node, Ensemble, Neurons)):
            raise self.findings.refuse(conn, f"it comes from {conn.pre_obj}")
        if not isinstance(conn.post_obj, (Node, Ensemble, Neurons)):
            raise self.findings.refuse(conn, f"it goes to {conn.post_obj}")

    # -- what comes in ----------------------------------------------------------------------------

    def _has_factor(self, conn: Connection) -> bool:
        return isinstance(conn.pre_obj, Neurons) or is_decoded(conn)

    def _pre_factor(self, conn: Connection) -> Elementwise:
        """From the unit events of NIR's spikes to Nengo's, whose area over a step is the
        amplitude.
        """
        ens = conn.pre_obj.ensemble if isinstance(conn.pre_obj, Neurons) else conn.pre_obj
        return Elementwise(np.full(ens.n_neurons, self.built.spike_height(ens)))

    def _transform(self, conn: Connection, weights: Any) -> list:
        transform = conn.transform
        size = conn.pre_obj.size_out
        chosen = np.arange(size)[conn.pre_slice]
        whole = np.array_equal(chosen, np.arange(size))
        selection = [] if whole else [DenseOperation(np.eye(size)[chosen])]
        if isinstance(transform, NoTransform):
            return selection
        if type(transform) is Dense:
            weights = np.asarray(weights, dtype=float)
            if weights.ndim == 2:
                return [*selection, DenseOperation(weights)]
            return [*selection, Elementwise(np.broadcast_to(weights, (conn.size_mid,)))]
        if type(transform) is Sparse:
            dense = weights.toarray()
            return [*selection, DenseOperation(np.asarray(dense, dtype=float))]
        if type(transform) is Convolution and transform.dimensions in (1, 2):
            kernel = np.asarray(weights, dtype=float)
            return [*selection, Convolve(transform, kernel, np.zeros(transform.n_filters))]
        dimensions = getattr(transform, "dimensions", None)
        raise self.findings.refuse(
            conn,
            f"NIR has no node for its transform, {type(transform).__name__}"
            + (f" in {dimensions} dimensions" if dimensions else ""),
        )

    # -- the synapse ------------------------------------------------------------------------------

    def synapse(self, owner: Connection | Probe) -> list:
        """The filters of a connection or probe."""
        return self.filters(owner, self.built.synapse(owner))

    def filters(self, owner: Any, synapse: Any) -> list:
        """The operations of a synapse, which ``owner`` has."""
        if isinstance(synapse, FilterFrom) and np.any(synapse.initial_level):
            self.findings.approximate(
                owner,
                "its filter begins at a level that is not 0, and NIR's begin at 0",
                "Train layers that filter with trainable_attributes='tau', so that their levels "
                "stay 0",
                "a filter that begins at 0",
            )
        if synapse is None:
            return []
        if isinstance(synapse, Delay):
            return [*self._wait(synapse), *self.filters(owner, synapse.then)]
        if isinstance(synapse, Alpha):
            second = LeakyFilter(synapse.tau, joined=True)
            return [LeakyFilter(synapse.tau), second] if synapse.tau else []
        if isinstance(synapse, Lowpass):
            # one without a time constant, too, gives what was there a step before
            return [LeakyFilter(synapse.tau) if synapse.tau else Wait(1)]
        if isinstance(synapse, LinearFilter):
            found = _linear_filter(synapse)
            if found is not None:
                return found
        raise self.findings.refuse(
            owner,
            f"its synapse, {synapse}, is neither a lowpass, a chain of them, an integrator, nor a "
            "delay",
        )

    def _wait(self, delay: Delay) -> list:
        """A delay without a filter, which has the step of every connection itself."""
        steps = np.rint(np.asarray(delay.tau) / self.built.dt).astype(int)
        steps = steps + (delay.then is None)
        if np.ptp(steps) == 0:
            return [Wait(int(np.max(steps)))]
        return [Wait(tuple(steps.tolist()))]

    # -- where it goes ----------------------------------------------------------------------------

    def _post(self, conn: Connection) -> list:
        post = conn.post_obj
        if has_full_weights(conn):
            return []
        if isinstance(post, Ensemble) and not is_direct(post):
            scaled = self.built.ensemble(post).scaled_encoders
            return [DenseOperation(np.asarray(scaled)[:, conn.post_slice])]
        size = post.size_in
        chosen = np.arange(size)[conn.post_slice]
        operations: list[Operation] = []
        if not np.array_equal(chosen, np.arange(size)):
            scatter = np.zeros((size, len(chosen)))
            np.add.at(scatter, (chosen, np.arange(len(chosen))), 1.0)
            operations.append(DenseOperation(scatter))
        if isinstance(post, Neurons):
            gain = np.asarray(self.built.gain_into_neurons(post.ensemble), dtype=float)
            operations.append(Elementwise(np.broadcast_to(gain, (size,))))
        return operations


def _linear_filter(synapse: LinearFilter) -> list | None:
    """Filters in a row that make a linear one; None where there are none."""
    num, den = np.trim_zeros(synapse.num, "f"), np.asarray(synapse.den, dtype=float)
    if len(num) != 1:
        return None
    if not synapse.analog:
        is_delay = num[0] == 1 and den[0] == 1 and len(den) > 1 and not np.any(den[1:])
        return [Wait(len(den) - 1)] if is_delay else None
    if len(den) == 1:
        return [Elementwise(np.array([num[0] / den[0]]))] if den[0] else None
    if len(den) == 2 and den[1] == 0:
        return [Integrate(num[0] / den[0])]
    poles = np.roots(den)
    if np.any(poles.imag) or np.any(poles.real >= 0):
        return None
    first, *rest = (float(-1 / pole) for pole in poles.real)
    gain = float(num[0] / den[-1])
    return [LeakyFilter(first, gain), *(LeakyFilter(tau, joined=True) for tau in rest)]
