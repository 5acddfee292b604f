"""Neurons that have fired, at every time, as often as the average of their input asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.builder import Builder, Signal
from nengo.builder import neurons as builder
from nengo.dists import Choice
from nengo.exceptions import ValidationError
from nengo.neurons import NeuronType, RatesToSpikesNeuronType
from nengo.params import BoolParam, NdarrayParam, Parameter
from nengo.utils.numpy import array_hash, is_number


class RunningMean(NeuronType):
    """The mean of the current since the first step: what ``IntegratedSpiking`` begins with."""

    negative = True
    state = {"total": Choice([0]), "n_currents": Choice([0])}

    def step(self, dt, J, output, total, n_currents):
        """Write the mean of all currents up to ``J`` into ``output``."""
        n_currents += 1
        total += J
        output[...] = total / n_currents


class HeightParam(NdarrayParam):
    """A positive number, or one for each neuron."""

    def coerce(self, instance, value):
        """Check a value; a number stays one."""
        if is_number(value):
            value = float(value)
        else:
            value = self.coerce_ndarray(instance, np.array(value, dtype=float))
        if not np.all((np.asarray(value) > 0) & np.isfinite(value)):
            raise ValidationError(
                f"expected a positive number, or one for each neuron; got {value!r}",
                attr=self.name,
                obj=instance,
            )
        return Parameter.coerce(self, instance, value)

    def hashvalue(self, instance):
        """Equal for equal heights."""
        return array_hash(np.asarray(self.__get__(instance, None)))


class IntegratedSpiking(RatesToSpikesNeuronType):
    r"""Spiking neurons whose mean output so far is the rate for the mean current so far.

    After n steps, a neuron has emitted, in spikes of height ``amplitude``, the charge

    .. math:: N_n \cdot \text{amplitude} \approx n\, dt\, f\Big(\frac{1}{n} \sum_i J_i\Big)

    where f is the rate of ``base_type``, rounded to whole spikes. With ``nengo.RectifiedLinear``,
    this is the integrate-and-fire neuron that subtracts the threshold when it spikes, and whose
    membrane keeps negative currents (Rueckauer et al., 2017, "Conversion of continuous-valued deep
    networks to efficient event-driven networks for image classification"), with the bursts of Li
    and Zeng (2022, "Efficient and accurate conversion of spiking neural network with burst
    spikes"): there may be several spikes in a step. If spikes can be negative, they cancel spikes
    that came too early (Wang et al., 2022, "Signed neuron with memory"). The voltage starts at half
    the threshold, which rounds to the nearest number of spikes (Bu et al., 2022, "Optimized
    potential initialization for low-latency spiking neural networks").

    These neurons need the fewest steps to represent a constant input, and never forget: simulate
    each input from the initial state, as ``sim.predict`` does. For inputs that change, use
    ``nengo.RegularSpiking`` or ``nengo.SpikingRectifiedLinear`` with a synapse.

    Parameters
    ----------
    base_type : nengo.neurons.NeuronType
        A rate type without state.
    amplitude : float or (n_neurons,) array_like
        Height of a spike. It does not change the mean output: neurons fire at the rate of
        ``base_type`` divided by this height.
    signed : bool, optional
        Whether spikes may be negative; by default if the output of ``base_type`` may be negative.
    initial_state : dict, optional
        Initial value or distribution of ``"voltage"``, in units of the threshold.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the base type spikes or has a state, or if the number of amplitudes does not match the
        neurons.

    Examples
    --------
    >>> with nengo.Network():
    ...     ens = nengo.Ensemble(50, 1)
    >>> ens.neuron_type = nengo_dl.IntegratedSpiking(nengo.Tanh(tau_ref=1), amplitude=0.05)
    """

    state = {"voltage": Choice([0.5]), "charge": Choice([0]), "elapsed": Choice([0])}

    amplitude = HeightParam("amplitude", shape=("*",))
    signed = BoolParam("signed")

    def __init__(
        self,
        base_type: NeuronType,
        amplitude: Any = 1.0,
        signed: bool | None = None,
        initial_state: dict[str, Any] | None = None,
    ):
        if base_type.spiking or base_type.state:
            raise ValidationError(
                f"expected a rate type without a state, such as nengo.Tanh(); got {base_type}",
                attr="base_type",
                obj=self,
            )
        super().__init__(base_type, amplitude=amplitude, initial_state=initial_state)
        self.signed = base_type.negative if signed is None else signed
        self.negative = self.signed

    def make_state(self, n_neurons, rng=np.random, dtype=None):
        """The initial state of so many neurons."""
        if np.size(self.amplitude) not in (1, n_neurons):
            raise ValidationError(
                f"there are {np.size(self.amplitude)} amplitudes for {n_neurons} neurons",
                attr="amplitude",
                obj=self,
            )
        return super().make_state(n_neurons, rng=rng, dtype=dtype)

    def step(self, dt, J, output, voltage, charge, elapsed):
        """Write the spikes of one time step into ``output``; ``J`` is the rate that ``base_type``
        has for the mean current.
        """
        elapsed += 1
        total = elapsed * J * (dt / self.amplitude)
        voltage += total - charge
        charge[...] = total
        n_spikes = np.floor(voltage)
        if not self.signed:
            n_spikes = np.maximum(n_spikes, 0)
        output[...] = (self.amplitude / dt) * n_spikes
        voltage -= n_spikes


@Builder.register(IntegratedSpiking)
def build_integrated_spiking(model, neurontype, neurons):
    """Add the operators of `IntegratedSpiking` to a model: mean current, its rate, spikes."""
    signals = model.sig[neurons]
    mean = Signal(shape=signals["in"].shape, name=f"{neurons}.mean_current")
    rate = Signal(shape=signals["in"].shape, name=f"{neurons}.rate_out")
    signals["rate_out"] = rate
    for part, source, target in (
        (RunningMean(), signals["in"], mean),
        (neurontype.base_type, mean, rate),
        (neurontype, rate, signals["out"]),
    ):
        builder.build_neurons(model, part, neurons, input_sig=source, output_sig=target)
