"""Synapses that Nengo does not have; they run in every Nengo simulator."""

from __future__ import annotations

from typing import Any

import numpy as np
from nengo.exceptions import ValidationError
from nengo.params import NumberParam, Parameter
from nengo.rc import rc
from nengo.synapses import LinearFilter, Synapse, SynapseParam
from nengo.utils.numpy import array_hash

__all__ = ["Delay"]


class _Seconds(Parameter):
    """A time that is not negative: one number, or one for each element."""

    equatable = True

    def __init__(self, name: str, optional: bool = False):
        super().__init__(name, optional=optional, readonly=True)

    def hashvalue(self, instance: Any) -> int:
        value = getattr(instance, self.name)
        return 0 if value is None else array_hash(np.asarray(value))

    def coerce(self, instance: Any, value: Any) -> float | np.ndarray | None:
        if value is None and self.optional:
            return None
        values, wrong = _as_array(value), None
        if values.dtype.kind not in "fiu":
            wrong = f"a number of seconds, or one for each element, got {value!r}"
        elif values.ndim > 1 or values.size == 0:
            wrong = f"one number, or a vector of one for each element, got shape {values.shape}"
        elif not np.all((values >= 0) & np.isfinite(values)):
            bad = values[~((values >= 0) & np.isfinite(values))].flat[0]
            wrong = f"seconds, which are finite and not negative, got {bad:g}"
        if wrong is not None:
            raise ValidationError(f"expected {wrong}", attr=self.name, obj=instance)
        values = values.astype(np.float64)  # a copy
        values.setflags(write=False)
        return super().coerce(instance, values if values.ndim else float(values))


def _as_array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:  # lists of different lengths
        return np.asarray(None)


class Delay(Synapse):
    """Delays its input and then applies another synapse.

    The output of ``Delay(tau)`` is the input of ``round(tau / dt)`` steps ago: the current input if
    this is 0, and 0 before the first step. On a connection or a probe, every synapse adds one step,
    and so does a delay: ``Delay(0)`` is equivalent to ``Lowpass(0)``, and the output of
    ``Delay(tau, then)`` is that of ``then``, ``round(tau / dt)`` steps later. As the output of a
    Node, a delay does not add a step.

    Parameters
    ----------
    tau : float or (size,) array_like
        The delay in seconds, for all elements or one for each; in a connection, these are the
        elements after the transform. It is rounded to whole steps when a simulator is built.
    then : Synapse or float or None
        The synapse that filters the delayed input; a number is the time constant of a
        `nengo.Lowpass`.
    longest : float or None
        The longest delay that training may reach, in seconds; required if ``tau`` is trained.
    spread : float or (size,) array_like or None
        Initial width of the delay in training, in seconds: the standard deviation of the weights of
        past inputs that replace the delay. It is trained together with ``tau``. By default a third
        of ``longest``.
    kwargs
        Arguments of `nengo.synapses.Synapse`.

    Notes
    -----
    With ``network.config[connection].trainable_attributes = "tau"``, nengo_dl trains the delays,
    starting from the given values, in the range from 0 to ``longest``. During training, the output
    is a weighted mean of the last inputs, with the weights of a normal distribution with centre
    ``tau`` and width ``spread``. Gradients reach as far as this width, which shrinks as training
    finds the delay, since both are trained (Khalfaoui-Hassani, Pellegrini and Masquelier, 2023,
    "Dilated convolution with learnable spacings: beyond bilinear interpolation", arXiv:2306.00817;
    Hammouamri, Khalfaoui-Hassani and Masquelier, 2023, "Learning delays in spiking neural networks
    using dilated convolutions with learnable spacings", arXiv:2306.17670). Outside of training, a
    delay is a whole number of steps.

    Raises
    ------
    nengo.exceptions.ValidationError
        If a delay is negative, not a number, or longer than ``longest``. When a simulator is built,
        if the number of delays differs from the number of elements of the connection.

    Examples
    --------
    >>> from nengo_dl.synapses import Delay
    >>> Delay(0.003).filt(np.arange(1.0, 7.0))
    array([0., 0., 0., 1., 2., 3.])
    >>> with nengo.Network() as network:
    ...     stimulus, ensemble = nengo.Node([0, 0]), nengo.Ensemble(50, dimensions=2)
    ...     connection = nengo.Connection(
    ...         stimulus, ensemble, synapse=Delay([0.01, 0.02], then=nengo.Lowpass(0.005))
    ...     )
    """

    tau = _Seconds("tau")
    then = SynapseParam("then", default=None, readonly=True)
    longest = NumberParam(
        "longest", default=None, optional=True, low=0, low_open=True, readonly=True
    )
    spread = _Seconds("spread", optional=True)

    def __init__(
        self,
        tau: Any,
        then: Synapse | float | None = None,
        longest: float | None = None,
        spread: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**{"default_size_in": _as_array(tau).size, **kwargs})
        self.tau = tau
        self.then = then
        self.longest = longest
        if longest is not None and np.any(self.tau > longest):
            raise ValidationError(
                f"expected no delay above longest={longest:g}, got {np.max(self.tau):g}",
                attr="tau",
                obj=self,
            )
        if spread is None and longest is not None:
            spread = longest / 3
        self.spread = spread

    @property
    def alone(self) -> Delay:
        """The delay without what filters it."""
        return type(self)(self.tau, None, self.longest, self.spread)

    def steps(self, shape: tuple[int, ...], dt: float) -> np.ndarray:
        """The delays of a signal of this shape in steps, (size,)."""
        if np.ndim(self.tau) and shape != self.tau.shape:
            size = f"{shape[0]} elements" if len(shape) == 1 else f"shape {shape}"
            raise ValidationError(
                f"has {len(self.tau)} delays, but is to delay a signal of {size}; give it one for "
                "each element, or a single number",
                attr="tau",
                obj=self,
            )
        steps = np.rint(np.asarray(self.tau) / dt).astype(np.int64)
        return np.broadcast_to(steps, shape).ravel()

    def n_slots(self, dt: float) -> int:
        """The steps whose inputs have to be kept, the present one included."""
        longest = np.max(self.tau) if self.longest is None else self.longest
        return int(np.rint(longest / dt)) + 1

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        """The last inputs, one after the other, where the next one goes, and what ``then`` has."""
        assert shape_in == shape_out
        self.steps(shape_in, dt)  # checks them
        dtype = rc.float_dtype if dtype is None else np.dtype(dtype)
        inner = {}
        if self.then is not None:
            inner = self.then.make_state(shape_in, shape_out, dt, dtype=dtype, y0=y0)
        buffer = np.zeros((self.n_slots(dt), *shape_in), dtype=dtype)
        buffer[:] = self._steady_input(np.asarray(y0))
        return {
            "buffer": buffer.ravel(),
            "position": np.zeros(1, dtype=dtype),
            **{f"then {name}": value for name, value in inner.items()},
        }

    def _steady_input(self, y0: np.ndarray) -> np.ndarray:
        """The input that has given this output forever."""
        if isinstance(self.then, LinearFilter) and np.any(y0):
            return y0 / np.real(self.then.evaluate(0.0))
        return y0

    def make_step(self, shape_in, shape_out, dt, rng, state):
        """The function of a step, for nengo.Simulator."""
        assert shape_in == shape_out and state is not None
        buffer, position = state["buffer"], state["position"]
        n_slots, steps = self.n_slots(dt), self.steps(shape_in, dt)
        slots, elements = buffer.reshape(n_slots, -1), np.arange(len(steps))
        inner = None
        if self.then is not None:
            own = {k.removeprefix("then "): v for k, v in state.items() if k.startswith("then ")}
            inner = self.then.make_step(shape_in, shape_out, dt, rng, own)

        def step_delay(t, signal):
            now = int(position.item())
            slots[now] = np.ravel(signal)
            position[:] = (now + 1) % n_slots
            delayed = slots[(now - steps) % n_slots, elements].reshape(np.shape(signal))
            return delayed if inner is None else inner(t, delayed)

        return step_delay
