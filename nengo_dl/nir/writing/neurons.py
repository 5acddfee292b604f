"""Neurons as NIR nodes."""

from __future__ import annotations

import nengo
import nir
import numpy as np
from nengo import Ensemble
from nengo.neurons import NeuronType

from nengo_dl.nir.findings import Findings
from nengo_dl.nir.times import NO_LEAK, NO_MEMORY, Times
from nengo_dl.nir.writing.built import Built
from nengo_dl.nir.writing.layouts import Layout


def check_neurons(ens: Ensemble, built: Built, findings: Findings, keep_voltages: bool) -> None:
    """Find what NIR has no means for."""
    neurons = built.neuron_type(ens)
    if _is_integrate_and_fire(neurons):
        findings.approximate(
            ens,
            f"its neurons, {type(neurons).__name__}, subtract the threshold from the voltage when "
            "they spike and ignore negative currents; NIR's IF starts again at zero and does not",
            "Use LIF(tau_ref=0, min_voltage=-np.inf), in Keras that of nengo_dl.layers",
            "IF neurons",
        )
    elif type(neurons) is not nengo.LIF:
        raise findings.refuse(
            ens,
            f"NIR has no node for neurons of type {type(neurons).__name__}; it has leaky "
            "integrate-and-fire neurons: LIF(tau_ref=0, min_voltage=-np.inf, "
            "initial_state={'voltage': nengo.dists.Choice([0])})",
        )
    else:
        _check_lif(ens, neurons, findings)
    starts_at_zero = not np.any(built.initial_state(ens, "voltage"))
    if not keep_voltages and not starts_at_zero:
        findings.approximate(
            ens,
            "its neurons start with voltages that are not 0, as NIR's do",
            "Give its neuron type initial_state={'voltage': nengo.dists.Choice([0])} (or pass "
            "keep_voltages=True for readers that know v_reset and v_leak)",
            "voltages that start at 0",
        )


def _check_lif(ens: Ensemble, neurons: nengo.LIF, findings: Findings) -> None:
    if neurons.tau_ref != 0:
        findings.approximate(
            ens,
            f"its neurons have a refractory period, tau_ref={neurons.tau_ref}, and NIR's have none",
            "Train with LIF(tau_ref=0)",
            "neurons without one, which fire faster",
        )
    if neurons.min_voltage != -np.inf:
        findings.approximate(
            ens,
            f"the voltages of its neurons have a floor, min_voltage={neurons.min_voltage}, and "
            "NIR's have none",
            "Train with LIF(min_voltage=-np.inf)",
            "neurons whose voltage may become lower",
        )


def neuron_node(
    ens: Ensemble,
    built: Built,
    times: Times,
    layout: Layout,
    bias: np.ndarray | None,
    tau_syn: float | None,
    keep_voltages: bool,
) -> nir.NIRNode:
    """The node of an ensemble's neurons.

    Parameters
    ----------
    bias
        What is added to the currents, (n_neurons,); None where weights add it.
    tau_syn
        Time constant in seconds of the filter of the currents; None for none.
    keep_voltages
        Whether NIR's zero is what Nengo's voltages start at.
    """
    neurons = built.neuron_type(ens)
    one, zero = np.ones(layout.shape), np.zeros(layout.shape)
    start = zero
    if keep_voltages:
        start = layout.arrange(built.initial_state(ens, "voltage"))
    leak = (zero if bias is None else layout.arrange(bias)) - start
    levels = {"v_threshold": one - start, "v_reset": zero - start}
    if _is_integrate_and_fire(neurons):
        assert bias is None and tau_syn is None
        return nir.IF(r=one / times.scale, **levels)
    if neurons.tau_rc >= NO_LEAK and bias is None and tau_syn is None:
        return nir.IF(r=one / neurons.tau_rc / times.scale, **levels)
    if neurons.tau_rc <= NO_MEMORY * times.dt and tau_syn is None:
        return nir.Threshold(threshold=one - (zero if bias is None else layout.arrange(bias)))
    tau = one * times.to_nir(neurons.tau_rc)
    if tau_syn is None:
        return nir.LIF(tau=tau, r=one, v_leak=leak, **levels)
    tau_syn = one * times.to_nir(tau_syn)  # type: ignore[assignment]
    # the readers that know CubaLIF want these; current_factor makes up for them
    return nir.CubaLIF(
        tau_mem=tau,
        tau_syn=tau_syn,
        r=tau / times.written_dt,
        w_in=tau_syn / times.written_dt,
        v_leak=leak,
        **levels,
    )


def _is_integrate_and_fire(neurons: NeuronType) -> bool:
    """Whether neurons count up a rectified current and spike at each whole number."""
    if type(neurons) is nengo.RegularSpiking:
        base = neurons.base_type
        return type(base) is nengo.RectifiedLinear and base.amplitude == 1
    return type(neurons) is nengo.SpikingRectifiedLinear


def has_leak(neurons: NeuronType) -> bool:
    """Whether the node has a ``v_leak`` (or a threshold) that can hold a bias."""
    return type(neurons) is nengo.LIF and neurons.tau_rc < NO_LEAK


def can_filter(neurons: NeuronType, times: Times) -> bool:
    """Whether the node can filter its currents."""
    return has_leak(neurons) and neurons.tau_rc > NO_MEMORY * times.dt


def current_factor(neurons: nengo.LIF, times: Times, tau_syn: float) -> float:
    """By what the weights into a CubaLIF have to be multiplied for its ``r`` and ``w_in``."""
    product = times.to_nir(neurons.tau_rc) * times.to_nir(tau_syn)
    return times.written_dt**2 / product
