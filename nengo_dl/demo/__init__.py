"""The jobs of ``nengo-dl demo``: simulate a model and check it, train another, draw both."""

from nengo_dl.demo.classifier import TrainingReport, train, training_summary
from nengo_dl.demo.picture import draw
from nengo_dl.demo.simulate import Report, run, summary
from nengo_dl.demo.training_picture import draw_training

__all__ = [
    "Report",
    "TrainingReport",
    "draw",
    "draw_training",
    "run",
    "summary",
    "train",
    "training_summary",
]
