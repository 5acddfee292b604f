"""Encoders, biases and weights, as they are and as they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo import Connection, Ensemble
from nengo.builder import Model
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.neurons import Direct

from nengo_dl.optional import installed
from nengo_dl.runtime.checks import checked_count, listed_values
from nengo_dl.runtime.inputs.feeds import numbers_of
from nengo_dl.viz import style
from nengo_dl.viz.names import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: most panels in a figure of histograms
MAX_PANELS = 24


def parameter_values(sim: Any, obj: Any, built: bool = False) -> dict[str, np.ndarray]:
    """The parameters of an object, by name.

    Parameters
    ----------
    sim
        The simulator.
    obj
        An Ensemble ("encoders", "gain", "bias"), its neurons ("bias") or a Connection ("weights",
        which include decoders; a connection may have no weights).
    built
        Whether to return the parameters as Nengo built them, before any training, instead of the
        current ones.

    Raises
    ------
    nengo.exceptions.ValidationError
        For an object that has no parameters or is not in the network.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     ens = nengo.Ensemble(30, dimensions=2)
    >>> with nengo_dl.Simulator(net) as sim:
    ...     values = nengo_dl.viz.parameter_values(sim, ens)
    >>> values["encoders"].shape
    (30, 2)
    """
    if not isinstance(obj, (Ensemble, Neurons, Connection)):
        raise ValidationError(
            f"{obj!r} has no parameters; expected Ensembles, Neurons and Connections",
            attr="objects",
        )
    if not isinstance(getattr(sim, "model", None), Model):
        raise ValidationError(f"expected a simulator, got {sim!r}", attr="sim")
    holder = obj.ensemble if isinstance(obj, Neurons) else obj
    if holder not in sim.model.params:
        raise ValidationError(f"{obj} is not in the simulator's network", attr="objects")
    found = (sim.model.params if built else sim.data)[holder]
    if isinstance(obj, Connection):
        weights = found.weights
        return {} if weights is None else {"weights": _dense(weights)}
    if isinstance(holder.neuron_type, Direct):
        return {}
    names = ("encoders", "gain", "bias") if holder is obj else ("bias",)
    return {name: np.asarray(getattr(found, name)) for name in names}


def _dense(weights: Any) -> np.ndarray:
    """The entries of weights, also of sparse ones."""
    data = getattr(weights, "data", weights)
    return np.asarray(weights if isinstance(data, memoryview) else data)


def weight_histogram(
    values: Any,
    before: Any = None,
    *,
    bins: int = 50,
    name: str = "value",
    ax: Axes | None = None,
) -> Axes:
    """Draw the distribution of values, optionally with their distribution before training.

    Parameters
    ----------
    values, before
        Arrays of any shape; ``before`` is optional.
    bins
        Number of bars.
    name
        Name of the values, for the axis.
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there are no values, or some are not finite.

    Examples
    --------
    >>> before = np.random.RandomState(0).normal(size=200)
    >>> ax = nengo_dl.viz.weight_histogram(before + 0.5, before, name="weight")
    >>> ax.get_xlabel()
    'weight'
    """
    bins = checked_count("bins", bins)
    arrays = [
        numbers_of(values, "histogram", "values").ravel().astype(float),
        *([] if before is None else [numbers_of(before, "histogram", "before").ravel()]),
    ]
    for array in arrays:
        n_bad = np.count_nonzero(~np.isfinite(array))
        if not array.size or n_bad:
            raise ValidationError(
                f"{n_bad} of {array.size} values are not finite; expected at least one value, "
                "and finite ones",
                attr="values",
            )
    ax = style.axes_for(ax)
    edges = np.histogram_bin_edges(np.concatenate(arrays), bins).tolist()
    ax.hist(arrays[0], edges, color=style.COLORS[0], alpha=0.75, label="now")
    if before is not None:
        ax.hist(
            arrays[1],
            edges,
            histtype="step",
            color=style.COLORS[1],
            linewidth=1.4,
            label="before",
        )
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.set_xlabel(name)
    ax.set_ylabel("how many")
    ax.locator_params(axis="x", nbins=5)
    ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4))
    style.integer_ticks(ax.yaxis)
    return style.tidy(ax, style.count(arrays[0].size, "value"))


def weight_histograms(
    sim: Any, objs: Iterable[Any] | None = None, *, before: bool = True, bins: int = 50
) -> Figure:
    """Draw a histogram for each parameter of Nengo objects, in a new figure.

    Parameters
    ----------
    sim
        The simulator.
    objs
        Ensembles, neurons and Connections; by default all objects of the network that have
        parameters.
    before
        Whether to also draw the parameters as Nengo built them.
    bins
        Number of bars.

    Raises
    ------
    nengo.exceptions.ValidationError
        For more than 24 histograms, and for all errors of `parameter_values`.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     ens = nengo.Ensemble(30, dimensions=2)
    >>> with nengo_dl.Simulator(net) as sim:
    ...     figure = nengo_dl.viz.weight_histograms(sim, [ens], before=False)
    >>> len(figure.axes)  # encoders, gain, bias
    3
    """
    with installed("viz"):
        from matplotlib import pyplot

    panels = _panels(sim, objs)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.2 * columns, 2.6 * rows), layout="constrained", squeeze=False
    )
    flat = axes.ravel()
    for ax, (obj, name, values) in zip(flat, panels, strict=False):
        old = parameter_values(sim, obj, built=True)[name] if before else None
        weight_histogram(values, old, bins=bins, name=name, ax=ax)
        if ax.get_legend() is not None and ax is not flat[min(columns, len(panels)) - 1]:
            ax.get_legend().remove()  # once is enough
        ax.set_title(
            f"{_short(display_name(obj))}\n{name}, {values.size:,}", loc="left", fontsize=9
        )
    for ax in flat[len(panels) :]:
        ax.axis("off")
    return figure


def _short(name: str, most: int = 38) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _panels(sim: Any, objs: Iterable[Any] | None) -> list[tuple[Any, str, np.ndarray]]:
    if objs is None:
        toplevel = sim.model.toplevel
        objs = [*toplevel.all_ensembles, *toplevel.all_connections]
    elif isinstance(objs, (Ensemble, Neurons, Connection)):
        objs = [objs]
    panels = [
        (obj, name, values)
        for obj in listed_values("objs", objs)
        for name, values in parameter_values(sim, obj).items()
        if values.size
    ]
    if not 1 <= len(panels) <= MAX_PANELS:
        raise ValidationError(
            f"there are {len(panels)} parameters to draw; expected 1 to {MAX_PANELS}: give the "
            "objects that you want to see",
            attr="objs",
        )
    return panels
