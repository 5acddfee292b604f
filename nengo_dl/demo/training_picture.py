"""The picture of the classifier that the demo trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nengo_dl.demo.classifier import N_SHOWN, STEPS, TrainingReport
from nengo_dl.demo.picture import INK, OURS, REFERENCE


def draw_training(report: TrainingReport, path: str | Path) -> None:
    """Save a picture of learning curve, digits, spikes and outputs as PNG.

    Parameters
    ----------
    report
        What `train` found.
    path
        Name of the file; an existing one is replaced.
    """
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
    _draw_text(axes["text"], report)
    figure.savefig(path, format="png", dpi=130)


def _draw_curve(ax, report) -> None:
    epochs = np.arange(1, len(report.loss) + 1)
    (loss,) = ax.plot(epochs, report.loss, color=INK)
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.set_ylim(0, None)
    twin = ax.twinx()
    (accuracy,) = twin.plot(epochs, np.asarray(report.accuracy) * 100, color=OURS[0])
    twin.set_ylim(0, 100)
    twin.set_ylabel("accuracy (%)", color=OURS[0])
    ax.set_title("Training with firing rates", loc="left", fontsize=10)
    for a in (ax, twin):
        a.spines["top"].set_visible(False)
    ax.legend(
        (loss, accuracy), ("loss", "accuracy on these digits"), loc="center right", frameon=False
    )


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
    steps, neurons = np.nonzero(report.spikes)
    ax.scatter(steps + 1, neurons, s=1.5, linewidths=0, color=INK)
    ax.set_ylim(0, report.spikes.shape[1])
    ax.set_ylabel("neuron")
    ax.set_title("Spikes", loc="left", fontsize=10)
    ax.tick_params(labelbottom=False)
    _mark_digits(ax)


def _draw_outputs(ax, report) -> None:
    times = np.arange(1, len(report.outputs) + 1)
    for digit in range(10):
        shown = digit in report.labels
        ax.plot(
            times,
            report.outputs[:, digit],
            color=f"C{digit}" if shown else REFERENCE,
            linewidth=1.6 if shown else 0.7,
            zorder=2 if shown else 1,
        )
    height = np.max(report.outputs)
    for i, label in enumerate(report.labels):
        ax.text((i + 0.5) * STEPS, height * 1.05, str(label), color=f"C{label}", ha="center")
    ax.set_ylim(None, height * 1.25)
    ax.set_ylabel("output")
    ax.set_xlabel("time (ms)")
    ax.set_title("Outputs for the ten digits", loc="left", fontsize=10)
    _mark_digits(ax)


def _mark_digits(ax) -> None:
    ax.set_xlim(0, N_SHOWN * STEPS)
    for i in range(1, N_SHOWN):
        ax.axvline(i * STEPS, color=REFERENCE, linewidth=0.8, zorder=0)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_text(ax, report) -> None:
    ax.axis("off")
    ax.text(0, 0.72, f"{report.after:.1%}", fontsize=24, color=OURS[0], transform=ax.transAxes)
    ax.text(
        0,
        0.58,
        f"accuracy with spikes ({report.before:.1%} before)",
        fontsize=10,
        color=INK,
        transform=ax.transAxes,
    )
    ax.text(0, 0.3, f"{report.rate:.0f} Hz", fontsize=24, color=OURS[0], transform=ax.transAxes)
    ax.text(0, 0.16, "mean firing rate", fontsize=10, color=INK, transform=ax.transAxes)
