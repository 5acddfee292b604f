"""Pictures as arrays, for programs that keep images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nengo import Probe

from nengo_dl.optional import installed
from nengo_dl.viz.decoded import decoded
from nengo_dl.viz.recording import recording
from nengo_dl.viz.spikes import raster, rates


def probe_image(data: Mapping[Probe, np.ndarray], probe: Probe, dt: float) -> np.ndarray:
    """What a probe saw of the first item, drawn as suits it: an RGB image, (height, width, 3) of
    uint8.
    """
    with installed("viz"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained", dpi=100)
    canvas, ax = FigureCanvasAgg(figure), figure.add_subplot()
    neuron_type = recording(data, probe, dt=dt).neuron_type
    if neuron_type is None:
        decoded(data, probe, dt=dt, ax=ax)
    else:
        (raster if neuron_type.spiking else rates)(data, probe, dt=dt, ax=ax)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
