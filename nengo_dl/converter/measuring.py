"""What the neurons of a converted network do in a simulation, beside what the model computes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import nengo
import numpy as np

from nengo_dl.converter import lookup, probing
from nengo_dl.converter.graph import Value
from nengo_dl.converter.parts import Conversion
from nengo_dl.converter.rates import PERCENTILE, MeasuredRates, Report, high_rates
from nengo_dl.simulator import Simulator

#: bytes that the recorded steps of a minibatch may have
MOST_BYTES = 2**28


def measure(converter: Conversion, inputs: Any, n_steps: int, dt: float) -> Report:
    """See `Converter.measure_rates`."""
    arrays = lookup.input_arrays(converter.graph, inputs, "inputs")
    values = converter.graph.evaluate(arrays)
    warn_of_silence(converter, values, n_steps, dt)
    measured, outputs = Simulation(converter, arrays, n_steps, dt).run()
    layers = [
        _layer(converter, ens, rates, mean, values, n_steps * dt)
        for ens, (rates, mean) in measured.items()
    ]
    graph = converter.graph
    errors = {lookup.name_of(graph, v): error_of(outputs[v], values[v]) for v in outputs}
    return Report(layers, n_steps, dt, errors)


def _layer(converter, ens, rates, mean, values, seconds: float) -> MeasuredRates:
    population = converter.populations.get(ens)
    compared = population is not None and population.computes_value
    expected = values.get(population.value) if compared else None
    return MeasuredRates(
        name=ens.label,
        n_neurons=ens.n_neurons,
        mean=float(np.mean(rates)),
        high=float(np.percentile(rates, PERCENTILE)),
        highest=float(np.max(rates)),
        silent=float(np.mean(np.all(rates == 0, axis=0))),
        spikes=float(np.mean(np.sum(rates, axis=1))) * seconds,
        error=float("nan") if expected is None else error_of(mean, expected),
    )


def error_of(actual: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean squared difference, relative to that of what is expected."""
    expected = np.reshape(expected, (len(expected), -1))
    if actual.shape != expected.shape:  # of a sequence
        return float("nan")
    size = float(np.sqrt(np.mean(np.square(expected))))
    distance = float(np.sqrt(np.mean(np.square(actual - expected))))
    return distance / size if size > 0 else distance


class Simulation:
    """A simulation of a converted network in which each input is shown for some steps.

    Parameters
    ----------
    converter
        The conversion.
    arrays
        The model's inputs.
    n_steps, dt
        For how long each is shown.
    """

    def __init__(
        self, converter: Conversion, arrays: Sequence[np.ndarray], n_steps: int, dt: float
    ):
        self.converter, self.arrays, self.n_steps, self.dt = converter, arrays, n_steps, dt

    def run(self) -> tuple[dict[nengo.Ensemble, tuple], dict[Value, np.ndarray]]:
        """For each ensemble the rates in hertz and the mean output, (batch, neurons); for each
        output of the model its last value.
        """
        converter, ensembles = self.converter, self.converter.net.all_ensembles
        graph = converter.graph
        size = self._minibatch_size(sum(ens.n_neurons for ens in ensembles))
        found: dict[Any, list] = {ens: [] for ens in ensembles}
        outputs: dict[Any, list] = {value: [] for value in graph.outputs}
        with probing.probes(converter.net, [ens.neurons for ens in ensembles]) as probes:
            with Simulator(
                converter.net, dt=self.dt, minibatch_size=size, progress_bar=False
            ) as sim:
                for start in range(0, len(self.arrays[0]), size):
                    rows = [array[start : start + size] for array in self.arrays]
                    result = sim.predict(probing.input_data(converter, rows, self.n_steps))
                    for ens, probe in zip(ensembles, probes, strict=True):
                        output = result[probe]
                        amplitude = getattr(ens.neuron_type, "amplitude", 1.0)
                        rates = np.mean(np.abs(output), axis=1) / amplitude
                        found[ens].append((rates, np.mean(output, axis=1)))
                    for value, parts in outputs.items():
                        parts.append(result[converter.outputs[value.tensor]][:, -1])
        measured = {
            ens: tuple(map(np.concatenate, zip(*parts, strict=True)))
            for ens, parts in found.items()
        }
        return measured, {value: np.concatenate(parts) for value, parts in outputs.items()}

    def _minibatch_size(self, n_neurons: int) -> int:
        fits = max(MOST_BYTES // (8 * self.n_steps * max(n_neurons, 1)), 1)
        return probing.minibatch_size(len(self.arrays[0]), int(fits))


def warn_of_silence(converter: Conversion, values: dict, n_steps: int, dt: float) -> None:
    """Say which layers have no neuron that the model makes expect a spike of."""
    silent = []
    for ens, population in converter.populations.items():
        neurons, activity = ens.neuron_type, values.get(population.value)
        if not neurons.spiking or activity is None or not population.computes_value:
            continue
        amplitude = np.broadcast_to(getattr(neurons, "amplitude", 1.0), ens.n_neurons)
        rates = np.abs(activity).reshape(-1, ens.n_neurons) / amplitude
        n_spikes = float(high_rates(rates.ravel())) * n_steps * dt
        if n_spikes < 1:
            silent.append(f"{population.name} ({n_spikes:.2g})")
    if silent:
        warnings.warn(
            f"in {n_steps} steps of {1000 * dt:g} ms, even the most active neurons of some layers "
            f"are expected to spike less than once: {', '.join(silent)}. Their activities are "
            f"therefore lost. converter.calibrate(data, steps={n_steps}) without a target_rate, "
            "or with a higher one, makes them fire faster, as does "
            'scale_firing_rates="auto"',
            stacklevel=4,
        )
