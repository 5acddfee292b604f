"""The job of ``nengo-dl demo``: simulate a model, check it against nengo.Simulator, draw it."""

from nengo_dl.demo.picture import draw
from nengo_dl.demo.simulate import Report, run, summary

__all__ = ["Report", "draw", "run", "summary"]
