"""Neuron types: each a function of the input current, its state and its parameters.

`register_neurons` enters one. All ensembles of a type are computed together, whatever their sizes
and parameters: a parameter is a number where all agree and one value a column where they do not.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras.ops as ops
from nengo import neurons as nengo_neurons
from nengo.builder.neurons import SimNeurons
from nengo.neurons import NeuronType, RatesToSpikesNeuronType

from nengo_dl.compiler.kernel import Kernel, Prepared, register
from nengo_dl.compiler.operators import StochasticNeurons
from nengo_dl.lowering.host import HostKernel
from nengo_dl.lowering.parameters import columns, split
from nengo_dl.surrogates import RateDerivative, fast_sigmoid


@dataclass(frozen=True)
class NeuronLowering:
    """How a neuron type is computed.

    ``step(context, J, *state, **parameters)`` returns the output, followed by the new state; all of
    shape (batch, neurons). ``rate`` has the same form and takes its place in training.
    ``variant(ops, settings)`` may return another function for a group of operators (None: no
    other).
    """

    neuron_type: type[NeuronType] | str
    step: Callable
    parameters: tuple[str, ...]
    state: tuple[str, ...]
    rate: Callable | None = None
    variant: Callable | None = None


_lowerings: dict[type[NeuronType] | str, NeuronLowering] = {}


def register_neurons(
    neuron_type: type[NeuronType] | str,
    parameters: Sequence[str] | None = None,
    state: Sequence[str] | None = None,
    rate: Callable | None = None,
    variant: Callable | None = None,
):
    """Decorator that registers an implementation of a neuron type in tensors.

    Parameters
    ----------
    neuron_type
        Ensembles of this type use the function, as do ensembles of subclasses that do not override
        ``step``. ``"module:name"`` names a type of a package that need not be installed.
    parameters
        Names of attributes of the neuron type, passed to the function as keyword arguments (a
        number, or an array of shape (1, neurons)); by default the function's arguments after the
        state that have no default value.
    state
        Names of the state variables, in the order in which the function takes and returns them; by
        default those of ``neuron_type.state``. Required if the type is given by its name.
    rate
        A differentiable function with the same arguments and results, which replaces the decorated
        one in training.
    variant
        ``variant(operators, settings)`` returns a function that replaces the decorated one for a
        group of operators, or None.

    Examples
    --------
    >>> class MyNeurons(nengo.neurons.Tanh):
    ...     pass
    >>> @nengo_dl.register_neurons(MyNeurons)
    ... def my_neurons(context, J, tau_ref):
    ...     return keras.ops.tanh(J) / tau_ref
    """
    is_type = isinstance(neuron_type, type) and issubclass(neuron_type, NeuronType)
    if not is_type and not (isinstance(neuron_type, str) and ":" in neuron_type):
        raise TypeError(
            f"neuron_type was given {neuron_type!r}; expected a subclass of nengo.neurons."
            'NeuronType, or the name of one, "module:name"'
        )
    if state is None and isinstance(neuron_type, str):
        raise ValueError(f"{neuron_type} is given by its name; say which state it has (state=...)")
    names = tuple(neuron_type.state if state is None else state)  # type: ignore[union-attr]

    def decorate(step):
        given = _parameters(step, len(names)) if parameters is None else tuple(parameters)
        _lowerings[neuron_type] = NeuronLowering(neuron_type, step, given, names, rate, variant)
        return step

    return decorate


def _parameters(step: Callable, n_states: int) -> tuple[str, ...]:
    """What a function takes after the context, J and the state."""
    _, _, *taken = inspect.signature(step).parameters.values()
    needed = (p for p in taken[n_states:] if p.default is p.empty)
    return tuple(p.name for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


def lowering_of(neurons: NeuronType) -> NeuronLowering | None:
    """The lowering of a neuron type; None where there is none or a subclass changed the maths."""
    return lowering_of_type(type(neurons))


def lowering_of_type(neuron_type: type[NeuronType]) -> NeuronLowering | None:
    """As `lowering_of`, of the class."""
    for cls in neuron_type.__mro__:
        lowering = _lowerings.get(cls) or _lowering_by_name(cls)
        if lowering is not None:
            return lowering if _step(neuron_type) is _step(cls) else None
    return None


def _step(cls: type) -> Any:
    return getattr(cls, "step", None)


def _lowering_by_name(cls: type) -> NeuronLowering | None:
    for key, lowering in _lowerings.items():
        if isinstance(key, str):
            module, name = key.split(":")
            if cls.__name__ == name and getattr(sys.modules.get(module), name, None) is cls:
                return lowering
    return None


class NeuronKernel(Kernel):
    """All neurons of a type."""

    every_step_alone = True  # those that have a state are told by it

    def __init__(self, lowering: NeuronLowering):
        self.lowering = lowering

    def merge_key(self, op):
        return (self.lowering.step,)

    def reads(self, op):
        return (op.J, *(op.state[name] for name in self.lowering.state))

    def writes(self, op):
        return (op.output, *(op.state[name] for name in self.lowering.state))

    def prepare(self, ops_, settings):
        sizes = [op.J.size for op in ops_]
        numbers, arrays = split(
            {
                name: columns([getattr(op.neurons, name) for op in ops_], sizes)
                for name in self.lowering.parameters
            }
        )

        simulated = self.lowering.step
        if self.lowering.variant is not None:
            simulated = self.lowering.variant(ops_, settings) or simulated

        def step(context, constants, J, *state):
            return self.run(simulated, context, (J, *state), {**numbers, **constants})

        return Prepared(step, arrays)

    def run(self, simulated: Callable, context, operands: tuple, arguments: dict) -> tuple:
        """A step, of a simulation with the function ``simulated`` or of training."""
        if not context.training:
            return _as_tuple(simulated(context, *operands, **arguments))
        return _train(self.lowering, simulated, context, operands, arguments)


def _train(lowering: NeuronLowering, simulated: Callable, context, operands: tuple, arguments):
    """A step of training: of the rates, or of the spikes with a derivative of their own."""
    rate = None if lowering.rate is None else partial(lowering.rate, **arguments)
    if context.surrogate is None and rate is not None:
        return _as_tuple(rate(context, *operands))
    if isinstance(context.surrogate, RateDerivative) and rate is not None:
        spiking = replace(context, surrogate=None)
        spikes, *state = _as_tuple(simulated(spiking, *operands, **arguments))
        rates = _as_tuple(rate(context, *operands))[0]
        return ops.stop_gradient(spikes) + (rates - ops.stop_gradient(rates)), *state
    if not callable(context.surrogate):
        # spikes without a rate to stand for them, or whose derivative was asked for
        context = replace(context, surrogate=fast_sigmoid())
    return _as_tuple(simulated(context, *operands, **arguments))


def _as_tuple(result) -> tuple:
    return result if isinstance(result, tuple) else (result,)


class StochasticKernel(NeuronKernel):
    """Neurons that need a random number each, drawn ahead."""

    def reads(self, op):
        return (op.J, op.draws)


class HostSpikesKernel(HostKernel):
    """Spikes made of rates by Nengo's own code; in training they are the rates."""

    differentiable = True

    def prepare_one(self, op, settings):
        spikes = super().prepare_one(op, settings)
        inputs, outputs = self.reads(op), self.writes(op)
        amplitude = op.neurons.amplitude

        def step(context, constants, *operands):
            if not context.training:
                return spikes.step(context, constants, *operands)
            given = dict(zip(inputs, operands, strict=True))
            return tuple(
                amplitude * given[op.J] if sig is op.output else given[sig] for sig in outputs
            )

        return Prepared(step, spikes.constants)


@register(SimNeurons)
def _choose_neurons(op):
    lowering = lowering_of(op.neurons)
    if lowering is not None and not op.state_extra:
        return NeuronKernel(lowering)
    return HostSpikesKernel() if isinstance(op.neurons, RatesToSpikesNeuronType) else None


@register(StochasticNeurons)
def _choose_stochastic_neurons(op):
    return StochasticKernel(_lowerings[nengo_neurons.StochasticSpiking])
