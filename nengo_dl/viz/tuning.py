"""Tuning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from nengo import Ensemble
from nengo.builder import Model
from nengo.builder.ensemble import BuiltEnsemble
from nengo.exceptions import ValidationError
from nengo.neurons import Direct, NeuronType

from nengo_dl.viz import style
from nengo_dl.viz.names import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def tuning_curves(
    sim: Any,
    ens: Ensemble,
    before: Any = None,
    *,
    n: int = 20,
    item: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw firing rates of neurons as functions of the represented value.

    In more than one dimension, this is the component along the preferred direction of a neuron.

    Parameters
    ----------
    sim
        A simulator, whose current parameters determine the curves.
    ens
        The ensemble.
    before
        If True, the curves for the parameters that Nengo built are also drawn, dashed; or an
        earlier ``sim.data[ens]`` to compare with.
    n
        Maximum number of neurons to draw. If there are more, the selected neurons cover the range
        of intercepts.
    item
        The minibatch item, if each item has learned its own encoders.
    ax
        Axes to draw on, by default those of a new figure.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the object is not an ensemble of this simulator, or if it is in direct mode.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     ens = nengo.Ensemble(30, dimensions=1, label="ens")
    >>> with nengo_dl.Simulator(net) as sim:
    ...     ax = nengo_dl.viz.tuning_curves(sim, ens, n=10)
    >>> len(ax.lines)
    10
    """
    if not isinstance(getattr(sim, "model", None), Model):
        raise ValidationError(f"expected a simulator, got {sim!r}", attr="sim")
    if not isinstance(ens, Ensemble) or ens not in sim.model.params:
        raise ValidationError(
            f"expected an Ensemble of the simulator's network, got {ens!r}", attr="ens"
        )
    if isinstance(ens.neuron_type, Direct):
        raise ValidationError(f"{ens} is in direct mode and has no neurons", attr="ens")
    if n < 1:
        raise ValidationError(f"expected 1 neuron or more, got {n}", attr="n")
    if before is True:
        before = sim.model.params[ens]
    now = _of_item(sim.data[ens], item)
    middles = np.linspace(-1, 1, ens.n_neurons) if now.intercepts is None else now.intercepts
    order = np.argsort(np.nan_to_num(np.asarray(middles), posinf=9, neginf=-9))
    shown = order[np.unique(np.linspace(0, len(order) - 1, n).round().astype(int))]
    x = np.linspace(-ens.radius, ens.radius, 201)
    ax = style.axes_for(ax)
    if before:
        curves = _rates(ens, _of_item(before, item), ens.neuron_type, x)
        _draw(ax, x, curves[:, shown], "--", 0.45, "before")
    neuron_type = ens.neuron_type
    if hasattr(sim.data, "neuron_type"):  # not of nengo.Simulator, which trains nothing
        neuron_type = sim.data.neuron_type(ens)
    _draw(ax, x, _rates(ens, now, neuron_type, x)[:, shown], "-", 1.0, "now")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(bottom=0)
    along = "" if ens.dimensions == 1 else ", along the preferred direction"
    ax.set_xlabel(f"represented value{along}")
    ax.set_ylabel("firing rate (Hz)")
    if before:
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    all_of = "" if len(shown) == ens.n_neurons else f"{len(shown)} of "
    return style.tidy(ax, f"{display_name(ens)}: {all_of}{style.count(ens.n_neurons, 'neuron')}")


def _of_item(built: BuiltEnsemble, item: int) -> BuiltEnsemble:
    """The parameters of one item, where each learned its own."""
    n_axes = {"encoders": 2, "gain": 1, "bias": 1, "intercepts": 1}
    values = {name: getattr(built, name) for name in n_axes}
    return built._replace(
        **{k: v[item] if np.ndim(v) > n_axes[k] else v for k, v in values.items()}
    )


def _rates(ens: Ensemble, built: BuiltEnsemble, neuron_type: NeuronType, x) -> np.ndarray:
    """(len(x), n_neurons), in hertz."""
    encoders = np.asarray(built.encoders)
    # in one dimension the value may lie on either side; in more, each neuron has its own axis
    slope = encoders[:, 0] if ens.dimensions == 1 else np.linalg.norm(encoders, axis=1)
    values = neuron_type.rates(x[:, None] / ens.radius * slope, built.gain, built.bias)
    return values / getattr(neuron_type, "amplitude", 1.0)


def _draw(ax: Axes, x, values, dashes: str, alpha: float, label: str) -> None:
    for i, curve in enumerate(values.T):
        color = style.COLORS[i % len(style.COLORS)]
        (line,) = ax.plot(x, curve, dashes, color=color, alpha=alpha, linewidth=1.1)
        if i == 0:
            line.set_label(label)
