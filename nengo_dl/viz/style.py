"""What all pictures share: colours, axes, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nengo.exceptions import ValidationError

from nengo_dl.optional import installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: colours that people with any colour vision tell apart (M. Okabe and K. Ito, Color Universal
#: Design, 2008), without yellow, which white paper swallows
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GREY = "#30323d", "#c9c9c9"
#: most lines that one picture has; of more, a choice is drawn
MAX_LINES = len(COLORS)


def axes_for(ax: Axes | None) -> Axes:
    """``ax`` itself, or the axes of a new figure."""
    with installed("viz"):
        from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    if not isinstance(ax, Axes):
        raise ValidationError(
            f"expected matplotlib Axes, got {ax!r} of type {type(ax).__name__}; "
            "`figure, ax = matplotlib.pyplot.subplots()` creates them",
            attr="ax",
        )
    return ax


def figure_of(ax: Axes) -> Figure:
    """The figure that axes are in, also in a part of it."""
    figure: Any = ax.figure
    return figure.figure


def tidy(ax: Axes, title: str | None = None) -> Axes:
    """Leave out the frame's upper and right side, and set a title on the left."""
    ax.spines[["top", "right"]].set_visible(False)
    if title is not None:
        ax.set_title(title, loc="left", fontsize=10)
    return ax


def integer_ticks(axis: Any) -> None:
    """Let an axis that counts have ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins="auto", min_n_ticks=1))


def count(n: int, noun: str) -> str:
    """``n`` in words, e.g. "1 neuron", "1,000 neurons"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
