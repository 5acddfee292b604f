"""Layers with a Legendre memory unit; see `nengo_dl.layers.lmu_cell`."""

from __future__ import annotations

from typing import Any

import keras

from nengo_dl.layers.arguments import cell_dtype
from nengo_dl.layers.lmu_arguments import PAPER
from nengo_dl.layers.lmu_cell import LMUCell
from nengo_dl.layers.sequence_layer import SequenceLayer

#: arguments of the layer that are its cell's
_CELL_ARGUMENTS = (
    *("memory_channels", "activation", "trainable_attributes", "memory_d", "hidden_cell"),
    *("trainable_theta", "hidden_to_memory", "memory_to_memory", "input_to_hidden"),
    *("discretizer", "kernel_initializer", "recurrent_initializer", "kernel_regularizer"),
    *("recurrent_regularizer", "use_bias", "bias_initializer", "bias_regularizer", "dropout"),
    *("recurrent_dropout", "conv_mode", "truncate_ir", "input_d", "seed"),
)


@keras.saving.register_keras_serializable(package="nengo_dl")
class LMU(SequenceLayer):
    """The recurrent layer with a Legendre memory of Voelker et al., 2019.

    The input of the memory is a linear combination of the layer's input and optionally of the
    output of the hidden component and of the memory itself. The hidden component gets the memory
    and optionally the layer's input, and computes the output. There are two ways to create the
    layer:

    * ``LMU(units, order, theta)`` is the unit of the paper: the hidden component is ``tanh`` of a
      linear combination of input, hidden state and memory, and all connections are present. theta
      is in seconds, and steps last ``dt`` seconds, by default ``nengo_dl.layers.default.dt``.
    * ``LMU(memory_d, order, theta, hidden_cell)``, as in KerasLMU, has a hidden component of your
      choice, and only the connections that you request. theta is in steps, because ``dt`` is 1 by
      default. With ``dt=0.001``, theta is in seconds.

    Without ``hidden_to_memory`` and ``memory_to_memory``, all steps are computed at once.

    Parameters
    ----------
    units : int
        Size of the hidden state of the paper's unit; with ``hidden_cell``, an alias of
        ``memory_d``.
    order : int
        Number of Legendre coefficients for each signal in the memory.
    theta : float
        Length of the window, in the unit of ``dt``.
    dt : float, optional
        Length of a step; see above.
    memory_channels : int
        Number of signals in the memory, for the unit of the paper.
    activation : str or callable
        Nonlinearity of the paper's hidden state.
    trainable_attributes : str or list of str
        ``"theta"`` to train the length of the window; ``trainable_theta=True`` does the same.
    memory_d : int
        Number of signals in the memory.
    hidden_cell : keras.layers.Layer or None
        The cell of a recurrent layer, or a layer that is applied in each step. None: the output is
        the memory, followed by the input with ``input_to_hidden``.
    hidden_to_memory, memory_to_memory, input_to_hidden : bool
        Optional connections, in addition to those from the input to the memory and from the memory
        to the hidden component. By default none with ``hidden_cell``, and all for the unit of the
        paper.
    discretizer : {"zoh", "euler"}
        How the memory's differential equation is discretized: "zoh" is exact if the input is
        constant during each step; "euler" uses Euler's method, which requires a theta of at least
        about ``order**2`` steps.
    kernel_initializer, recurrent_initializer : str or initializer
        Initializers of the weights from the input (and the hidden component) to the memory, and of
        the weights from the memory to itself. With ``hidden_cell``, the defaults are
        "glorot_uniform" and "orthogonal". ``kernel_initializer=None`` means that there are no
        weights, and ``memory_d`` is the size of the input. For the unit of the paper, the defaults
        are "lecun_uniform" (separately for each source) and "zeros".
    kernel_regularizer, recurrent_regularizer, bias_regularizer
        Keras regularizers of these weights.
    use_bias, bias_initializer
        Whether to add a bias to the input of the memory, and its initializer, "zeros" by default.
    dropout, recurrent_dropout : float
        Fraction of the inputs of the memory, and of the values fed back from the memory to itself,
        that is dropped in training. All steps of a sequence drop the same values.
    return_sequences : bool
        Whether to return every step, or only the last one (the default, as in
        ``keras.layers.LSTM``).
    conv_mode, truncate_ir
        As in `LMUFeedforward`.
    **kwargs
        ``return_state``, ``go_backwards``, ``stateful``, ``unroll``, ``zero_output_for_mask``,
        ``parallel``, ``time_major`` and the arguments of every Keras layer. The state is
        ``[memory, *hidden states]``.

    Examples
    --------
    Classify sequences of 784 numbers:

    >>> lmu = nengo_dl.layers.LMU(
    ...     memory_d=1, order=256, theta=784, hidden_cell=keras.layers.SimpleRNNCell(212)
    ... )
    >>> model = keras.Sequential([keras.Input((784, 1)), lmu, keras.layers.Dense(10)])
    >>> model.output_shape
    (None, 10)
    """

    def __init__(
        self,
        units: int | None = None,
        order: int | None = None,
        theta: float | None = None,
        dt: Any = None,
        return_sequences: bool = False,
        **kwargs: Any,
    ):
        own = {name: kwargs.pop(name) for name in _CELL_ARGUMENTS if name in kwargs}
        cell = LMUCell(units, order, theta, dt, **own, dtype=cell_dtype(kwargs))
        super().__init__(cell, return_sequences=return_sequences, **kwargs)

    def build(self, sequences_shape, initial_state_shape=None):
        """Make the cell for sequences of this shape."""
        if self.parallel:
            self.cell.memory.n_steps = self.batch_major(sequences_shape)[1]
        super().build(sequences_shape, initial_state_shape)

    def _output_units(self, units):
        return (self.cell.output_size,)

    def get_config(self):
        """The configuration of the layer, for saving and copying."""
        return {**super().get_config(), "units": self.cell.units}


@keras.saving.register_keras_serializable(package="nengo_dl")
class LMUFeedforward(LMU):
    """An `LMU` without feedback to the memory, so that all steps can be computed at once.

    ``LMU`` without ``hidden_to_memory`` and ``memory_to_memory`` computes the same.

    Parameters
    ----------
    memory_d, order, theta, hidden_cell, input_to_hidden, discretizer, kernel_initializer, \
    kernel_regularizer, use_bias, bias_initializer, bias_regularizer, dropout, return_sequences
        As in `LMU`; theta is in steps.
    conv_mode : {"fft", "raw"}
        How the convolution with the memory's response to an impulse is computed.
    truncate_ir : float, optional
        With ``conv_mode="raw"``, truncates the end of the response: the omitted steps contain at
        most this fraction of the sum of its absolute values, for each coefficient. This bounds the
        error relative to the largest possible value of the coefficient.
    **kwargs
        As in `LMU`.

    Examples
    --------
    >>> lmu = nengo_dl.layers.LMUFeedforward(
    ...     memory_d=1, order=8, theta=20, hidden_cell=keras.layers.Dense(5)
    ... )
    >>> lmu(np.ones((2, 20, 1))).shape == (2, 5)
    True
    """

    def __init__(
        self,
        memory_d: int | None = None,
        order: int | None = None,
        theta: float | None = None,
        hidden_cell: Any = PAPER,
        **kwargs: Any,
    ):
        for name in ("hidden_to_memory", "memory_to_memory"):
            if kwargs.pop(name, False):
                raise ValueError(f"{name}=True is not feed-forward; use LMU")
        kwargs.pop("units", None)
        own = {"memory_d": memory_d, "hidden_cell": hidden_cell}
        super().__init__(order=order, theta=theta, **own, **kwargs)
