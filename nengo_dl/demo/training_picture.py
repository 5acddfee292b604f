"""The picture of the classifier that the demo trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nengo_dl import viz
from nengo_dl.demo.classifier import DT, N_SHOWN, STEPS, TrainingReport
from nengo_dl.demo.picture import write_facts
from nengo_dl.optional import installed
from nengo_dl.viz.style import COLORS, GREY, MAX_LINES


def draw_training(report: TrainingReport, path: str | Path) -> None:
    """Save a picture of learning curve, digits, spikes and outputs as PNG.

    Parameters
    ----------
    report
        What `train` found.
    path
        Name of the file; an existing one is replaced.
    """
    with installed("demo"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.6), layout="constrained")
    axes = figure.subplot_mosaic(
        [["curve", "digits"], ["curve", "spikes"], ["text", "outputs"]],
        width_ratios=[1, 2.2],
        height_ratios=[0.9, 2, 1.6],
    )
    _draw_curve(axes["curve"], report)
    _draw_digits(axes["digits"], report)
    _draw_spikes(axes["spikes"], report)
    _draw_outputs(axes["outputs"], report)
    facts = (
        (f"{report.after:.1%}", f"accuracy with spikes ({report.before:.1%} before)"),
        (f"{report.rate:.0f} Hz", "mean firing rate"),
    )
    write_facts(axes["text"], facts)
    figure.savefig(path, format="png", dpi=130)


def _draw_curve(ax, report) -> None:
    history = {"loss": report.loss, "accuracy": report.accuracy}
    viz.learning_curve(history, "accuracy", ax=ax)
    ax.set_title("Training with firing rates", loc="left", fontsize=10)
    handles = ax.get_legend().legend_handles
    ax.legend(handles, ("loss", "accuracy on these digits"), loc="center right", frameon=False)


def _draw_digits(ax, report) -> None:
    ax.axis("off")
    ax.set_xlim(0, N_SHOWN)
    ax.set_ylim(0, 1)
    for i, image in enumerate(report.images):
        inset = ax.inset_axes((i / N_SHOWN, 0, 1 / N_SHOWN, 1))
        inset.imshow(image, cmap="gray_r")
        inset.axis("off")
    ax.set_title("Digits that were not trained with", loc="left", fontsize=10)


def _draw_spikes(ax, report) -> None:
    viz.raster(report.spikes, dt=DT, ax=ax)
    ax.set_title("Spikes", loc="left", fontsize=10)
    ax.set_xlabel("")
    ax.tick_params(labelbottom=False)
    _mark_digits(ax)


def _draw_outputs(ax, report) -> None:
    shown = list(dict.fromkeys(int(label) for label in report.labels))[:MAX_LINES]
    times = DT * np.arange(1, len(report.outputs) + 1)
    ax.plot(times, report.outputs, color=GREY, linewidth=0.7, zorder=1)
    viz.decoded(report.outputs, dt=DT, dims=shown, ax=ax)
    if ax.get_legend() is not None:
        ax.get_legend().remove()  # the digits are written above the lines
    colors = dict(zip(shown, COLORS, strict=False))
    height = np.max(report.outputs)
    for i, label in enumerate(report.labels):
        x = (i + 0.5) * STEPS * DT
        ax.text(x, height * 1.05, str(label), color=colors[label], ha="center", weight="bold")
    ax.set_ylim(None, height * 1.25)
    ax.set_ylabel("output")
    ax.set_title("Outputs for the ten digits", loc="left", fontsize=10)
    _mark_digits(ax)


def _mark_digits(ax) -> None:
    for i in range(1, N_SHOWN):
        ax.axvline(i * STEPS * DT, color=GREY, linewidth=0.8, zorder=0)
