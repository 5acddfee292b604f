"""What the probes recorded, on the host, once."""

from __future__ import annotations

import numpy as np
from nengo import Probe


class ProbeRecord:
    """The samples of one probe.

    Parameters
    ----------
    probe
        Its ``sample_every`` decides which steps are samples.
    dt
        Time step in seconds.
    keep_history
        Whether all samples are kept, or the last one only.
    """

    def __init__(self, probe: Probe, dt: float, keep_history: bool = True):
        self.period = 1 if probe.sample_every is None else probe.sample_every / dt
        self.keep_history = keep_history
        self._parts: list[tuple[int, np.ndarray]] = []  # (first step, samples)

    def sampled(self, values: np.ndarray, first_step: int, n_steps: int) -> np.ndarray:
        """The samples among ``values`` of shape (batch, n_steps, size), whose first is that of ``first_step``."""
        if not self.keep_history or self.period == 1:
            return values
        steps = np.arange(first_step, first_step + n_steps)
        return values[:, steps % self.period < 1]

    def append(self, values: np.ndarray, first_step: int, n_steps: int) -> None:
        """Add the samples among ``values``."""
        # an interrupted run may have left samples of steps that were not finished
        self._parts = [part for part in self._parts if part[0] < first_step]
        # a copy, so that the buffer of the whole chunk can go
        values = np.array(self.sampled(values, first_step, n_steps))
        if not self.keep_history:
            self._parts = []
        self._parts.append((first_step, values))

    def clear(self) -> None:
        """Forget all samples."""
        self._parts = []

    def __len__(self) -> int:
        return sum(part.shape[1] for _, part in self._parts)

    def values(self) -> np.ndarray | None:
        """All samples, of shape (batch, samples, size), or None; not to be written to."""
        if not self._parts:
            return None
        if len(self._parts) > 1:
            joined = np.concatenate([part for _, part in self._parts], axis=1)
            self._parts = [(self._parts[0][0], joined)]
        values = self._parts[0][1]
        values.setflags(write=False)
        return values
