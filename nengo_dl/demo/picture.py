"""The picture that the demo draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nengo_dl.demo.oscillator import DT, TOP_SPEED
from nengo_dl.demo.simulate import Report, oscillators

OURS, REFERENCE, INK = ("#0b6e99", "#d1495b"), "#c9c9c9", "#30323d"


def draw(report: Report, path: str | Path) -> None:
    """Save a picture of the first oscillator as PNG.

    Parameters
    ----------
    report
        What `run` found.
    path
        Name of the file; an existing one is replaced.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    axes = figure.subplot_mosaic(
        [["command", "circle"], ["position", "circle"], ["spikes", "text"]],
        width_ratios=[2.6, 1],
        height_ratios=[0.5, 1.5, 1.7],
    )
    times = np.arange(1, report.commands.shape[1] + 1) * DT
    for name in ("command", "position", "spikes"):
        axes[name].set_xlim(0, times[-1])
        axes[name].spines[["top", "right"]].set_visible(False)
    _draw_command(axes["command"], times, report)
    _draw_position(axes["position"], times, report)
    _draw_spikes(axes["spikes"], times, report)
    _draw_circle(axes["circle"], report)
    _draw_text(axes["text"], report)
    figure.savefig(path, format="png", dpi=130)


def _draw_command(ax, times, report) -> None:
    ax.step(times, report.commands[0, :, 0] * TOP_SPEED / (2 * np.pi), color=INK, where="mid")
    ax.axhline(0, color=REFERENCE, linewidth=0.8, zorder=0)
    ax.set_ylabel("Hz")
    ax.set_title("Commanded speed", loc="left", fontsize=10)
    ax.tick_params(labelbottom=False)


def _draw_position(ax, times, report) -> None:
    wide = ax.plot(times, report.reference.position[0], color=REFERENCE, linewidth=5)
    x, y = ax.plot(times, report.ours.position[0], linewidth=1.3)
    x.set_color(OURS[0])
    y.set_color(OURS[1])
    ax.set_title("Decoded position", loc="left", fontsize=10)
    ax.legend(
        (wide[0], x, y),
        ("nengo.Simulator", "nengo_dl, x", "nengo_dl, y"),
        loc="lower right",
        bbox_to_anchor=(1, 0.98),
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    ax.tick_params(labelbottom=False)


def _draw_spikes(ax, times, report) -> None:
    order = np.argsort(report.directions)
    steps, neurons = np.nonzero(report.ours.spikes[0][:, order])
    ax.scatter(times[steps], neurons, s=0.5, linewidths=0, color=INK)
    ax.set_ylim(0, len(order))
    quarters = np.arange(-180, 181, 90)
    rows = np.searchsorted(np.degrees(report.directions[order]), quarters)
    ax.set_yticks(rows, [f"{angle}°" for angle in quarters])
    ax.set_ylabel("preferred direction")
    ax.set_xlabel("time (s)")
    ax.set_title(f"Spikes of {len(order):,} neurons", loc="left", fontsize=10)


def _draw_circle(ax, report) -> None:
    ax.plot(*report.reference.position[0].T, color=REFERENCE, linewidth=5)
    ax.plot(*report.ours.position[0].T, color=OURS[0], linewidth=1.3)
    ax.set_aspect("equal")
    ax.set_title("Position in the plane", loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("x")
    ax.set_ylabel("y")


def _draw_text(ax, report) -> None:
    ax.axis("off")
    exact = report.float64
    facts = (
        (f"{report.speed.ratio:.2g} times", "as fast as nengo.Simulator:"),
        (None, f"{oscillators(len(report.commands))},"),
        (None, f"{report.backend} on {', '.join(report.devices)}"),
        (f"{exact.largest:.1g}", "largest difference, in float64;"),
        (None, f"{exact.n_different:,} of {exact.n_spikes:,} spikes differ"),
    )
    y = 1.05
    for number, line in facts:
        if number is not None:
            y -= 0.24
            ax.text(0, y, number, fontsize=24, color=OURS[0], transform=ax.transAxes)
            y -= 0.02
        y -= 0.1
        ax.text(0, y, line, fontsize=10, color=INK, transform=ax.transAxes)
