"""What the spikes of a converted network say, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.optional import installed
from nengo_dl.viz import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def conversion(report: Sequence[Any]) -> Figure:
    """Draw the firing rates, output errors and numbers of spikes of a converted network's layers,
    in a new figure.

    Parameters
    ----------
    report
        The report that ``converter.calibrate``, ``fine_tune`` or ``measure_rates`` returned.

    Raises
    ------
    nengo.exceptions.ValidationError
        For a network without neurons.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu")])
    >>> report = nengo_dl.Converter(model).calibrate(np.random.rand(20, 4), steps=20)
    >>> figure = nengo_dl.viz.conversion(report)
    """
    with installed("viz"):
        from matplotlib import pyplot

    if not len(report):
        raise ValidationError("there are no layers of neurons to draw", attr="report")
    height = 0.9 + 0.3 * len(report)
    figure, (rates, errors, spikes) = pyplot.subplots(
        1, 3, figsize=(9.6, height), sharey=True, layout="constrained"
    )
    rows = np.arange(len(report))
    rates.barh(rows, [layer.high for layer in report], color=style.GREY, label="99.9 %")
    rates.barh(rows, [layer.mean for layer in report], color=style.COLORS[0], label="mean")
    rates.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    rates.set_xlabel("firing rate (Hz)")
    rates.set_yticks(rows, [layer.name for layer in report])
    rates.invert_yaxis()
    errors.barh(rows, [100 * np.nan_to_num(layer.error) for layer in report], color=style.COLORS[1])
    errors.set_xlabel("distance from the model (%)")
    spikes.barh(rows, [layer.spikes for layer in report], color=style.COLORS[2])
    spikes.set_xlabel("spikes an input")
    for ax in (rates, errors, spikes):
        style.tidy(ax)
    return figure
