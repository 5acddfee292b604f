"""How many operations a model takes, and how much energy they would on different hardware."""

from nengo_dl.energy.devices import DEVICES, Device
from nengo_dl.energy.keras_counts import count_model, register_connections
from nengo_dl.energy.nengo_counts import count_simulator
from nengo_dl.energy.report import EnergyReport, Part

__all__ = [
    "DEVICES",
    "Device",
    "EnergyReport",
    "Part",
    "count_model",
    "count_simulator",
    "register_connections",
]
