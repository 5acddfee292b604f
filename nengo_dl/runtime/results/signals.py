"""``sim.signals``: the values that Nengo's signals have after the last step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from nengo.builder import Model
from nengo.builder.operator import Operator
from nengo.builder.signal import Signal

from nengo_dl.compiler.signals import as_array, initial_values, view_indices
from nengo_dl.runtime.results.simulated import Simulated


class SignalIndex:
    """The signals of a network, and those among them that a step changes."""

    def __init__(self, model: Model, compiled: Iterable[Operator]):
        self.signals = dict.fromkeys(sig for op in model.operators for sig in op.all_signals)
        self.written = {sig.base for op in compiled for sig in (*op.sets, *op.incs, *op.updates)}


class PresentSignals(Mapping):
    """Maps Nengo's signals to copies of their present values, in the precision of Nengo's builder.

    It holds the signals that are kept from step to step: neuron and synapse states, parameters,
    learned weights, constants and the time. Signals that are computed and used up within a step
    have no value after it; asking for one is a KeyError. With a ``minibatch_size``, values that
    the simulation changes have a leading axis of that length.
    """

    def __init__(self, simulator: Simulated, index: SignalIndex):
        self._simulator = simulator
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
            return signal.initial_value.copy()
        values = _view(as_built(sim.present_value(signal.base), signal), signal)
        return values[0] if sim.minibatch_size is None else values

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
