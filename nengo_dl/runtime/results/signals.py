"""``sim.signals``: the values that Nengo's signals have after the last step, to read and to set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError
from nengo.neurons import LIF

from nengo_dl.compiler.signals import as_array, initial_values, view_indices
from nengo_dl.runtime.results.signal_value import Memory, SignalValue
from nengo_dl.runtime.results.simulated import Simulated


class SignalIndex:
    """The signals of a network, those among them that a step changes, and what reads them.

    Parameters
    ----------
    model
        What was built.
    compiled
        What is computed, after simplification.
    """

    def __init__(self, model: Model, compiled: Iterable[Operator]):
        self._built, self._compiled = model.operators, tuple(compiled)
        self.signals = dict.fromkeys(sig for op in model.operators for sig in op.all_signals)
        self.written = {sig.base for op in self._compiled for sig in _written(op)}

    def is_compiled_in(self, base: Signal) -> bool:
        """Whether something was simplified because of the value of a signal."""
        wanted, found = (_targets(ops, base) for ops in (self._built, self._compiled))
        return not wanted <= found

    def is_lif_voltage(self, base: Signal) -> bool:
        """Whether these are voltages of LIF neurons."""
        return any(
            isinstance(op, SimNeurons)
            and isinstance(op.neurons, LIF)
            and getattr(op.state.get("voltage"), "base", None) is base
            for op in self._built
        )


def _written(op: Operator) -> tuple[Signal, ...]:
    return (*op.sets, *op.incs, *op.updates)


def _targets(operators: Iterable[Operator], base: Signal) -> set[Signal]:
    """What is written by the operators that read a signal."""
    readers = (op for op in operators if any(sig.base is base for sig in op.reads))
    return {sig for op in readers for sig in _written(op)}


class PresentSignals(Mapping):
    """Maps Nengo's signals to their present values, in the precision of Nengo's builder.

    It holds the signals that are kept from step to step: neuron and synapse states, parameters,
    learned weights, constants and the time. Signals that are computed and used up within a step
    have no value after it; asking for one is a KeyError. With a ``minibatch_size``, values that
    the simulation changes have a leading axis of that length.

    The values are those of now, and stay what they are when the simulation goes on. Setting a
    signal, or elements of its value, changes the simulation from the next step on, until the next
    reset: ``sim.signals[signal] = 0``, ``sim.signals[signal][3] = 0``.
    """

    def __init__(self, simulator: Simulated, index: SignalIndex):
        self._simulator, self._index = simulator, index
        self._signals, self._written = index.signals, index.written

    def _is_kept(self, signal: Signal) -> bool:
        sim = self._simulator
        base = signal.base
        return (
            base in (sim.model.step, sim.model.time)
            or base not in self._written
            or sim.is_variable(base)
        )

    def __getitem__(self, signal: Signal) -> np.ndarray:
        sim = self._simulator
        if signal not in self._signals or not self._is_kept(signal):
            raise KeyError(
                f"{signal} has no value between steps; put a nengo.Probe on what it belongs to"
            )
        dtype = signal.initial_value.dtype
        if signal.base in (sim.model.step, sim.model.time):
            value = sim.n_steps if signal.base is sim.model.step else sim.time
            return np.asarray(value, dtype=dtype)
        if not sim.is_variable(signal.base):
            values = signal.initial_value.copy()
        else:
            values = _view(as_built(sim.present_value(signal.base), signal), signal)
            values = values[0, ...] if sim.minibatch_size is None else values
        if not isinstance(values, np.ndarray):  # sparse
            return values
        return SignalValue.of(Memory(values, partial(self._write, signal)))

    def __setitem__(self, signal: Signal, value: Any) -> None:
        present = self[signal]
        if signal.base in (self._simulator.model.step, self._simulator.model.time):
            raise SimulationError("the time of a simulation cannot be set; sim.reset() makes it 0")
        if not isinstance(present, SignalValue):
            raise SimulationError(f"{signal} cannot be set, because it is sparse")
        present[...] = value

    def _write(self, signal: Signal, value: np.ndarray, changed: np.ndarray) -> None:
        """Give elements of a signal other values."""
        sim, base = self._simulator, signal.base
        if base not in self._written and self._index.is_compiled_in(base):
            raise SimulationError(
                f"{signal} cannot be set, because the network was simplified for the value that "
                "it has; make it trainable, or switch simplifications off, with "
                "nengo_dl.configure_settings(simplifications=[])"
            )
        if self._index.is_lif_voltage(base) and np.any(value[changed] > 1):
            raise SimulationError(
                f"{signal} cannot be more than 1: between two steps the voltages of LIF neurons "
                "are below their threshold"
            )
        present = np.array(initial_values(base)[None])
        if sim.is_variable(base):
            present = np.array(sim.present_value(base)).reshape(-1, present.size)
        indices = as_array(view_indices(signal))
        rows = present[:, indices]
        shape = (-1, indices.size)
        np.copyto(rows, value.reshape(shape), where=changed.reshape(shape))
        present[:, indices] = rows
        sim.set_value(base, present)

    def __iter__(self) -> Iterator[Signal]:
        return (signal for signal in self._signals if self._is_kept(signal))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _view(values: np.ndarray, signal: Signal) -> np.ndarray:
    """The elements of ``signal`` among those of its base, of which ``values`` has one array an
    item.
    """
    if not signal.is_view:
        return values
    flat = values.reshape(len(values), -1)
    return flat[:, as_array(view_indices(signal))].reshape(len(values), *signal.shape)


def as_built(value: np.ndarray, signal: Signal) -> np.ndarray:
    """``value``, (items, ...), in the precision of Nengo's builder; what did not change is exactly
    what that made.
    """
    initial = initial_values(signal.base)[None]
    flat = value.reshape(len(value), -1)
    unchanged = flat == initial.astype(value.dtype)
    return np.where(unchanged, initial, flat).astype(initial.dtype).reshape(value.shape)
