"""``sim.data``: recorded probe data and the live parameters of Nengo objects."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from nengo import Connection, Ensemble, Probe
from nengo.builder.signal import Signal
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.compat.data import OlderData
from nengo_dl.runtime.parameters.ensembles import present_ensemble
from nengo_dl.runtime.parameters.freezing import present_attributes, with_data
from nengo_dl.runtime.parameters.parameter_signals import has_neurons
from nengo_dl.runtime.results.signals import as_built
from nengo_dl.runtime.results.simulated import Simulated


class SimulationData(Mapping, OlderData):
    """Maps Probes to what they recorded, Ensembles and Connections to their present parameters.

    A probe's array has shape (n_samples, size), or (minibatch_size, n_samples, size) where the
    simulator was given a ``minibatch_size``, and cannot be written to. Ensembles and Connections
    give Nengo's BuiltEnsemble and BuiltConnection; what training or an online learning rule changed
    is up to date in them.
    """

    def __init__(self, simulator: Simulated):
        self._simulator = simulator

    @property
    def raw(self) -> RawSamples:
        """Maps Probes to lists of samples, as in ``nengo.Simulator``; what is deleted from one is
        forgotten.
        """
        return RawSamples(self._simulator)

    def __getitem__(self, obj: Any) -> Any:
        sim = self._simulator
        if not isinstance(obj, Hashable) or obj not in sim.model.params:
            raise KeyError(f"{obj!r} is not in the simulated network")
        if isinstance(obj, Probe):
            return self._probe(obj)
        built = sim.model.params[obj]
        if isinstance(obj, Ensemble):
            return self._ensemble(obj, built)
        if isinstance(obj, Connection):
            return self._connection(obj, built)
        return built

    def _probe(self, probe: Probe) -> np.ndarray:
        sim = self._simulator
        values = sim.records[probe].values()
        if values is None:
            # as nengo.Simulator: nothing recorded yet
            size = sim.model.sig[probe]["in"].size
            values = np.zeros((sim.batch_size, 0, size), dtype=sim.records[probe].dtype)
        values = values.reshape((*values.shape[:2], *sim.model.sig[probe]["in"].shape))
        return values[0] if sim.minibatch_size is None else values

    def _present(self, signal: Signal | None, initial: Any) -> Any:
        """The value that a built parameter has now; the built one itself where nothing can change
        it.
        """
        sim = self._simulator
        if signal is None or initial is None or not sim.is_variable(signal):
            return initial
        value = as_built(sim.present_value(signal), signal)
        if signal.sparse:
            return initial if len(value) > 1 else with_data(initial, value[0])
        return value[0] if sim.minibatch_size is None or len(value) == 1 else value

    def _ensemble(self, ens: Ensemble, built: Any) -> Any:
        if not has_neurons(ens):
            return built
        sim = self._simulator
        scaled = self._present(sim.model.sig[ens]["encoders"], built.scaled_encoders)
        bias = self._present(sim.model.sig[ens.neurons]["bias"], built.bias)
        lengths = sim.encoder_lengths.get(ens)
        return present_ensemble(ens, built, scaled, bias, self.neuron_type(ens), lengths)

    def neuron_type(self, ens: Ensemble) -> NeuronType:
        """The neuron type of an ensemble, with its attributes as they were trained."""
        sim = self._simulator
        trained = sim.trained_attributes.get(ens, ())
        return present_attributes(ens, trained, sim.present_value).get(
            "neuron_type", ens.neuron_type
        )

    def _connection(self, conn: Connection, built: Any) -> Any:
        weights = self._present(self._simulator.model.sig[conn].get("weights"), built.weights)
        return built if weights is built.weights else built._replace(weights=weights)

    def __iter__(self) -> Iterator:
        return iter(self._simulator.model.params)

    def __len__(self) -> int:
        return len(self._simulator.model.params)

    def __repr__(self) -> str:
        return f"<SimulationData of {len(self)} objects>"


class RawSamples(Mapping):
    """``sim.data.raw``: Probe -> its samples, a sequence from which all can be deleted."""

    def __init__(self, simulator: Simulated):
        self._simulator = simulator

    def __getitem__(self, probe: Probe) -> ProbeSamples:
        if not isinstance(probe, Probe) or probe not in self._simulator.records:
            raise KeyError(f"{probe!r} is not a Probe of the simulated network")
        return ProbeSamples(self._simulator, probe)

    def __iter__(self) -> Iterator:
        return iter(self._simulator.records)

    def __len__(self) -> int:
        return len(self._simulator.records)


class ProbeSamples(Sequence):
    """The samples of a probe, one after the other; ``del samples[:]`` forgets them, so that the
    memory of a simulation without end stays bounded.
    """

    def __init__(self, simulator: Simulated, probe: Probe):
        self._simulator, self._probe = simulator, probe

    def _samples(self) -> np.ndarray:
        values = self._simulator.data[self._probe]
        return values if self._simulator.minibatch_size is None else np.moveaxis(values, 1, 0)

    def __getitem__(self, key: Any) -> Any:
        samples = self._samples()[key]
        return list(samples) if isinstance(key, slice) else samples

    def __len__(self) -> int:
        return len(self._samples())

    def __delitem__(self, key: slice) -> None:
        if key != slice(None):
            raise ValidationError(
                f"only all samples can be deleted, with `del samples[:]`; got {key}", attr="key"
            )
        self._simulator.records[self._probe].clear()
