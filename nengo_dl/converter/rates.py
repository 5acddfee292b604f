"""Firing rates of a converted network's layers: how far they are scaled, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from nengo.neurons import LIFRate, NeuronType

from nengo_dl.converter import lookup
from nengo_dl.converter.parts import Conversion
from nengo_dl.converter.scaling import has_amplitude
from nengo_dl.runtime.checks import number

#: hertz, of neurons that may fire as fast as they like: a spike in each step of Nengo's default
FASTEST = 1000.0
#: of the largest rate of neurons with a refractory period
SHARE_OF_LARGEST = 0.5
#: per cent of the outputs of a layer that may not be above the target rate
PERCENTILE = 99.9


@dataclass(frozen=True)
class LayerRates:
    """Expected firing rates of a layer on sample inputs, in hertz, computed from its activations.

    Attributes
    ----------
    name
        Name of the layer.
    neurons
        Its neuron type, without the scale.
    scale
        Factor by which its firing rates are scaled.
    mean_before, high_before
        The mean rate and the rate that 0.1 % of outputs exceed, without the scale.
    mean_after, high_after
        The same rates with the scale.
    """

    name: str
    neurons: NeuronType
    scale: float
    mean_before: float
    high_before: float

    @property
    def mean_after(self) -> float:
        return self.mean_before * self.scale

    @property
    def high_after(self) -> float:
        return self.high_before * self.scale

    def row(self) -> dict[str, Any]:
        """Column of a table -> value."""
        return {
            "layer": self.name,
            "scale": f"{self.scale:.4g}",
            "mean before (Hz)": f"{self.mean_before:.2f}",
            "99.9 % before": f"{self.high_before:.2f}",
            "mean after (Hz)": f"{self.mean_after:.2f}",
            "99.9 % after": f"{self.high_after:.2f}",
        }


@dataclass(frozen=True)
class MeasuredRates:
    """Firing rates of a layer in a simulation, in hertz.

    Attributes
    ----------
    name
        Name of the layer.
    n_neurons
        Number of its neurons.
    mean, high, highest
        The mean rate, the rate that 0.1 % exceed, and the largest rate.
    silent
        Fraction of neurons that do not fire for any input, from 0 to 1.
    spikes
        Number of spikes of the layer per input, over all steps.
    error
        Difference between the mean output and the output of the model's layer: the root mean square
        of the difference, divided by the root mean square of the output. NaN if the neurons are
        only part of a layer.
    """

    name: str
    n_neurons: int
    mean: float
    high: float
    highest: float
    silent: float
    spikes: float = float("nan")
    error: float = float("nan")

    def row(self) -> dict[str, Any]:
        """Column of a table -> value."""
        return {
            "layer": self.name,
            "neurons": self.n_neurons,
            "mean (Hz)": f"{self.mean:.2f}",
            "99.9 %": f"{self.high:.2f}",
            "highest": f"{self.highest:.2f}",
            "silent": f"{self.silent:.1%}",
            "spikes": f"{self.spikes:.0f}",
            "error": "" if np.isnan(self.error) else f"{self.error:.1%}",
        }


class Report(list):
    """The `MeasuredRates` of all layers; as a string, a table and a summary.

    Attributes
    ----------
    n_steps, dt
        Number of steps for which each input was presented, and their length in seconds.
    errors
        Name of each output -> its difference from the model's output, as in `MeasuredRates.error`.
    """

    def __init__(
        self, layers: Sequence[MeasuredRates], n_steps: int, dt: float, errors: dict[str, float]
    ):
        super().__init__(layers)
        self.n_steps, self.dt, self.errors = n_steps, dt, errors

    @property
    def spikes(self) -> float:
        """Number of spikes of all neurons per input."""
        return float(sum(layer.spikes for layer in self))

    @property
    def mean(self) -> float:
        """The mean firing rate of all neurons, in hertz."""
        n_neurons = sum(layer.n_neurons for layer in self)
        return self.spikes / max(n_neurons * self.n_steps * self.dt, self.dt)

    def __str__(self) -> str:
        outputs = "; ".join(f"{name} is off by {error:.1%}" for name, error in self.errors.items())
        return (
            f"{table(self)}\n{self.n_steps} steps of {1000 * self.dt:g} ms: "
            f"{self.spikes:.0f} spikes an input, {self.mean:.1f} Hz on average; {outputs}"
        )


def table(rates: Sequence[LayerRates | MeasuredRates]) -> str:
    """Firing rates as a table of text."""
    rows = [rate.row() for rate in rates]
    if not rows:
        return "no layers of neurons"
    lines = [list(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(v.ljust(w) for v, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


# -- choosing scales -------------------------------------------------------------------------------


class ChosenScales:
    """Scales that the user gave."""

    def __init__(self, graph: Any, choice: Any):
        self._of = lookup.by_layer(graph, choice, "scale_firing_rates", _scale)

    def __call__(self, layer: Any, neurons: NeuronType) -> float:
        """By how much the firing rates of a layer are scaled."""
        scale = self._of(layer)
        return 1.0 if scale is None else scale

    def report(self) -> list[LayerRates]:
        """Nothing was measured."""
        return []


class MeasuredScales:
    """Scales that give each layer a target rate on sample inputs.

    Parameters
    ----------
    graph
        The model.
    arrays
        Sample inputs.
    target
        The rate in hertz that `PERCENTILE` per cent of a layer's outputs are not to be above; None:
        `default_target`.
    """

    def __init__(self, graph: Any, arrays: Sequence[np.ndarray], target: float | None):
        self.target = target
        values = graph.evaluate(list(arrays))
        self._activity: dict[int, list[np.ndarray]] = {}
        for call in graph.calls:
            sizes = [np.abs(values[v]).ravel() for v in call.outputs]
            self._activity.setdefault(id(call.layer), []).extend(sizes)
        self._report: dict[int, LayerRates] = {}

    def __call__(self, layer: Any, neurons: NeuronType) -> float:
        """By how much the firing rates of a layer are scaled."""
        activity = self._activity.get(id(layer))
        if activity is None or not has_amplitude(neurons):
            return 1.0
        # an output of `amplitude` is a rate of one hertz
        rates = np.concatenate(activity) / neurons.amplitude
        high = float(high_rates(rates))
        target = default_target(neurons) if self.target is None else self.target
        scale = target / high if high > 0 else 1.0
        self._report[id(layer)] = LayerRates(
            layer.name, neurons, scale, float(np.mean(rates)), high
        )
        return scale

    def report(self) -> list[LayerRates]:
        """What was measured, layer by layer."""
        return list(self._report.values())


def scales(converter: Conversion, choice: Any, sample_inputs: Any, target: Any) -> Any:
    """The scale of each layer, from what the user gave."""
    if not isinstance(choice, str):
        return ChosenScales(converter.graph, choice)
    if choice != "auto":
        raise ValidationError(
            f"expected a positive number, a dict of layer -> number, or 'auto'; got {choice!r}",
            attr="scale_firing_rates",
        )
    if sample_inputs is None:
        raise ValidationError(
            "scale_firing_rates='auto' measures the activity of the layers on sample_inputs; "
            "give some inputs of the model, for example a hundred items of its training data",
            attr="sample_inputs",
        )
    checked_target(target)
    arrays = lookup.input_arrays(converter.graph, sample_inputs, "sample_inputs")
    return MeasuredScales(converter.graph, arrays, target)


def checked_target(target: Any) -> float | None:
    """A target rate in hertz, or None.

    Raises
    ------
    nengo.exceptions.ValidationError
        If it is not positive, or infinite.
    """
    if target is not None and not 0 < number(target) < np.inf:
        raise ValidationError(
            f"expected a positive number of hertz, got {target!r}", attr="target_rate"
        )
    return target


def high_rates(rates: np.ndarray) -> np.ndarray:
    """That which `PERCENTILE` per cent are not above, of the last axis; the largest one where that
    is zero.
    """
    high = np.percentile(rates, PERCENTILE, axis=-1)
    return np.where(high > 0, high, np.max(rates, axis=-1))


def default_target(neurons: NeuronType) -> float:
    """A firing rate in hertz at which a layer is precise: the faster, the less a single spike
    counts.
    """
    neurons = getattr(neurons, "base_type", neurons)
    if isinstance(neurons, LIFRate) and neurons.tau_ref > 0:
        return SHARE_OF_LARGEST / neurons.tau_ref
    return FASTEST


def _scale(value: Any) -> float:
    if value is None:
        return 1.0
    if not 0 < number(value) < np.inf:
        raise ValidationError(
            f"expected a positive number, a dict of layer -> number, or 'auto'; got {value!r}",
            attr="scale_firing_rates",
        )
    return float(value)
