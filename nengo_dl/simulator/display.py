"""What notebooks show of a simulator."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from nengo_dl.simulator.core import Simulator


def simulator_html(sim: Simulator) -> str:
    """A table of the simulator's size, what it has done and what its probes have recorded."""
    network = sim.model.toplevel
    rows = {"network": sim.model.label or getattr(network, "label", None) or "without a label"}
    if network is not None:
        rows["size"] = (
            f"{network.n_neurons:,} neurons in {len(network.all_ensembles):,} ensembles, "
            f"{len(network.all_connections):,} connections"
        )
    rows |= {
        "compiled": f"{sim.program.n_groups:,} groups of operators, on {keras.backend.backend()}",
        "minibatch": f"{sim.batch_size:,}",
        "simulated": f"{sim.time:g} s, {sim.n_steps:,} steps of {sim.dt:g} s"
        + (" (closed)" if sim.closed else ""),
    }
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
