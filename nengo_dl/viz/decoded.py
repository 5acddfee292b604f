"""Decoded values over time, and what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_dl.viz import style
from nengo_dl.viz.recording import Recording, RunSimulator, recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def decoded(
    data: Any,
    probe: Any = None,
    target: Any = None,
    *,
    item: int = 0,
    dt: float = 0.001,
    dims: Sequence[int] | None = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw recorded values, with a line for each dimension, over wide pale lines for the target.

    Parameters
    ----------
    data, probe, item, dt
        See `recording`.
    target
        The target values: an array as in `recording`, with as many samples or with one constant
        value, or another Probe in ``data``.
    dims
        Which dimensions to draw, at most six; by default all, or the six that vary most.
    labels
        Names of the dimensions; by default their numbers.
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the target has a different size, and for all errors of `recording`.

    Examples
    --------
    Of a simulator: ``nengo_dl.viz.decoded(sim, probe, target=other_probe)``. Of an array:

    >>> times = np.arange(1, 501) * 0.001
    >>> ax = nengo_dl.viz.decoded(np.sin(20 * times), target=np.sin(20 * times + 0.1))
    >>> ax.get_xlabel()
    'time (s)'
    """
    rec = recording(data, probe, item=item, dt=dt)
    size = rec.values.shape[1]
    chosen = _choose(rec, dims)
    labels = [str(i) for i in chosen] if labels is None else list(labels)
    if len(labels) != len(chosen):
        raise ValidationError(
            f"{len(labels)} labels were given for {style.count(len(chosen), 'dimension')}",
            attr="labels",
        )
    wanted = None if target is None else _target(data, target, rec, item)
    ax = style.axes_for(ax)
    if wanted is not None:
        for i, color in zip(chosen, style.COLORS, strict=False):
            ax.plot(rec.times, wanted[:, i], color=color, alpha=0.3, linewidth=5, zorder=1)
        if len(chosen) > 1:  # one entry for the targets of all dimensions
            ax.plot([], [], color=style.GREY, linewidth=5, label="target")
        else:
            ax.lines[-1].set_label("target")
    for i, color, label in zip(chosen, style.COLORS, labels, strict=False):
        ax.plot(rec.times, rec.values[:, i], color=color, linewidth=1.3, label=label, zorder=2)
    ax.set_xlim(rec.times[0] - rec.dt, rec.times[-1])
    ax.set_xlabel("time (s)")
    ax.set_ylabel("value")
    if len(chosen) > 1 or wanted is not None:
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    left_out = "" if len(chosen) == size else f"{len(chosen)} of {style.count(size, 'dimension')}"
    return style.tidy(ax, ": ".join(part for part in (rec.label, left_out) if part))


def _choose(rec: Recording, dims: Sequence[int] | None) -> list[int]:
    size = rec.values.shape[1]
    if dims is None:
        if size <= style.MAX_LINES:
            return list(range(size))
        return sorted(np.argsort(-rec.values.std(axis=0), kind="stable")[: style.MAX_LINES])
    chosen = [int(i) for i in np.atleast_1d(dims)]
    if not 1 <= len(chosen) <= style.MAX_LINES or not all(0 <= i < size for i in chosen):
        raise ValidationError(
            f"expected 1 to {style.MAX_LINES} dimensions, each from 0 to {size - 1}; got {dims!r}",
            attr="dims",
        )
    return chosen


def _target(data: Any, target: Any, rec: Recording, item: int) -> np.ndarray:
    if isinstance(target, Probe):
        if not isinstance(data, (RunSimulator, Mapping)):
            raise ValidationError(
                "a Probe can be the target only if data is a simulator or the result of "
                f"sim.predict; got data of type {type(data).__name__}",
                attr="target",
            )
        target = recording(data, target, item=item, dt=rec.dt).values
    values = np.asarray(target, dtype=float)
    if values.ndim == 3:
        values = recording(values, item=item).values
    elif values.ndim == 1 and len(values) == len(rec.values) and rec.values.shape[1] == 1:
        values = values[:, None]
    try:
        return np.broadcast_to(values, rec.values.shape)
    except ValueError as error:
        raise ValidationError(
            f"the target has shape {np.shape(target)}; expected {rec.values.shape} (samples, "
            "dimensions), with a batch in front or not, or one value for all",
            attr="target",
        ) from error
