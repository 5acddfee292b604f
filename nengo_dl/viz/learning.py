"""How training went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.viz import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def learning_curve(
    history: Any,
    metric: str | None = None,
    *,
    loss: str = "loss",
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the loss of each epoch, and optionally a metric with a separate axis on the right. Lines
    for validation data are dashed.

    Parameters
    ----------
    history
        The result of ``Simulator.fit`` or of a Keras model's ``fit``, or its dict
        ``history.history``.
    metric
        Name of a metric as in ``history.history``, e.g. "accuracy"; by default none is drawn.
    loss
        Name of the loss, e.g. "out_loss" for the loss of one probe.
    log
        Whether the axis of the loss is logarithmic.
    ax
        Axes to draw on, by default those of a new figure.

    Returns
    -------
    Axes
        The axes of the loss.

    Raises
    ------
    nengo.exceptions.ValidationError
        If a name is not in the history; the message lists the available names.

    Examples
    --------
    >>> history = {"loss": [1.0, 0.5, 0.3], "val_loss": [1.1, 0.7, 0.6]}  # or what fit returned
    >>> ax = nengo_dl.viz.learning_curve(history)
    >>> len(ax.lines)
    2
    """
    values = _values(history)
    for name in (loss, *([] if metric is None else [metric])):
        if name not in values:
            raise ValidationError(
                f"the history does not contain {name!r}; it contains "
                f"{', '.join(map(repr, values)) or 'nothing'}",
                attr="metric" if name == metric else "loss",
            )
    ax = style.axes_for(ax)
    handles = _draw(ax, values, loss, style.INK)
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=min(0, *(v for handle in handles for v in handle.get_ydata())))
    ax.set_xlabel("epoch")
    ax.set_ylabel(loss.replace("_", " "))
    style.integer_ticks(ax.xaxis)
    style.tidy(ax)
    if metric is not None:
        twin = ax.twinx()
        handles += _draw(twin, values, metric, style.COLORS[0])
        twin.set_ylabel(metric.replace("_", " "), color=style.COLORS[0])
        twin.tick_params(axis="y", labelcolor=style.COLORS[0])
        twin.spines["top"].set_visible(False)
        if metric.endswith("accuracy"):
            twin.set_ylim(0, 1)
            twin.yaxis.set_major_formatter("{x:.0%}")
    if len(handles) > 1:
        ax.legend(
            handles=handles,
            frameon=False,
            fontsize=8,
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=min(len(handles), 2),
        )
    return ax


def _values(history: Any) -> Mapping[str, Any]:
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping):
        raise ValidationError(
            f"expected the result of fit, or its dict history; got {history!r} of type "
            f"{type(history).__name__}",
            attr="history",
        )
    return values


def _draw(ax: Axes, values: Mapping[str, Any], name: str, color: str) -> list:
    lines = []
    words = name.replace("_", " ")
    for key, label, dashes in ((name, words, "-"), (f"val_{name}", f"{words}, validation", "--")):
        if key in values:
            y = np.asarray(values[key], dtype=float)
            # Keras may validate less often than once in an epoch
            every = max(1, len(values[name]) // max(len(y), 1))
            epochs = every * np.arange(1, len(y) + 1)
            marker = "o" if len(y) == 1 else None
            lines += ax.plot(epochs, y, dashes, color=color, label=label, marker=marker)
    return lines
