"""What a simulator shows of itself, at a prompt and in notebooks."""

from __future__ import annotations

import html
import math

import keras
from nengo import Network

from nengo_dl.compiler.compiled import python_calls
from nengo_dl.simulator.parts import SimulatorParts


def _size(network: Network) -> str:
    neurons = _counted(network.n_neurons, "neuron")
    ensembles = _counted(len(network.all_ensembles), "ensemble")
    return f"{neurons} in {ensembles}, {_counted(len(network.all_connections), 'connection')}"


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def simulator_text(sim: SimulatorParts) -> str:
    """The simulator's network, its size and what it has done, in a line."""
    network = sim.model.toplevel
    what = "a built model" if network is None else f"{network}: {_size(network)}"
    state = "closed" if sim.closed else f"at {sim.time:g} s"
    return (
        f"<nengo_dl.Simulator of {what}; minibatch of {sim.batch_size:,} "
        f"on {keras.backend.backend()}, {state}>"
    )


def simulator_html(sim: SimulatorParts) -> str:
    """A table of the simulator's size, what it has done and what its probes have recorded."""
    network = sim.model.toplevel
    rows = {"network": sim.model.label or getattr(network, "label", None) or "without a label"}
    if network is not None:
        rows["size"] = _size(network)
    rows |= {
        "compiled": f"{sim.program.n_groups:,} groups of operators, on {keras.backend.backend()}",
        "minibatch": f"{sim.batch_size:,}",
        "simulated": f"{sim.time:g} s, {sim.n_steps:,} steps of {sim.dt:g} s"
        + (" (closed)" if sim.closed else ""),
    }
    called = python_calls(sim.program.program)
    if called:
        rows["Python at each step"] = "; ".join(called)
    if not sim.closed:
        weights = sim.keras_model.trainable_weights
        rows["trainable"] = f"{sum(math.prod(w.shape) for w in weights):,} values"
    for probe, record in sim.records.items():
        rows[str(probe)] = f"{len(record):,} samples of {probe.size_in:,} values"
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>nengo_dl.Simulator</caption><tbody>{cells}</tbody></table>"
