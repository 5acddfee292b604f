"""Which signals of a built network are parameters of its objects. Needs Nengo only."""

from __future__ import annotations

from typing import Any

from nengo import Connection, Ensemble, Probe
from nengo.base import NengoObject
from nengo.builder import Model
from nengo.builder.signal import Signal
from nengo.neurons import Direct


def has_neurons(obj: Any) -> bool:
    """Whether an object is an ensemble that computes with neurons."""
    return isinstance(obj, Ensemble) and not isinstance(obj.neuron_type, Direct)


def is_decoded(conn: Connection) -> bool:
    """Whether the weights of a connection contain decoders."""
    return has_neurons(conn.pre_obj)


def has_full_weights(conn: Connection) -> bool:
    """Whether a solver found the matrix between two ensembles' neurons."""
    return is_decoded(conn) and conn.solver.weights and isinstance(conn.post_obj, Ensemble)


def is_decoded_probe(probe: Probe) -> bool:
    """Whether a probe has decoders of its own."""
    return has_neurons(probe.obj) and probe.attr in (None, "decoded_output")


def connections_to_probes(model: Model) -> dict[Probe, Connection]:
    """The connection that Nengo's builder made for a probe, for those that have one."""
    return {
        conn.post_obj: conn
        for conn in model.params
        if isinstance(conn, Connection) and isinstance(conn.post_obj, Probe)
    }


class ParameterSignals:
    """Finds the signals of a built network that training or an online rule may change, or that a
    probe decodes with.
    """

    def __init__(self, model: Model):
        self.model = model
        self._of_probes = connections_to_probes(model)

    def __call__(self, obj: NengoObject) -> dict[str, Signal]:
        """Attribute -> signal: "scaled_encoders" and "bias" of an Ensemble, "weights" of a
        Connection, "decoders" of a Probe.
        """
        sig = self.model.sig
        if has_neurons(obj):
            return {"scaled_encoders": sig[obj]["encoders"], "bias": sig[obj.neurons]["bias"]}
        if isinstance(obj, Connection) and sig[obj].get("weights") is not None:
            return {"weights": sig[obj]["weights"]}
        if isinstance(obj, Probe) and is_decoded_probe(obj):
            return {"decoders": sig[self._of_probes[obj]]["weights"]}
        return {}
