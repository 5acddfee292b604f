"""Counts of operations as a table, a DataFrame, a plot, and as energy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nengo_dl.energy import devices
from nengo_dl.energy.devices import DEVICES, Device
from nengo_dl.viz import style


@dataclass(frozen=True)
class Part:
    """A layer, an ensemble or a connection; all counts are of one inference.

    Attributes
    ----------
    name, kind
        Its name and type.
    neurons
        Number of neurons.
    connections
        Multiply-accumulates of one step, counting every input.
    macs
        Multiply-accumulates of all steps, counting every input.
    synops
        Multiply-accumulates whose input was not zero: the synaptic operations of event-driven
        hardware.
    updates
        Updates of neurons.
    rate
        Mean firing rate of its neurons in hertz; None if it has no neurons.
    parameters, bytes
        Number of its weights, and the memory that they need.
    """

    name: str
    kind: str
    neurons: int = 0
    connections: float = 0
    macs: float = 0
    synops: float = 0
    updates: float = 0
    rate: float | None = None
    parameters: int = 0
    bytes: int = 0

    def joules(self, device: str | Device) -> float:
        """Energy of an inference on a device."""
        device = devices.get(device)
        synops = self.synops if device.event_driven else self.macs
        return device.joules_per_synop * synops + device.joules_per_update * self.updates


@dataclass(frozen=True)
class EnergyReport:
    """Operations and energy of one inference; ``print`` shows a table.

    The energy is that of the operations alone, as published for each device. It does not include
    moving data, memory, or idle time. Use it to compare orders of magnitude.

    Examples
    --------
    >>> part = nengo_dl.energy.Part("layer", "LIF", neurons=10, synops=1000, updates=100)
    >>> report = nengo_dl.energy.EnergyReport((part,), n_steps=10, dt=0.001)
    >>> report.total("synops")
    1000
    >>> print(report.table(devices_=["loihi"]))
           neurons  rate (Hz)  parameters  MACs  synops  updates  J (loihi)
    layer       10                      0     0    1000      100   3.17e-08
    total       10                      0     0    1000      100   3.17e-08
    one inference: 10 steps of 0.001 s; weights take 0 KiB
    """

    parts: tuple[Part, ...]
    #: duration of an inference in steps and seconds
    n_steps: int
    dt: float

    def total(self, name: str) -> float:
        """Sum of one of the counts over all parts: ``"synops"``, ``"macs"``, ``"bytes"``, ..."""
        return sum(getattr(part, name) for part in self.parts)

    def joules(self, device: str | Device) -> float:
        """Energy of an inference on a device."""
        return sum(part.joules(device) for part in self.parts)

    def rows(self, devices_: Iterable[str | Device] = tuple(DEVICES)) -> list[dict[str, Any]]:
        """One dictionary for each part, with its counts and its energy in joules."""
        chosen = [devices.get(device) for device in devices_]
        return [
            {**asdict(part), **{f"J ({d.name})": part.joules(d) for d in chosen}}
            for part in self.parts
        ]

    def to_dataframe(self, devices_: Iterable[str | Device] = tuple(DEVICES)) -> Any:
        """The `rows` as a ``pandas.DataFrame``."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "a DataFrame needs pandas: `pip install pandas`; `rows` gives the same without it"
            ) from error
        return pandas.DataFrame(self.rows(devices_))

    def table(self, devices_: Sequence[str | Device] = tuple(DEVICES)) -> str:
        """The counts of each part, their totals, and the energy on each device, as text."""
        chosen = [devices.get(device) for device in devices_]
        head = ["", "neurons", "rate (Hz)", "parameters", "MACs", "synops", "updates"]
        lines = [head + [f"J ({d.name})" for d in chosen]]
        for part in self.parts:
            rate = "" if part.rate is None else f"{part.rate:.3g}"
            counts = [f"{part.macs:.4g}", f"{part.synops:.4g}", f"{part.updates:.4g}"]
            energies = [f"{part.joules(d):.3g}" for d in chosen]
            lines.append([part.name, str(part.neurons), rate, str(part.parameters)])
            lines[-1] += counts + energies
        sums = [f"{self.total(name):.4g}" for name in ("macs", "synops", "updates")]
        total = ["total", str(self.total("neurons")), "", str(self.total("parameters")), *sums]
        lines.append(total + [f"{self.joules(d):.3g}" for d in chosen])
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        text = [
            "  ".join(
                cell.ljust(w) if k == 0 else cell.rjust(w)
                for k, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        text.append(
            f"one inference: {self.n_steps} steps of {self.dt:g} s; weights take "
            f"{self.total('bytes') / 1024:.4g} KiB"
        )
        return "\n".join(text)

    def __str__(self) -> str:
        return self.table()

    def plot(self, devices_: Sequence[str | Device] = tuple(DEVICES), ax: Any = None) -> Any:
        """Draw the energy on each device, on ``ax`` or by default in a new figure; returns the
        axes.
        """
        ax = style.axes_for(ax)
        chosen = [devices.get(device) for device in devices_]
        names = {True: "event-driven", False: "all operations in each step"}
        for event_driven, color in zip(names, style.COLORS, strict=False):
            places = [k for k, device in enumerate(chosen) if device.event_driven == event_driven]
            if places:
                heights = [self.joules(chosen[k]) for k in places]
                ax.bar(places, heights, color=color, label=names[event_driven])
        ax.set_xticks(range(len(chosen)), [device.name for device in chosen])
        ax.set_yscale("log")
        ax.set_ylabel("energy of an inference (J)")
        ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
        return style.tidy(ax)
