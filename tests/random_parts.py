"""The parts of random networks: neuron types, synapses, processes, functions and indices.

Each function takes the source of its choices. What it makes keeps a simulation finite: filters are
stable, functions are bounded where they could grow, and rates are about 100 Hz.
"""

from collections.abc import Callable

import nengo
import numpy as np
from nengo.dists import Gaussian, Uniform
from nengo.neurons import NeuronType
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)

from draws import Draws

# -- neuron types ----------------------------------------------------------------------------------


def _amplitude(draws: Draws) -> float:
    return draws.number(0.2, 2.0) if draws.chance(0.4) else 1


def _lif_arguments(draws: Draws) -> dict:
    return {
        "tau_rc": draws.number(0.005, 0.05) if draws.chance(0.5) else 0.02,
        "tau_ref": draws.number(0.0005, 0.004) if draws.chance(0.5) else 0.002,
        "amplitude": _amplitude(draws),
    }


def _min_voltage(draws: Draws) -> float:
    return draws.choice([0, -0.5, -np.inf])


def _voltages(draws: Draws) -> dict | None:
    return {"voltage": Uniform(0, 1)} if draws.chance(0.2) else None


def _rate_type(draws: Draws) -> NeuronType:
    return draws.choice([_relu, _lif_rate])(draws)


def _relu(draws: Draws) -> NeuronType:
    return nengo.RectifiedLinear(amplitude=_amplitude(draws))


def _lif_rate(draws: Draws) -> NeuronType:
    return nengo.LIFRate(**_lif_arguments(draws))


def _lif(draws: Draws) -> NeuronType:
    return nengo.LIF(
        min_voltage=_min_voltage(draws), initial_state=_voltages(draws), **_lif_arguments(draws)
    )


def _spiking_relu(draws: Draws) -> NeuronType:
    return nengo.SpikingRectifiedLinear(amplitude=_amplitude(draws), initial_state=_voltages(draws))


def _sigmoid(draws: Draws) -> NeuronType:
    return nengo.Sigmoid(tau_ref=draws.number(0.0072, 0.0082))


def _tanh(draws: Draws) -> NeuronType:
    return nengo.Tanh(tau_ref=draws.number(0.002, 0.004))


def _adaptive_lif_rate(draws: Draws) -> NeuronType:
    return nengo.AdaptiveLIFRate(
        tau_n=draws.number(0.01, 1), inc_n=draws.number(0.005, 0.1), **_lif_arguments(draws)
    )


def _adaptive_lif(draws: Draws) -> NeuronType:
    return nengo.AdaptiveLIF(
        tau_n=draws.number(0.01, 1),
        inc_n=draws.number(0.005, 0.1),
        min_voltage=_min_voltage(draws),
        **_lif_arguments(draws),
    )


def _regular(draws: Draws) -> NeuronType:
    return nengo.RegularSpiking(_rate_type(draws), amplitude=_amplitude(draws))


def _stochastic(draws: Draws) -> NeuronType:
    return nengo.StochasticSpiking(_rate_type(draws), amplitude=_amplitude(draws))


def _poisson(draws: Draws) -> NeuronType:
    return nengo.PoissonSpiking(_rate_type(draws), amplitude=_amplitude(draws))


NEURON_TYPES = (
    _relu,
    _lif_rate,
    _lif,
    _spiking_relu,
    _sigmoid,
    _tanh,
    lambda draws: nengo.Direct(),
)
RARE_NEURON_TYPES = (_adaptive_lif_rate, _adaptive_lif, _regular, _stochastic, _poisson)


def neuron_type(draws: Draws) -> NeuronType:
    """A neuron type that is able to fire at 70 to 120 Hz."""
    return draws.choice(RARE_NEURON_TYPES if draws.chance(0.15) else NEURON_TYPES)(draws)


def output_size(neurons: NeuronType) -> float:
    """About how large the output of one neuron is at most, averaged over time."""
    return 100 * getattr(neurons, "amplitude", 1)


# -- synapses --------------------------------------------------------------------------------------


def _lowpass(draws: Draws) -> nengo.synapses.Synapse:
    return nengo.Lowpass(draws.choice([0.005, 0.02, 0.1, draws.number(0.001, 0.2)]))


def _alpha(draws: Draws) -> nengo.synapses.Synapse:
    return nengo.Alpha(draws.number(0.003, 0.05))


def _polynomial(factors: list) -> np.ndarray:
    result = np.ones(1)
    for factor in factors:
        result = np.polymul(result, factor)
    return result


def _analog_filter(draws: Draws) -> nengo.synapses.Synapse:
    """Real poles and zeros; as many of each feed the input through, as do most methods anyway."""
    taus = [draws.number(0.004, 0.05) for _ in range(draws.integer(1, 4))]
    n_zeros = draws.choice([0, len(taus), len(taus) - 1])
    zeros = [tau * draws.number(0.1, 0.9) for tau in taus[:n_zeros]]
    method = draws.choice(["zoh", "bilinear", "euler", "backward_diff"])
    return nengo.LinearFilter(
        _polynomial([[tau, 1] for tau in zeros]),
        _polynomial([[tau, 1] for tau in taus]),
        method=method,
    )


def _digital_filter(draws: Draws) -> nengo.synapses.Synapse:
    poles = [draws.number(-0.5, 0.95) for _ in range(draws.integer(1, 4))]
    den = _polynomial([[1, -pole] for pole in poles])
    n = draws.choice([1, len(den)])
    return nengo.LinearFilter(np.full(n, den.sum() / n), den, analog=False)


def _triangle(draws: Draws) -> nengo.synapses.Synapse:
    return nengo.Triangle(draws.number(0.002, 0.01))


SYNAPSES = (
    _lowpass,
    lambda draws: nengo.Lowpass(0),
    _alpha,
    _analog_filter,
    _digital_filter,
    lambda draws: nengo.LinearFilter([draws.number(0.5, 1)], [1]),
    _triangle,
)


def synapse(draws: Draws, delayed: bool) -> nengo.synapses.Synapse | None:
    """A synapse; None, which passes its input on in the same step, only if it may be undelayed."""
    if not delayed and draws.chance(0.4):
        return None
    return _lowpass(draws) if draws.chance(0.4) else draws.choice(SYNAPSES)(draws)


# -- outputs of Nodes ------------------------------------------------------------------------------


class RunningMean:
    """A Node function that keeps state of its own: mean of what it was given, in Python."""

    def __init__(self, size: int):
        self.total = np.zeros(size)
        self.calls = 0

    def __call__(self, t, x):
        self.calls += 1
        self.total += x
        return self.total / self.calls


class Counter:
    """A Node function of time that counts its calls."""

    def __init__(self, size: int):
        self.size = size
        self.calls = 0

    def __call__(self, t):
        self.calls += 1
        return np.cos(0.1 * self.calls * np.arange(1, self.size + 1))


STATEFUL = (RunningMean, Counter)


class NoisyIntegrator(nengo.Process):
    """A process with an input, a state and random numbers, which no backend knows."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"total": np.zeros(shape_out, dtype=dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        total = state["total"]

        def step(t, x):
            total[...] += dt * x + 0.05 * rng.uniform(-1, 1, size=shape_out)
            return total

        return step


def _seed(draws: Draws) -> int | None:
    return draws.integer(0, 1000) if draws.chance(0.5) else None


def _white_signal(draws: Draws, size: int) -> nengo.Process:
    return WhiteSignal(
        period=draws.choice([0.5, 0.02, 0.0333]),
        high=draws.choice([60, 200]),
        rms=0.5,
        y0=draws.choice([None, 0]),
        seed=_seed(draws),
    )


def _white_noise(draws: Draws, size: int) -> nengo.Process:
    dist = draws.choice([Gaussian(0, 0.5), Uniform(-1, 1), Gaussian(0.2, 0.1)])
    return WhiteNoise(dist, scale=False, seed=_seed(draws))


def _filtered_noise(draws: Draws, size: int) -> nengo.Process:
    return FilteredNoise(
        draws.choice([nengo.Lowpass(0.01), nengo.Alpha(0.01)]),
        dist=Gaussian(0, 0.05),
        scale=draws.chance(0.5),
        seed=_seed(draws),
    )


def _brown_noise(draws: Draws, size: int) -> nengo.Process:
    return BrownNoise(seed=_seed(draws))


def _present_input(draws: Draws, size: int) -> nengo.Process:
    inputs = draws.array((draws.integer(1, 4), size))
    return PresentInput(inputs, draws.choice([0.005, 0.0035, 0.01]))


def _piecewise(draws: Draws, size: int) -> nengo.Process:
    times = (0, 0.004, 0.0105, 0.02, 0.2)
    data = {time: draws.array(size) for time in times}
    if draws.chance(0.3):
        data[0.0105] = lambda t: np.full(size, np.sin(20 * t))
        return Piecewise(data)
    return Piecewise(data, interpolation=draws.choice(["zero", "linear", "nearest", "cubic"]))


SOURCE_PROCESSES = (
    _present_input,
    _white_signal,
    _white_noise,
    _filtered_noise,
    _brown_noise,
    _piecewise,
)


def source_process(draws: Draws, size: int) -> nengo.Process:
    """A process without input and with ``size`` outputs."""
    return draws.choice(SOURCE_PROCESSES)(draws, size)


def noise(draws: Draws) -> nengo.Process:
    """Noise for the neurons of an ensemble."""
    if draws.chance(0.5):
        return FilteredNoise(
            nengo.Lowpass(0.01), dist=Gaussian(0, 0.5), scale=False, seed=_seed(draws)
        )
    return WhiteNoise(Gaussian(0.1, 0.3), scale=draws.chance(0.2), seed=_seed(draws))


def source_function(draws: Draws, size: int) -> Callable:
    """A function of time with ``size`` outputs."""
    frequencies = draws.array(size, 5, 100)
    kind = draws.choice(["array", "list", "step", "scalar", "counter"])
    if kind == "counter":
        return Counter(size)
    if kind == "scalar" and size == 1:
        return lambda t: np.cos(frequencies[0] * t)
    if kind == "step":
        return lambda t: frequencies * 0.01 if t > 0.0085 else -0.5 * np.ones(size)
    if kind == "list":
        return lambda t: [float(np.cos(w * t)) for w in frequencies]
    return lambda t: np.cos(frequencies * t)


def node_function(draws: Draws, size_in: int, size_out: int) -> Callable:
    """A function of time and of ``size_in`` inputs, with ``size_out`` outputs."""
    weights = draws.array((size_out, size_in))
    kind = draws.choice(["pure", "time", "in place", "stateful"])
    if kind == "stateful" and size_in == size_out:
        return RunningMean(size_in)
    if kind == "in place" and size_in == size_out:
        return _changes_its_input
    if kind == "time":
        return lambda t, x: np.tanh(weights @ x) * np.cos(50 * t)
    return lambda t, x: np.tanh(weights @ x)


def _changes_its_input(t, x):
    x *= 0.5
    x[0] += t
    return x


def filter_process(draws: Draws, size: int) -> nengo.Process:
    """A process with ``size`` inputs and as many outputs."""
    if draws.chance(0.2):
        return NoisyIntegrator(default_size_in=size, default_size_out=size, seed=_seed(draws))
    return synapse(draws, delayed=True)


# -- functions of Connections ----------------------------------------------------------------------

KEEPING_SIZE = (
    lambda x: 0.5 * x,
    np.sin,
    np.abs,
    lambda x: np.minimum(x * x, 2),
    lambda x: np.tanh(x)[::-1],
)


def function(draws: Draws, size_in: int, size_out: int) -> Callable:
    """A function of a vector of ``size_in`` numbers with ``size_out`` results."""
    if size_in == size_out and draws.chance(0.7):
        return draws.choice(KEEPING_SIZE)
    if size_out == 1:
        return draws.choice([lambda x: np.tanh(np.prod(x)), lambda x: [np.sin(x[0])]])
    if draws.chance(0.2):
        return lambda x: np.linspace(-0.5, 0.5, size_out)
    indices = np.arange(size_out) % size_in
    return lambda x: np.tanh(x[indices] * (1 + np.arange(size_out)))


# -- indices ---------------------------------------------------------------------------------------


def index(draws: Draws, size: int, n: int, repeats: bool = False):
    """Something that selects ``n`` of ``size`` elements; ``repeats`` allows to select one twice.

    Returns None for all of them in their order.
    """
    if n > size:
        return draws.generator().randint(size, size=n).tolist()
    options = ["slice", "negative stride", "list"]
    options += ["integer"] * (n == 1) + ["stride"] * (n > 1 and 2 * n - 1 <= size)
    options += ["repeated"] * (repeats and n > 1)
    if n == size and not draws.chance(0.4):
        return None
    kind = draws.choice(options)
    rng = draws.generator()
    if kind == "integer":
        return int(rng.randint(-size, size))
    if kind == "list":
        return (rng.permutation(size)[:n] - size * (rng.uniform() < 0.2)).tolist()
    if kind == "repeated":
        return rng.randint(-size, size, size=n).tolist()
    stride = rng.randint(2, (size - 1) // (n - 1) + 1) if kind == "stride" else 1
    if kind == "negative stride" and n > 1:
        stride = rng.randint(1, (size - 1) // (n - 1) + 1)
    start = int(rng.randint(0, size - (n - 1) * stride))
    stop = start + (n - 1) * stride + 1
    if kind != "negative stride":
        return slice(start, stop, None if stride == 1 else int(stride))
    return slice(stop - 1, start - 1 if start > 0 else None, -int(stride))
