"""What is drawn: one item of what a probe recorded, whatever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from nengo import Probe
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType

from nengo_dl.runtime.checks import checked_duration, checked_item


@runtime_checkable
class RunSimulator(Protocol):
    """A simulator with recorded data: `nengo_dl.Simulator`, ``nengo.Simulator`` and others."""

    data: Any
    dt: Any
    model: Any

    def trange(self, sample_every: float | None = None) -> np.ndarray:
        """Times of the samples in seconds."""


@dataclass(frozen=True)
class Recording:
    """Values over time.

    Attributes
    ----------
    values
        (n_samples, size)
    times
        When the samples were taken, in seconds, (n_samples,).
    dt
        Seconds between them.
    label
        Label of the probe; empty for arrays.
    neuron_type
        Type of the neurons whose output was recorded; None if other values were recorded, or if the
        type is unknown.
    """

    values: np.ndarray
    times: np.ndarray
    dt: float
    label: str = ""
    neuron_type: NeuronType | None = None


def recording(data: Any, probe: Any = None, *, item: int = 0, dt: float = 0.001) -> Recording:
    """The recorded values of one item.

    Parameters
    ----------
    data
        A simulator after a run, the result of ``Simulator.predict``, a `Recording`, or an array of
        shape (n_samples,), (n_samples, size) or (batch, n_samples, size).
    probe
        The Probe, for simulators and dicts.
    item
        Which item of the batch.
    dt
        Seconds between the samples, for dicts and arrays; simulators provide their own.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the Probe or the item does not exist, if an array has the wrong number of dimensions, or
        if nothing was recorded.

    Examples
    --------
    >>> found = nengo_dl.viz.recording(np.zeros((8, 100, 3)), item=2, dt=0.01)
    >>> found.values.shape, found.times[-1].item()
    ((100, 3), 1.0)
    """
    if isinstance(data, Recording):
        return data
    dt = checked_duration("dt", dt)
    if isinstance(data, RunSimulator):
        return _of_simulator(data, probe, item)
    if isinstance(data, Mapping):
        if probe not in data:
            raise ValidationError(_unknown(probe, data, "the dict"), attr="probe")
        values = _one_item(data[probe], item, str(probe))
        return _recording(values, dt, probe)
    if isinstance(probe, Probe):
        raise ValidationError(
            f"a Probe was given with an object of type {type(data).__name__}; give it with a "
            "simulator, or with the result of sim.predict",
            attr="data",
        )
    return _recording(_one_item(data, item, "data"), dt, None)


def _of_simulator(sim: RunSimulator, probe: Any, item: int) -> Recording:
    if not isinstance(probe, Probe) or probe not in sim.model.probes:
        raise ValidationError(_unknown(probe, sim.model.probes, "the simulator"), attr="probe")
    values = _one_item(sim.data[probe], item, str(probe))
    times = np.asarray(sim.trange(sample_every=probe.sample_every))
    # fewer where probes were cleared, or only keep their last value
    times = times[len(times) - len(values) :]
    dt = sim.dt if probe.sample_every is None else probe.sample_every
    return _recording(values, dt, probe, times)


def _recording(
    values: np.ndarray, dt: float, probe: Any, times: np.ndarray | None = None
) -> Recording:
    if times is None:
        times = dt * np.arange(1, len(values) + 1)
    label = "" if not isinstance(probe, Probe) else probe.label or ""
    return Recording(values, times, float(dt), label, _neuron_type(probe))


def _one_item(values: Any, item: int, name: str) -> np.ndarray:
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValidationError(
            f"expected a simulator, a dict of arrays or an array; got {values!r} of type "
            f"{type(values).__name__}",
            attr="data",
        ) from error
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim == 3:
        values = values[checked_item("item", item, len(values))]
    if values.ndim != 2:
        raise ValidationError(
            f"{name} has shape {values.shape}; expected (n_samples, size), or "
            "(batch, n_samples, size)",
            attr="data",
        )
    if not values.size:
        raise ValidationError(
            f"{name} contains no samples (shape {values.shape}); run the simulator first",
            attr="data",
        )
    return values


def _neuron_type(probe: Any) -> NeuronType | None:
    if not isinstance(probe, Probe) or not isinstance(probe.obj, Neurons):
        return None
    return probe.obj.ensemble.neuron_type if probe.attr in ("output", "spikes", "rates") else None


def _unknown(probe: Any, known: Any, holder: str) -> str:
    listed = ", ".join(str(other) for other in known) or "none"
    what = "no Probe was given" if probe is None else f"{probe!r} is not one"
    return f"{what} of those that {holder} has: {listed}"
