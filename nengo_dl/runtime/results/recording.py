"""What the probes recorded, on the host, once."""

from __future__ import annotations

import numpy as np
from nengo import Probe

from nengo_dl import tuning


class ProbeRecord:
    """The samples of one probe, in one buffer that grows.

    Memory of the buffer beyond the samples is not touched, so it costs nothing; what `values`
    returns is a view of the buffer.

    Parameters
    ----------
    probe
        Its ``sample_every`` decides which steps are samples; None: all are.
    dt
        Time step in seconds.
    keep_history
        Whether all samples are kept, or the last one only.
    dtype
        Of the samples; by default that of what is appended.
    """

    def __init__(
        self, probe: Probe | None, dt: float, keep_history: bool = True, dtype: str | None = None
    ):
        sample_every = None if probe is None else probe.sample_every
        self.period = 1 if sample_every is None else sample_every / dt
        self.keep_history = keep_history
        self.dtype = dtype
        self._buffer: np.ndarray | None = None  # (batch, capacity, size)
        self._length = 0
        self._expected = 0

    def expect(self, n_steps: int) -> None:
        """Prepare for so many more steps, so that the buffer grows once."""
        self._expected = self._length + int(n_steps / self.period) + 1

    def sampled(self, values: np.ndarray, first_step: int, n_steps: int) -> np.ndarray:
        """The samples among ``values`` of shape (batch, n_steps, size), whose first is that of
        ``first_step``.
        """
        if not self.keep_history or self.period == 1:
            return values
        steps = np.arange(first_step, first_step + n_steps)
        return values[:, steps % self.period < 1]

    def append(self, values: np.ndarray, first_step: int, n_steps: int) -> None:
        """Add the samples among ``values``."""
        if self.period != 1:
            values = self.sampled(values, first_step, n_steps)
        if not self.keep_history:
            if values.shape[1]:
                self._buffer, self._length = np.array(values[:, -1:], dtype=self.dtype), 1
            return
        # another thread may clear the record meanwhile: then the samples stay
        buffer, start = self._buffer, self._length
        start = 0 if buffer is None else start
        stop = start + values.shape[1]
        if buffer is None or stop > buffer.shape[1]:
            buffer = self._grown(buffer, start, values, stop)
        buffer[:, start:stop] = values
        self._buffer, self._length = buffer, stop

    def _grown(
        self, old: np.ndarray | None, length: int, values: np.ndarray, needed: int
    ) -> np.ndarray:
        batch, _, size = values.shape
        itemsize = np.dtype(self.dtype or values.dtype).itemsize
        most = tuning.EXPECTED_BYTES // max(batch * size * itemsize, 1)
        shape = (batch, max(needed, 3 * length // 2, min(self._expected, most)), size)
        buffer = np.empty(shape, dtype=self.dtype or values.dtype)
        if old is not None:
            buffer[:, :length] = old[:, :length]
        return buffer

    def clear(self) -> None:
        """Forget all samples."""
        self._buffer, self._length = None, 0

    def restore(self, values: np.ndarray | None) -> None:
        """Hold these samples, of shape (batch, samples, size)."""
        self.clear()
        if values is not None:
            self._buffer, self._length = np.array(values), values.shape[1]

    def mark(self) -> tuple:
        """What `rewind` needs to forget what is appended from now on."""
        return self._buffer, self._length

    def rewind(self, mark: tuple) -> None:
        """Go back to a `mark`."""
        self._buffer, self._length = mark

    def __len__(self) -> int:
        return self._length

    def values(self) -> np.ndarray | None:
        """All samples, of shape (batch, samples, size), or None; cannot be written to."""
        if self._buffer is None:
            return None
        values = self._buffer[:, : self._length]
        values.setflags(write=False)
        return values
