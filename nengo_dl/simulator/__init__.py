"""The public face: a drop-in replacement for nengo.Simulator."""

from nengo_dl.simulator.core import Simulator

__all__ = ["Simulator"]
