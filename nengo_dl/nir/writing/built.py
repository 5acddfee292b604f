"""The parameters of a network's objects, from a network or from a simulator that has trained it."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo import Connection, Ensemble, Network, Probe
from nengo.builder import Model
from nengo.builder.ensemble import BuiltEnsemble
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType
from nengo.synapses import Synapse

from nengo_dl import config
from nengo_dl.runtime.checks import checked_duration


class Built:
    """What Nengo's builder made of a network, with its present parameters.

    Parameters
    ----------
    source
        A network, which is built; or a simulator (Nengo's, or nengo_dl's, whose parameters may be
        trained).
    dt
        Time step in seconds for a network; a simulator has its own.
    """

    def __init__(self, source: Any, dt: float | None = None):
        if isinstance(source, Network):
            self.network = source
            self.model = Model(dt=0.001 if dt is None else checked_duration("dt", dt))
            with np.errstate(divide="ignore"):  # in the rates of neurons that never fire
                self.model.build(source)
            self._present = self.model.params
            self._simulator = None
        else:
            self._check_simulator(source, dt)
            self.model, self._present = source.model, source.data
            self.network = self.model.toplevel
            self._simulator = None if isinstance(source, nengo.Simulator) else source
            self._trained = config.AttributesResolver(self.network)

    @staticmethod
    def _check_simulator(source: Any, dt: float | None) -> None:
        model = getattr(source, "model", None)
        if not isinstance(model, Model) or model.toplevel is None:
            raise ValidationError(
                f"expected a nengo.Network or a simulator of one, got {source!r} of type "
                f"{type(source).__name__}",
                attr="network",
            )
        if dt is not None and not np.isclose(dt, model.dt):
            raise ValidationError(
                f"dt={dt} was given, but the simulator has dt={model.dt}; leave dt out", attr="dt"
            )

    @property
    def dt(self) -> float:
        """Time step in seconds."""
        return self.model.dt

    def ensemble(self, ens: Ensemble) -> BuiltEnsemble:
        """Encoders (n_neurons, dimensions), gain and bias (n_neurons,)."""
        return self._one(self._present[ens], ens, "scaled_encoders", "bias")

    def gain_into_neurons(self, ens: Ensemble) -> np.ndarray:
        """What Nengo multiplies with that goes into the neurons themselves, (n_neurons,); training
        does not change it, whatever becomes of the encoders.
        """
        return self.model.params[ens].gain

    def weights(self, conn: Connection) -> Any:
        """As in Nengo's BuiltConnection: transform times decoders."""
        return self._one(self._present[conn], conn, "weights").weights

    def neuron_type(self, ens: Ensemble) -> NeuronType:
        """With its trained attributes, if it has any."""
        return self._attributes(ens).get("neuron_type", ens.neuron_type)

    def synapse(self, obj: Connection | Probe) -> Synapse | None:
        """With its trained attributes, if it has any."""
        return self._attributes(obj).get("synapse", obj.synapse)

    def spike_height(self, ens: Ensemble) -> float:
        """The output of Nengo's neurons in a step with a spike."""
        return self.neuron_type(ens).amplitude / self.dt

    def _attributes(self, obj: Any) -> dict[str, Any]:
        if self._simulator is None or not self._trained(obj)[0]:
            return {}
        return self._simulator.get_nengo_params(obj)

    def probe_connection(self, probe: Probe) -> Connection | None:
        """The connection that decodes or filters for a probe; None for one of a signal."""
        for conn in self.model.params:
            if isinstance(conn, Connection) and conn.post_obj is probe:
                return conn
        return None

    def initial_state(self, ens: Ensemble, name: str) -> np.ndarray:
        """What a state of an ensemble's neurons starts with, (n_neurons,)."""
        signal = self.model.sig[ens.neurons][name]
        return np.broadcast_to(signal.initial_value, (ens.n_neurons,)).astype(float)

    @staticmethod
    def _one(params: Any, obj: Any, *names: str) -> Any:
        """Refuse parameters that differ between the items of a minibatch."""
        for name in names:
            value = getattr(params, name)
            ndim = 1 if name == "bias" else 2
            if isinstance(value, np.ndarray) and name != "weights" and value.ndim > ndim:
                raise ValidationError(
                    f"the {name} of {obj} differ between the items of the minibatch; freeze those "
                    "of one item into the network first: sim.freeze_params(network, item=0)",
                    attr="network",
                )
        return params


def is_direct(obj: Any) -> bool:
    """Whether an object is an ensemble in direct mode."""
    return isinstance(obj, Ensemble) and isinstance(obj.neuron_type, nengo.Direct)
