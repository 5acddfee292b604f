"""Spikes and firing rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError
from scipy.ndimage import gaussian_filter1d

from nengo_dl.viz import style
from nengo_dl.viz.recording import Recording, recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: up to this many neurons have ticks as high as their row
MAX_TICKS = 60
#: more spikes than this are drawn as an image of how many there are
MAX_POINTS = 100_000
#: rows and columns of images
IMAGE = (400, 800)


def raster(
    data: Any,
    probe: Any = None,
    *,
    item: int = 0,
    dt: float = 0.001,
    order: Sequence[int] | np.ndarray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw spikes over time, with a row for each neuron.

    Spikes are drawn as ticks, or as points for more than 60 neurons. More than 100,000 spikes are
    drawn as an image, which is darker where spikes are denser.

    Parameters
    ----------
    data, probe, item, dt
        See `recording`; every nonzero value is a spike.
    order
        Indices of the neurons in the order of the rows, from bottom to top; may be a subset.
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the Probe does not record spikes, and for all errors of `recording`.

    Examples
    --------
    Of a simulator: ``nengo_dl.viz.raster(sim, nengo.Probe(ensemble.neurons))``. Of an array:

    >>> spikes = np.random.RandomState(0).uniform(size=(500, 20)) < 0.02  # (n_samples, neurons)
    >>> ax = nengo_dl.viz.raster(spikes)
    >>> ax.get_ylabel()
    'neuron'
    """
    rec = recording(data, probe, item=item, dt=dt)
    _check_spikes(rec, probe)
    values = rec.values if order is None else rec.values[:, _rows(order, rec.values.shape[1])]
    samples, rows = np.nonzero(values)
    ax, n = style.axes_for(ax), values.shape[1]
    times = rec.times[samples]
    edges = (rec.times[0] - rec.dt, rec.times[-1])
    if len(rows) > MAX_POINTS:
        _draw_density(ax, times, rows, edges, n)
    elif n <= MAX_TICKS:
        ax.vlines(times, rows - 0.4, rows + 0.4, color=style.INK, linewidth=0.8)
    else:
        size = float(np.clip(600 / n, 0.3, 4))
        ax.scatter(times, rows, s=size, linewidths=0, color=style.INK, rasterized=True)
    ax.set_xlim(*edges)
    ax.set_ylim(-0.5, n - 0.5)
    style.integer_ticks(ax.yaxis)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("neuron" if order is None else "neuron, sorted")
    name = f"{rec.label}: " if rec.label else ""
    darker = ", darker where there are more" if len(rows) > MAX_POINTS else ""
    return style.tidy(
        ax, f"{name}{style.count(len(rows), 'spike')} of {style.count(n, 'neuron')}{darker}"
    )


def _rows(order: Any, n_neurons: int) -> np.ndarray:
    rows = np.asarray(order)
    valid = rows.ndim == 1 and rows.dtype.kind in "iu" and rows.size
    if not valid or rows.min() < 0 or rows.max() >= n_neurons:
        raise ValidationError(
            f"expected a list of neurons, 0 to {n_neurons - 1}; got {order!r}", attr="order"
        )
    return rows


def _check_spikes(rec: Recording, probe: Any) -> None:
    if rec.neuron_type is not None and not rec.neuron_type.spiking:
        raise ValidationError(
            f"{probe} records neurons of type {type(rec.neuron_type).__name__}, which do not "
            "spike; nengo_dl.viz.rates draws firing rates",
            attr="probe",
        )


def _draw_density(ax: Axes, times, rows, edges, n_rows: int) -> None:
    bins = (min(n_rows, IMAGE[0]), IMAGE[1])
    counts, *_ = np.histogram2d(rows, times, bins, [(-0.5, n_rows - 0.5), edges])
    ax.imshow(
        counts,
        cmap="Greys",
        vmax=max(np.percentile(counts, 99.5), 1),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(*edges, -0.5, n_rows - 0.5),
    )


def rates(
    data: Any,
    probe: Any = None,
    *,
    item: int = 0,
    dt: float = 0.001,
    smooth: float | None = None,
    amplitude: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw firing rates over time: up to six neurons as lines, more as an image.

    Parameters
    ----------
    data, probe, item, dt
        See `recording`; a Probe of neurons, spiking or not.
    smooth
        Standard deviation in seconds of the Gaussian that smooths spikes into rates. By default
        0.02, or 0 (no smoothing) for neurons that do not spike.
    amplitude
        Scale of the neurons' output; by default the amplitude of their type, or 1.
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If ``smooth`` is negative, and for all errors of `recording`.

    Examples
    --------
    >>> spikes = 1000.0 * (np.random.RandomState(0).uniform(size=(500, 4)) < 0.02)
    >>> ax = nengo_dl.viz.rates(spikes, smooth=0.05)
    >>> ax.get_ylabel()
    'firing rate (Hz)'
    """
    rec = recording(data, probe, item=item, dt=dt)
    if amplitude is None:
        amplitude = getattr(rec.neuron_type, "amplitude", 1.0)
    if smooth is None:
        smooth = 0.02 if rec.neuron_type is None or rec.neuron_type.spiking else 0.0
    values = smoothed(rec.values / amplitude, smooth / rec.dt)
    ax, n = style.axes_for(ax), values.shape[1]
    edges = (rec.times[0] - rec.dt, rec.times[-1])
    if n <= style.MAX_LINES:
        for i, color in zip(range(n), style.COLORS, strict=False):
            ax.plot(rec.times, values[:, i], color=color, label=f"neuron {i}")
        ax.set_ylabel("firing rate (Hz)")
        ax.set_ylim(bottom=min(0, values.min()))
        if n > 1:
            ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        rows = _averaged(values.T, IMAGE[0])
        image = ax.imshow(
            rows,
            cmap="cividis",
            vmin=min(0, rows.min()),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(*edges, -0.5, n - 0.5),
        )
        style.figure_of(ax).colorbar(image, ax=ax, label="firing rate (Hz)")
        ax.set_ylabel("neuron")
        style.integer_ticks(ax.yaxis)
    ax.set_xlim(*edges)
    ax.set_xlabel("time (s)")
    name = f"{rec.label}: " if rec.label else ""
    mean = f"{name}{style.count(n, 'neuron')}, {values.mean():.3g} Hz on average"
    return style.tidy(ax, mean)


def smoothed(values: np.ndarray, sigma: float) -> np.ndarray:
    """Values, (n_samples, size), through a Gaussian of ``sigma`` samples; also at both ends it is
    an average of samples that there are.
    """
    if sigma < 0:
        raise ValidationError(f"smooth must be 0 or more, got {sigma}", attr="smooth")
    if sigma == 0:
        return values
    weight = gaussian_filter1d(np.ones(len(values)), sigma, mode="constant")
    return gaussian_filter1d(values, sigma, axis=0, mode="constant") / weight[:, None]


def _averaged(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows: averages of neighbours."""
    if len(rows) <= most:
        return rows
    starts = np.linspace(0, len(rows), most, endpoint=False).astype(int)
    sizes = np.diff([*starts, len(rows)])
    return np.add.reduceat(rows, starts, axis=0) / sizes[:, None]
