"""What was found at the points of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.viz import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: parameters over which is averaged if nothing else is said
REPEATS = ("seed", "rng", "trial", "repeat")


def sweep(
    results: Any,
    name: str,
    *,
    x: str | None = None,
    y: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a number that was computed at each point of a grid.

    For one parameter, the mean is drawn as a line, and all values as points; for two parameters,
    the mean is drawn as an image. The mean is taken over all other parameters, such as seeds,
    without points that raised an error.

    Parameters
    ----------
    results
        The result of ``nengo_dl.sweep(...).run(...)`` for a grid.
    name
        Name of a number that ``analyse`` returned.
    x, y
        Parameters along the axes. By default the parameters with several values, except "seed",
        "rng", "trial" and "repeat".
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the points do not form a grid, if the result is not a single number per point, or if the
        choice of parameters is ambiguous.

    Examples
    --------
    >>> def make(seed, tau):
    ...     with nengo.Network(seed=seed) as net:
    ...         ens = nengo.Ensemble(20, dimensions=1)
    ...         nengo.Connection(nengo.Node([0.5]), ens, synapse=tau)
    ...         net.probe = nengo.Probe(ens, label="decoded")
    ...     return net
    >>> results = nengo_dl.sweep(make, seed=range(2), tau=[0.05, 0.1]).run(
    ...     0.05, analyse=lambda recorded, parameters: {"mean": recorded["decoded"].mean()}
    ... )
    >>> ax = nengo_dl.viz.sweep(results, "mean", x="tau")
    """
    axes = getattr(results, "axes", None)
    if not isinstance(axes, dict):
        raise ValidationError(
            f"expected the results of a sweep over a grid, got {results!r}", attr="results"
        )
    values = np.asarray(results.grid(name), dtype=float)
    if values.ndim != len(axes):
        raise ValidationError(
            f"{name!r} has shape {values.shape[len(axes) :]} at each point, expected one number; "
            "`analyse` may return one, the mean say",
            attr="name",
        )
    chosen = _chosen(axes, x, y)
    order = [list(axes).index(key) for key in chosen]
    values = np.moveaxis(values, order, range(len(order)))
    values = values.reshape(*values.shape[: len(order)], -1)
    ax = style.axes_for(ax)
    if len(chosen) == 1:
        _draw_line(ax, axes[chosen[0]], values)
        ax.set_ylabel(name.replace("_", " "))
    else:
        _draw_image(ax, [axes[key] for key in chosen], _mean(values), name)
        ax.set_ylabel(chosen[1])
    ax.set_xlabel(chosen[0])
    over = [
        f"{len(values)} values of {key}"
        for key, values in axes.items()
        if key not in chosen and len(values) > 1
    ]
    return style.tidy(ax, f"mean over {' and '.join(over)}" if over else None)


def _chosen(axes: dict[str, tuple], x: str | None, y: str | None) -> list[str]:
    """The parameters along the axes of the picture."""
    for key in (x, y):
        if key is not None and key not in axes:
            raise ValidationError(
                f"there is no parameter {key!r}; there are {', '.join(map(repr, axes))}",
                attr="x" if key == x else "y",
            )
    if x is not None:
        return [x] if y is None or y == x else [x, y]
    several = [key for key, values in axes.items() if len(values) > 1 and key != y]
    free = [key for key in several if key not in REPEATS] or several or list(axes)
    if y is not None:
        free = free[:1]
    if len(free) > 2:
        raise ValidationError(
            f"{', '.join(free)} have several values each; say which are along the axes with x= and "
            "y=, the mean is taken over the others",
            attr="x",
        )
    return free if y is None else [*free, y]


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis, of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    n = there.sum(axis=-1)
    total = np.where(there, values, 0).sum(axis=-1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _draw_line(ax: Axes, along: Sequence[Any], values: np.ndarray) -> None:
    where = _positions(along)
    n = values.shape[1]
    if n > 1:
        ax.plot(np.repeat(where, n), values.ravel(), "o", color=style.GREY, markersize=3)
    ax.plot(where, _mean(values), "-o", color=style.COLORS[0], linewidth=1.3, markersize=4)
    _ticks(ax.xaxis, along)


def _draw_image(ax: Axes, along: Sequence[Sequence[Any]], values: np.ndarray, name: str) -> None:
    image = ax.imshow(values.T, origin="lower", aspect="auto", cmap="viridis")
    for axis, each in zip((ax.xaxis, ax.yaxis), along, strict=True):
        axis.set_ticks(range(len(each)), [_text(value) for value in each])
    bar = style.figure_of(ax).colorbar(image, ax=ax)
    bar.set_label(name.replace("_", " "))
    bar.outline.set_visible(False)


def _positions(along: Sequence[Any]) -> np.ndarray:
    return np.array(along, dtype=float) if _are_numbers(along) else np.arange(len(along))


def _ticks(axis: Any, along: Sequence[Any]) -> None:
    if not _are_numbers(along):
        axis.set_ticks(range(len(along)), [_text(value) for value in along])


def _are_numbers(along: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in along)


def _text(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else getattr(value, "__name__", str(value))
    return text if len(text) <= 20 else f"{text[:19]}…"
