"""Pictures of what networks do and hold: see ``docs/visualization.md``.

matplotlib is imported when something is drawn.
"""

from nengo_dl.viz.animation import animate
from nengo_dl.viz.conversion import conversion
from nengo_dl.viz.decoded import decoded
from nengo_dl.viz.graph import NetworkGraph, network_graph
from nengo_dl.viz.learning import learning_curve
from nengo_dl.viz.recording import Recording, recording
from nengo_dl.viz.spikes import raster, rates
from nengo_dl.viz.sweeps import sweep
from nengo_dl.viz.tuning import tuning_curves
from nengo_dl.viz.weights import parameter_values, weight_histogram, weight_histograms

__all__ = [
    "NetworkGraph",
    "Recording",
    "animate",
    "conversion",
    "decoded",
    "learning_curve",
    "network_graph",
    "parameter_values",
    "raster",
    "rates",
    "recording",
    "sweep",
    "tuning_curves",
    "weight_histogram",
    "weight_histograms",
]
