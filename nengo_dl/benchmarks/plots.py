"""Curves of how time grows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

from nengo_dl.benchmarks.cases import OURS, Result
from nengo_dl.benchmarks.report import title
from nengo_dl.optional import installed

SERIES = {
    "neurons": ("integrator array", "neurons", "time of a step (ms)", 1e3),
    "minibatch_size": (
        "circular convolution, 128 dimensions",
        "size of the minibatch",
        "time of a step of one item (ms)",
        1e3,
    ),
    "steps": ("network of the tutorial", "steps of a run", "time of a run (s)", 1.0),
    "operators": ("random network", "Nengo's operators", "time to build (s)", 1.0),
}
STYLES = {
    f"{OURS}/tensorflow": ("C1", "o", "-"),
    f"{OURS}/jax": ("C0", "s", "-"),
    "nengo": ("0.35", "^", "--"),
    "nengo-dl-3": ("C3", "v", ":"),
    "nengo-ocl": ("C2", "D", ":"),
}


def draw(results: Iterable[Result], folder: str | Path) -> list[Path]:
    """Draw a picture for each series that was measured.

    Parameters
    ----------
    results
        Those of the set "scaling" are drawn, others are passed over.
    folder
        Where the pictures go, as ``benchmark-NAME.png``; made where it does not exist.

    Returns
    -------
    list
        The files.
    """
    with installed("demo"):
        from matplotlib.figure import Figure

    results = [result for result in results if result.series]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for series, (name, abscissa, ordinate, scale) in SERIES.items():
        points = [result for result in results if result.series == series]
        if not points:
            continue
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for peer in sorted({peer for point in points for peer in point.times}):
            _curve(axes, [point for point in points if peer in point.times], peer, scale)
        axes.set(xscale="log", yscale="log", xlabel=abscissa, ylabel=ordinate, title=name)
        for axis in (axes.xaxis, axes.yaxis):
            _label(axis)
        axes.grid(True, which="major", alpha=0.3)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        paths.append(folder / f"benchmark-{series.replace('_', '-')}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def _label(axis) -> None:
    """Plain numbers, as many as there is room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, most = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if most / least < 300 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _curve(axes, points: list[Result], peer: str, scale: float) -> None:
    values = sorted((_abscissa(point, peer), _seconds(point, peer)) for point in points)
    x = [value for value, _ in values]
    middle, low, high = (
        [scale * function(seconds) for _, seconds in values] for function in (median, min, max)
    )
    color, marker, line = STYLES.get(peer, (None, ".", ":"))
    label = title(peer, points[0].times[peer])
    axes.plot(x, middle, color=color, marker=marker, linestyle=line, label=label, markersize=5)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _abscissa(point: Result, peer: str) -> float:
    if point.series is None:
        raise ValueError("expected a point of a series")
    if point.series == "steps":
        return point.times[peer].n
    if point.series == "minibatch_size":
        return point.parameters["minibatch_size"]
    if point.series == "operators":  # before anything is simplified, which each does in its own way
        counts = (times.facts.get("operators", 0) for times in point.times.values())
        return max(counts)
    return point.times[peer].facts[point.series]


def _seconds(point: Result, peer: str) -> list[float]:
    times = point.times[peer]
    whole = point.series in ("steps", "operators")
    return list(times.seconds) if whole else times.seconds_per_work
