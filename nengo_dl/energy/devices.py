"""Energy of an operation on different hardware, from published figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """The energy of operations on a device.

    Attributes
    ----------
    name
        Name for tables.
    joules_per_synop, joules_per_update
        Energy of a synaptic operation (a multiplication by a weight and an addition), and of the
        update of a neuron in one step.
    event_driven
        Whether the device performs synaptic operations only for inputs that are not zero. If not,
        it performs all of them in each step.
    source
        Source of the figures.

    Examples
    --------
    >>> chip = nengo_dl.energy.Device("chip", 1e-12, 2e-12, event_driven=True, source="data sheet")
    >>> part = nengo_dl.energy.Part("layer", "LIF", synops=1000, updates=100)
    >>> round(part.joules(chip) * 1e9, 6)  # nanojoules
    1.2
    """

    name: str
    joules_per_synop: float
    joules_per_update: float
    event_driven: bool
    source: str


_DEGNAN = (
    "B. Degnan, B. Marr and J. Hasler, 2016, Assessing trends in performance per watt for signal "
    "processing applications, IEEE Transactions on VLSI Systems 24(1), 58-66: energy of a "
    "multiply-accumulate"
)
_HOPPNER = (
    "S. Hoppner et al., 2019, Dynamic power management for neuromorphic many-core systems, "
    "arXiv:1903.08941: energy of a neuron update and of a synaptic event"
)

#: devices by name; add your own, or give a `Device` where a name is expected
DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("cpu", 8.6e-9, 8.6e-9, False, f"Intel i7-4960X; {_DEGNAN}"),
        Device("gpu", 0.3e-9, 0.3e-9, False, f"NVIDIA GTX Titan Black; {_DEGNAN}"),
        Device("arm", 0.9e-9, 0.9e-9, False, f"ARM Cortex-A; {_DEGNAN}"),
        Device(
            "loihi",
            23.6e-12,
            81e-12,
            True,
            "M. Davies et al., 2018, Loihi: A neuromorphic manycore processor with on-chip "
            "learning, IEEE Micro 38(1), 82-99, table 2, simulations of the circuit: a synaptic "
            "operation (minimum), and the update of an active neuron",
        ),
        Device("spinnaker", 13.3e-9, 26e-9, True, f"first generation; {_HOPPNER}"),
        Device("spinnaker2", 450e-12, 2.19e-9, True, f"test chip; {_HOPPNER}"),
    )
}


def get(device: str | Device) -> Device:
    """A device by its name."""
    if isinstance(device, Device):
        return device
    if device not in DEVICES:
        raise ValueError(f"there is no device {device!r}; there are {', '.join(DEVICES)}")
    return DEVICES[device]
