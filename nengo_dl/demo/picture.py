"""The picture that the demo draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nengo_dl import viz
from nengo_dl.demo.oscillator import DT, TOP_SPEED
from nengo_dl.demo.simulate import Report, oscillators
from nengo_dl.optional import installed
from nengo_dl.viz.style import COLORS, GREY, INK, tidy


def draw(report: Report, path: str | Path) -> None:
    """Save a picture of the first oscillator as PNG.

    Parameters
    ----------
    report
        What `run` found.
    path
        Name of the file; an existing one is replaced.
    """
    with installed("demo"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    axes = figure.subplot_mosaic(
        [["command", "circle"], ["position", "circle"], ["spikes", "text"]],
        width_ratios=[2.6, 1],
        height_ratios=[0.5, 1.5, 1.7],
    )
    _draw_command(axes["command"], report)
    _draw_position(axes["position"], report)
    _draw_spikes(axes["spikes"], report)
    _draw_circle(axes["circle"], report)
    _draw_text(axes["text"], report)
    for name in ("command", "position"):
        axes[name].set_xlabel("")
        axes[name].tick_params(labelbottom=False)
    figure.savefig(path, format="png", dpi=130)


def _draw_command(ax, report) -> None:
    commands = report.commands[0, :, 0] * TOP_SPEED / (2 * np.pi)
    times = np.arange(1, len(commands) + 1) * DT
    ax.step(times, commands, color=INK, where="mid")
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_xlim(0, times[-1])
    ax.set_ylabel("Hz")
    tidy(ax, "Commanded speed")


def _draw_position(ax, report) -> None:
    ours, reference = report.ours.position[0], report.reference.position[0]
    viz.decoded(ours, target=reference, dt=DT, labels=["nengo_dl, x", "nengo_dl, y"], ax=ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        ["nengo.Simulator", *labels[1:]],
        loc="lower right",
        bbox_to_anchor=(1, 0.98),
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    ax.set_ylabel("")
    ax.set_title("Decoded position", loc="left", fontsize=10)


def _draw_spikes(ax, report) -> None:
    order = np.argsort(report.directions)
    viz.raster(report.ours.spikes[0], dt=DT, order=order, ax=ax)
    quarters = np.arange(-180, 181, 90)
    rows = np.searchsorted(np.degrees(report.directions[order]), quarters)
    ax.set_yticks(rows, [f"{angle}°" for angle in quarters])
    ax.set_ylabel("preferred direction")
    ax.set_title(f"Spikes of {len(order):,} neurons", loc="left", fontsize=10)


def _draw_circle(ax, report) -> None:
    ax.plot(*report.reference.position[0].T, color=GREY, linewidth=5)
    ax.plot(*report.ours.position[0].T, color=COLORS[0], linewidth=1.3)
    ax.set_aspect("equal")
    tidy(ax, "Position in the plane")
    ax.set_xlabel("x")
    ax.set_ylabel("y")


def _draw_text(ax, report) -> None:
    exact = report.float64
    facts = (
        (f"{report.speed.ratio:.2g} times", "as fast as nengo.Simulator:"),
        (None, f"{oscillators(len(report.commands))},"),
        (None, f"{report.backend} on {', '.join(report.devices)}"),
        (f"{exact.largest:.1g}", "largest difference, in float64;"),
        (None, f"{exact.n_different:,} of {exact.n_spikes:,} spikes differ"),
    )
    write_facts(ax, facts)


def write_facts(ax, facts) -> None:
    """Write pairs of a large number (or None) and a line of text under one another."""
    ax.axis("off")
    y = 1.05
    for number, line in facts:
        if number is not None:
            y -= 0.24
            ax.text(0, y, number, fontsize=24, color=COLORS[0], transform=ax.transAxes)
            y -= 0.02
        y -= 0.1
        ax.text(0, y, line, fontsize=10, color=INK, transform=ax.transAxes)
