"""Neurons that are connected among themselves, as Keras layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl.layers.neurons import LIF, AdaptiveLIF, AdaptiveLIFCell, LIFCell, NeuronCell
from nengo_dl.runtime.checks import integer
from nengo_dl.surrogates import fast_sigmoid

#: with it the gradient of a current 200 steps ago is not far from that of the present one
GAIN = 0.5
#: arguments of the cells here besides those of the neurons
_ARGUMENTS = (
    *("recurrent_initializer", "recurrent_regularizer"),
    *("use_bias", "bias_initializer", "bias_regularizer"),
)


@keras.saving.register_keras_serializable(package="nengo_dl")
class DelayLines(keras.initializers.Initializer):
    """Recurrent weights that start as delay lines, with which a layer remembers every step.

    The first ``lines * length`` neurons form lines. In a line, each neuron excites only the next
    one, so that a spike of the first neuron moves on by one neuron in each step, for ``length``
    steps: at any time, a line shows when its first neuron has fired. All neurons excite the
    remaining neurons with small random weights, which do not excite the lines. These are only the
    initial weights; training can change all of them.

    Parameters
    ----------
    lines, length : int
        Number of lines, and number of neurons of each one.
    weight : float
        Weight from a neuron to the next one, in units of the threshold. A single spike must make
        the next neuron fire, although the voltage leaks.
    seed : int, optional
        Seed of the random weights. They are normal, with a standard deviation of
        ``1 / sqrt(units)``.

    Notes
    -----
    Lines last in training if a spike exceeds the threshold by more than the width of the surrogate
    derivative, for example with the default weight and `nengo_dl.surrogates.triangle` of width
    0.25. Such chains of neurons are the synfire chains of Abeles, 1991, "Corticonics".

    Examples
    --------
    >>> initializer = nengo_dl.layers.DelayLines(lines=2, length=3)
    >>> initializer.first.tolist()
    [0, 3]
    >>> neurons = nengo_dl.layers.RecurrentLIF(recurrent_initializer=initializer)
    >>> neurons(np.zeros((1, 10, 8))).shape == (1, 10, 8)  # two neurons are in no line
    True
    """

    def __init__(self, lines: int, length: int, weight: float = 1.5, seed: int | None = None):
        for name, value in {"lines": lines, "length": length}.items():
            if (integer(value) or 0) < 1:
                raise ValueError(f"{name} was given {value!r}; expected a positive integer")
        self.lines, self.length, self.weight, self.seed = lines, length, weight, seed

    @property
    def first(self) -> np.ndarray:
        """The first neurons of the lines, which are to receive the input."""
        return np.arange(self.lines) * self.length

    def __call__(self, shape, dtype=None):
        """The weights, (units, units)."""
        n_in_lines, units = self.lines * self.length, shape[-1]
        if tuple(shape) != (units, units) or n_in_lines > units:
            raise ValueError(
                f"{self.lines} lines of length {self.length} were to be made of weights of shape "
                f"{tuple(shape)}; expected the recurrent weights of at least {n_in_lines} neurons"
            )
        lines = self.weight * np.eye(units, k=1)
        lines[self.first[1:] - 1] = 0  # one line does not excite the next
        lines[:, n_in_lines:] = 0
        normal = keras.initializers.RandomNormal(stddev=units**-0.5, seed=self.seed)
        others = normal(shape, dtype=dtype)
        remaining = ops.cast(np.arange(units) >= n_in_lines, others.dtype)
        return others * remaining + ops.cast(lines, others.dtype)

    def get_config(self):
        """The arguments, for saving and copying."""
        return {
            "lines": self.lines,
            "length": self.length,
            "weight": self.weight,
            "seed": self.seed,
        }


class RecurrentCell(NeuronCell):
    """What makes a cell of neurons recurrent; goes in front of the class of the neurons.

    The last part of the state has the spikes of the step before, of height ``1 / dt``.
    """

    def __init__(
        self,
        *args: Any,
        surrogate: Any = fast_sigmoid(4.0),  # noqa: B008, it is frozen
        recurrent_initializer: Any = None,
        recurrent_regularizer: Any = None,
        use_bias: bool = False,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(*args, surrogate=surrogate, **kwargs)  # type: ignore[misc]
        self.state_names = (*self.state_names, "spikes")
        if recurrent_initializer is None:
            recurrent_initializer = keras.initializers.Orthogonal(GAIN)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.use_bias = bool(use_bias)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.recurrent_kernel = self.bias = None

    def build(self, input_shape):
        super().build(input_shape)
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.units),
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            name="recurrent_kernel",
        )
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                name="bias",
            )

    def step(self, inputs, states, training):
        *states, spikes = states
        # a spike of height 1 / dt that lasts dt raises the voltage by 1 / tau_rc
        jumps = ops.matmul(spikes, ops.cast(self.recurrent_kernel, self.compute_dtype))
        current = inputs / self.value("threshold") + self.value("tau_rc") * jumps
        if self.bias is not None:
            current = current + ops.cast(self.bias, self.compute_dtype)
        output, states = self.fire(current, states, training)
        return output, [*states, output / self.value("amplitude")]

    def get_config(self):
        weights = {"recurrent": self.recurrent_initializer, "bias": self.bias_initializer}
        config = {**super().get_config(), "use_bias": self.use_bias}
        for name, initializer in weights.items():
            regularizer = getattr(self, f"{name}_regularizer")
            config[f"{name}_initializer"] = keras.initializers.serialize(initializer)
            config[f"{name}_regularizer"] = keras.regularizers.serialize(regularizer)
        return config


@keras.saving.register_keras_serializable(package="nengo_dl")
class RecurrentLIFCell(RecurrentCell, LIFCell):
    """One step of `RecurrentLIF`, for ``keras.layers.RNN``; it has the same arguments, and
    ``units``.
    """


@keras.saving.register_keras_serializable(package="nengo_dl")
class RecurrentAdaptiveLIFCell(RecurrentCell, AdaptiveLIFCell):
    """One step of `RecurrentAdaptiveLIF`, for ``keras.layers.RNN``; it has the same arguments, and
    ``units``.
    """


@keras.saving.register_keras_serializable(package="nengo_dl")
class RecurrentLIF(LIF):
    """`LIF` neurons with trainable recurrent connections.

    In each step, a neuron receives the spikes of all neurons, including its own, from the previous
    step. Recurrent weights are in units of the threshold: a spike of neuron ``i`` raises the
    voltage of neuron ``j``, which fires at 1, by ``recurrent_kernel[i, j]``. This does not depend
    on the time step, ``tau_rc`` or ``amplitude``. The layer in front, for example Dense, provides
    the input weights and a bias.

    All arguments are keyword arguments.

    Parameters
    ----------
    surrogate : str or callable or None
        Surrogate derivative of a spike in training, as in `LIF`, but flatter by default. With a
        steeper derivative, gradients vanish faster on their way back through time; with a flatter
        one, they grow faster.
    recurrent_initializer : str or keras.initializers.Initializer, optional
        Initializer of the recurrent weights, of shape (units, units). By default orthogonal with a
        gain of 0.5. With the default surrogate and a ``tau_rc`` of 20 steps, the gradient with
        respect to a current 200 steps ago is then within two orders of magnitude of the gradient
        with respect to the last currents.
    recurrent_regularizer : str or keras.regularizers.Regularizer, optional
        Regularizer of the recurrent weights.
    use_bias : bool
        Whether to add a trained bias to the currents, in units of the threshold.
    bias_initializer, bias_regularizer : optional
        Initializer and regularizer of the bias, as in Keras.
    truncate : int, optional
        Maximum number of steps through which gradients go back; see `SequenceLayer`.
    dt, tau_rc, tau_ref, min_voltage, amplitude, threshold, trainable_attributes, **kwargs
        As in `LIF`. The state is ``[voltage, refractory_time, spikes]``, where ``spikes`` contains
        the spikes of the last step, of height ``1 / dt``.

    Notes
    -----
    The default initial weights follow Rossbroich, Gygax and Zenke, 2022, "Fluctuation-driven
    initialization for spiking neural network training": the network's own spikes change voltages by
    a fraction of the threshold, at 20 Hz and with ``tau_rc=0.02`` by a standard deviation of 0.2.
    Herranz-Celotti and Rouat, 2022, "Stabilizing spiking neuron training", show that the slope of
    the surrogate determines whether gradients vanish or explode.

    Examples
    --------
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((10, 4)),  # (steps, values)
    ...         keras.layers.Dense(8),
    ...         nengo_dl.layers.RecurrentLIF(amplitude=0.01),
    ...     ]
    ... )
    >>> model.output_shape
    (None, 10, 8)
    """

    cell_class = RecurrentLIFCell
    cell_arguments = (*LIF.cell_arguments, *_ARGUMENTS)


@keras.saving.register_keras_serializable(package="nengo_dl")
class RecurrentAdaptiveLIF(AdaptiveLIF):
    """`AdaptiveLIF` neurons with trainable recurrent connections.

    Adaptation with a long time constant is a memory: after a spike, a neuron fires less for about
    ``tau_n`` seconds, and gradients go back equally far (Bellec et al., 2018, "Long short-term
    memory and learning-to-learn in networks of spiking neurons", NeurIPS 31).

    Parameters
    ----------
    tau_n, inc_n
        As in `AdaptiveLIF`. A spike raises the adaptation by ``inc_n * amplitude / tau_n``.
    surrogate, recurrent_initializer, use_bias, truncate, **kwargs
        As in `RecurrentLIF`. The state is ``[voltage, refractory_time, adaptation, spikes]``.

    Examples
    --------
    >>> neurons = nengo_dl.layers.RecurrentAdaptiveLIF(tau_n=0.2, inc_n=0.05)
    >>> neurons(np.full((1, 3, 8), 2.0)).shape == (1, 3, 8)
    True
    """

    cell_class = RecurrentAdaptiveLIFCell
    cell_arguments = RecurrentLIF.cell_arguments
