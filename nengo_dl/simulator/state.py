"""The state of a simulation: going back to the first one, and looking at the present one."""

from __future__ import annotations

import numpy as np
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError

from nengo_dl.compat.random import seed_tensorflow
from nengo_dl.runtime import build, checks
from nengo_dl.runtime.results.values import LastValues, can_be_written, write_values
from nengo_dl.runtime.simulation.state import State
from nengo_dl.simulator.parts import SimulatorParts


class StateInterface(SimulatorParts):
    """The part of `nengo_dl.Simulator` that knows of its state."""

    _last: LastValues | None
    _state: State

    def reset(
        self,
        seed: int | None = None,
        include_trainable: bool = True,
        include_probes: bool = True,
        include_processes: bool = True,
    ) -> None:
        """Restore the initial state.

        Parameters
        ----------
        seed
            A new seed for processes without a seed of their own.
        include_trainable
            Whether to restore the initial parameters, undoing training and online learning.
        include_probes
            Whether to delete recorded data.
        include_processes
            Whether to restart random processes from their seed.

        Examples
        --------
        >>> sim.reset()
        >>> sim.n_steps
        0
        """
        self._check_open("reset")
        seed = checks.checked_seed(seed)
        include_trainable = checks.checked_flag("include_trainable", include_trainable)
        include_probes = checks.checked_flag("include_probes", include_probes)
        include_processes = checks.checked_flag("include_processes", include_processes)
        self._alone.check()
        if seed is not None:
            self._seed = seed
        n_steps = 0 if include_processes else self.n_steps
        state = self._engine.initial_state()
        if include_trainable:
            self.encoder_lengths = {}
        else:
            state = self._engine.keeping_learned(state, self._state)
        self._state: State = state
        with self._engine.scope():
            self.keras_model.reset_carried()
            if include_trainable:
                self.keras_model.reset_parameters()
        if include_processes or seed is not None:
            self._restart_processes()
        else:
            for source in self._engine.sources.values():
                source.keep_after_reset(n_steps)
        self._host.failure = None
        if include_probes:
            self.clear_probes()

    def _restart_processes(self) -> None:
        """Put all processes back to their first step."""
        seed_tensorflow(self._seed)
        self._host.reset(self._seed)
        self._engine.read_from(build.make_sources(self.program, self._host, self._seed))

    def clear_probes(self) -> None:
        """Delete all recorded data.

        Examples
        --------
        >>> sim.clear_probes()
        >>> sim.data[probe].shape
        (2, 0, 1)
        """
        for record in self.records.values():
            record.clear()

    def is_variable(self, signal: Signal) -> bool:
        """Whether training or the simulation can change the value of a signal."""
        return (self._last or self._engine).is_variable(signal)

    def present_value(self, signal: Signal) -> np.ndarray:
        """The current value of a stored signal, ``(minibatch_size or 1, *signal.shape)``."""
        if self._last is not None:
            return self._last.value(signal)
        return self._engine.value(signal, self._state)

    def set_value(self, signal: Signal, values: np.ndarray) -> None:
        """Give a base signal that is stored other values, ``(minibatch_size or 1, size)``, until
        the next reset.

        Raises
        ------
        nengo.exceptions.SimulationError
            While the simulation runs, and for what does not have values of its own.
        """
        self._check_open("set signals")
        if self._alone.is_inside:
            raise SimulationError("signals cannot be set by a Node or a callback during a run")
        with self._alone:
            if not can_be_written(self._engine, signal):
                raise SimulationError(
                    f"{signal} cannot be set; the simulation has no value of its own for it"
                )
            self._state = write_values(self._engine, self._state, {signal: values})
