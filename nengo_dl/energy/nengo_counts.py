"""Operations of a Nengo network, counted from what its simulator recorded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import nengo
import numpy as np
from nengo import Connection, Ensemble, Lowpass, Node
from nengo.builder import Model
from nengo.ensemble import Neurons
from nengo.neurons import Direct
from nengo.transforms import Convolution, ConvolutionTranspose, Dense, NoTransform, Sparse

from nengo_dl.energy.report import EnergyReport, Part
from nengo_dl.runtime.checks import checked_count


def count_simulator(
    sim: Any, n_steps: int | None = None, rates: Mapping[Any, float] | None = None
) -> EnergyReport:
    """Count the operations of a simulated network, e.g. a converted one.

    Connections are counted as Nengo computes them: decoders once for each spike, encoders and
    transforms of decoded values in each step.

    Parameters
    ----------
    sim
        A ``nengo_dl.Simulator`` or another Nengo simulator, after a run.
    n_steps : int, optional
        Number of steps of an inference; by default the number of steps that the simulator ran.
    rates : dict, optional
        Firing rates in hertz by Ensemble. For other ensembles, a Probe of the neurons without a
        synapse must have recorded the spikes.

    Returns
    -------
    EnergyReport

    Raises
    ------
    ValueError
        If the rate of spiking neurons is unknown.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     ens = nengo.Ensemble(20, dimensions=1)
    ...     probe = nengo.Probe(ens.neurons)  # for the firing rates
    >>> with nengo_dl.Simulator(net) as sim:
    ...     sim.run(0.1)
    ...     report = nengo_dl.energy.count_simulator(sim)
    >>> report.total("updates")  # 20 neurons, 100 steps
    2000
    """
    if not isinstance(getattr(sim, "model", None), Model):
        raise TypeError(f"expected a simulator, got {sim!r}")
    if rates is not None and not isinstance(rates, Mapping):
        raise TypeError(f"rates was given {rates!r}; expected a dict of Ensemble -> hertz")
    network, dt = sim.model.toplevel, sim.dt
    n_steps = sim.n_steps if n_steps is None else checked_count("n_steps", n_steps)
    if not n_steps:
        raise ValueError("the simulator has not run yet; run it, or give n_steps")
    measured = {**_recorded_rates(sim, network), **(rates or {})}
    connections = network.all_connections
    into: dict[int, list[Connection]] = {}  # by the identity of where they go
    for conn in connections:
        into.setdefault(id(conn.post_obj), []).append(conn)
    parts = [_ensemble(ens, into, measured, n_steps) for ens in network.all_ensembles]
    parts += [_connection(sim, c, into, measured, n_steps, dt) for c in connections]
    return EnergyReport(tuple(parts), n_steps, dt)


def _recorded_rates(sim: Any, network: nengo.Network) -> dict[Ensemble, float]:
    """Mean rates in hertz of the ensembles whose neurons a probe recorded."""
    rates = {}
    for probe in network.all_probes:
        neurons = probe.target
        whole = isinstance(neurons, Neurons) and probe.synapse is None
        if whole and probe.attr in ("output", "spikes") and np.size(sim.data[probe]):
            amplitude = getattr(neurons.ensemble.neuron_type, "amplitude", 1.0)
            rates[neurons.ensemble] = float(np.mean(np.abs(sim.data[probe]) / amplitude))
    return rates


def _ensemble(ens: Ensemble, into: Mapping, rates: Mapping, n_steps: int) -> Part:
    """Neurons, and the encoders, which are a product with a dense matrix in each step."""
    direct = isinstance(ens.neuron_type, Direct)
    neurons = 0 if direct else ens.n_neurons
    encoded = any(not c.solver.weights for c in into.get(id(ens), ()))
    connections = neurons * ens.dimensions if encoded else 0
    values = neurons * (ens.dimensions * encoded + 1)
    return Part(
        name=ens.label or str(ens),
        kind="Direct" if direct else type(ens.neuron_type).__name__,
        neurons=neurons,
        connections=connections,
        macs=connections * n_steps,
        synops=connections * n_steps,
        updates=neurons * n_steps,
        rate=rates.get(ens),
        parameters=values,
        bytes=4 * values,
    )


def _connection(
    sim: Any, conn: Connection, into: Mapping, rates: Mapping, n_steps: int, dt: float
) -> Part:
    connections, values = _size(sim, conn)
    active = _active(conn, into, rates, dt) if connections else 0.0
    return Part(
        name=conn.label or f"{_name(conn.pre_obj)} to {_name(conn.post_obj)}",
        kind="Connection",
        connections=connections,
        macs=connections * n_steps,
        synops=connections * n_steps * active,
        parameters=values,
        bytes=4 * values,
    )


def _name(obj: Any) -> str:
    return getattr(obj, "label", None) or str(obj)


def _size(sim: Any, conn: Connection) -> tuple[float, int]:
    """Multiply-accumulates of a step, and number of weights."""
    transform = conn.transform
    if isinstance(transform, Convolution):
        positions = math.prod(transform.output_shape.spatial_shape)
        weights = math.prod(transform.kernel_shape)
        return weights * positions, weights
    if isinstance(transform, ConvolutionTranspose):
        positions = math.prod(transform.input_shape.spatial_shape)
        weights = math.prod(transform.kernel_shape)
        return weights * positions, weights
    weights = sim.data[conn].weights
    if weights is None or isinstance(transform, NoTransform) and np.size(weights) == 0:
        return 0, 0
    if isinstance(transform, Sparse):
        entries = len(np.ravel(weights.data))
        return entries, entries
    size = int(np.size(weights))
    return (size if np.ndim(weights) else conn.size_out), size


def _active(conn: Connection, into: Mapping, rates: Mapping, dt: float) -> float:
    """Mean share of a connection's inputs that are not zero in a step."""
    pre = conn.pre_obj
    if isinstance(pre, Node) and pre.output is None:
        given = into.get(id(pre), [])
        if all(_passes_spikes_on(c) for c in given):
            active = sum(c.size_out * _active(c, into, rates, dt) for c in given)
            return min(1.0, active / pre.size_in)
    ens = pre.ensemble if isinstance(pre, Neurons) else pre
    if not isinstance(ens, Ensemble) or not getattr(ens.neuron_type, "spiking", False):
        return 1.0
    if ens not in rates:
        raise ValueError(
            f"the firing rates of {ens} are unknown: give them as rates={{ensemble: hertz}}, "
            "or put a nengo.Probe without a synapse on its neurons"
        )
    return min(1.0, rates[ens] * dt)


def _passes_spikes_on(conn: Connection) -> bool:
    """Whether each output of a connection is zero where an input is, a step ago or now.

    Its input has to be that of neurons, not of a Node: so that nothing goes around in a loop.
    """
    synapse, transform = conn.synapse, conn.transform
    at_once = synapse is None or isinstance(synapse, Lowpass) and synapse.tau == 0
    elementwise = type(transform) is Dense and len(transform.init_shape) < 2
    elementwise = elementwise or isinstance(transform, NoTransform)
    return isinstance(conn.pre_obj, Neurons) and at_once and elementwise
