"""Events to frames: one for each step of a simulation."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_dl.events.recording import read
from nengo_dl.runtime.checks import checked_count, checked_duration, checked_flag, checked_number

#: more steps than this, where they were not asked for, are due to a wrong unit of time
MOST_STEPS = 1_000_000


def to_frames(
    events: Any,
    sensor_size: tuple[int, int, int],
    dt: float | None = None,
    *,
    count: int | None = None,
    n_steps: int | None = None,
    start: float | None = None,
    height: float = 1.0,
    flat: bool = False,
    padding: float = 0.0,
    time_unit: float = 1e-6,
    columns: str = "txyp",
    dtype: Any = "float32",
) -> np.ndarray:
    """Turn one or several recordings of events into frames.

    A frame contains the events of ``dt`` seconds, or ``count`` events. Each event adds ``height``
    to the value of its pixel and polarity.

    Parameters
    ----------
    events : array_like, or list of these
        A structured array with the fields t, x, y and p, as in the datasets of ``tonic``; without
        the field y, as in recordings of sound, all events are on one line. Or an array of shape (n,
        4), with the order given by ``columns``. Times must not decrease. Pass several recordings as
        a list.
    sensor_size : tuple of int
        (width, height, polarities), the ``sensor_size`` of a dataset of ``tonic``.
    dt : float, optional
        Duration of a frame in seconds, which is the time step of the simulation; by default 0.001.
    count : int, optional
        Number of events per frame, instead of a duration.
    n_steps : int, optional
        Number of frames. Later events are ignored, and shorter recordings are extended with frames
        of ``padding``. By default the number of frames in the recording, or in the longest of
        several recordings.
    start : float, optional
        Start of the first frame, in seconds; earlier events are ignored. By default the time of the
        first event of each recording.
    height : float
        Value of an event: with ``1 / dt``, events are like the spikes of Nengo's neurons.
    flat : bool
        Whether a frame is a vector of shape (height * width * polarities,), for a Node, instead of
        an image.
    padding : float
        Value of the frames after the end of a shorter recording. With -1 and
        ``keras.layers.Masking(-1.0)``, layers that support masks ignore these frames.
    time_unit : float
        Unit of the times in seconds, by default microseconds.
    columns : str
        Order of the columns in an array without fields.
    dtype : str or numpy.dtype
        Type of the result.

    Returns
    -------
    numpy.ndarray
        Of shape (n_steps, height, width, polarities), or (n_steps, size) with ``flat``. For a list
        of recordings, the minibatch is an additional first axis.

    Raises
    ------
    ValueError, nengo.exceptions.ValidationError
        If times decrease, if positions are not on the sensor, if the array does not contain events,
        if both ``dt`` and ``count`` are given, or if the unit of the times cannot be right.

    Examples
    --------
    >>> events = np.array([(0, 1, 0, 1), (900, 1, 0, 1), (2500, 3, 2, 0)])  # t, x, y, p
    >>> frames = nengo_dl.events.to_frames(events, sensor_size=(4, 3, 2), dt=0.001)
    >>> frames.shape, frames[0, 0, 1, 1].item()  # two events at x=1, y=0 in the first millisecond
    ((3, 3, 4, 2), 2.0)
    """
    cutting = Cutting(sensor_size, dt, count, n_steps, start, time_unit, columns)
    if not isinstance(events, (list, tuple)):
        return cutting.frames([events], height, flat, padding, dtype)[0]
    return cutting.frames(list(events), height, flat, padding, dtype)


class Cutting:
    """How recordings are cut into frames; see `to_frames`."""

    def __init__(
        self,
        sensor_size: Any,
        dt: float | None,
        count: int | None,
        n_steps: int | None,
        start: float | None,
        time_unit: float,
        columns: str,
    ):
        if dt is not None and count is not None:
            raise ValueError(
                f"dt={dt} and count={count} were given: a frame has a duration or a number of "
                "events, so leave one of them out"
            )
        self.sensor_size = checked_size(sensor_size)
        self.dt = checked_duration("dt", 0.001 if dt is None else dt)
        self.count = None if count is None else checked_count("count", count)
        self.n_steps = None if n_steps is None else checked_count("n_steps", n_steps)
        self.start = None if start is None else checked_number("start", start)
        self.time_unit, self.columns = checked_duration("time_unit", time_unit), columns

    def frames(
        self, recordings: list, height: float, flat: bool, padding: float, dtype: Any
    ) -> np.ndarray:
        """(len(recordings), n_steps, ...)"""
        height, padding = checked_number("height", height), checked_number("padding", padding)
        found = [self._placed(recording) for recording in recordings]
        lengths = [length for _, _, length in found]
        n_steps = max(lengths, default=0) if self.n_steps is None else self.n_steps
        width, rows, polarities = self.sensor_size
        size = width * rows * polarities
        result = np.zeros((len(found), n_steps, size), dtype=dtype)
        for frames, (pixels, steps, length) in zip(result, found, strict=True):
            kept = steps < n_steps
            np.add.at(frames, (steps[kept], pixels[kept]), height)
            frames[length:] = padding
        if checked_flag("flat", flat):
            return result
        return result.reshape(len(found), n_steps, rows, width, polarities)

    def _placed(self, events: Any) -> tuple[np.ndarray, np.ndarray, int]:
        """Pixels and steps of the events of a recording, and its number of steps."""
        recording = read(events, self.sensor_size, self.time_unit, self.columns)
        seconds, pixels = recording.seconds, recording.pixels
        if not len(seconds):
            return pixels, pixels, 0
        since = (seconds - (seconds[0] if self.start is None else self.start)) / self.dt
        # times at the limit of a frame are in the one that begins, whatever they were rounded to
        steps = np.floor(since + 1e-6)
        later = steps >= 0
        steps, pixels = steps[later], pixels[later]
        if self.count is not None:
            steps = np.arange(len(steps)) // self.count
        elif self.n_steps is None and len(steps) and steps[-1] >= MOST_STEPS:
            raise ValueError(
                f"events: with time_unit={self.time_unit:g} s the recording lasts "
                f"{steps[-1] * self.dt:.3g} s, which is {steps[-1]:.3g} frames of dt={self.dt:g} "
                "s; give the time_unit of its times, a longer dt, or n_steps"
            )
        steps = np.minimum(steps, 2**62).astype(np.int64)
        return pixels, steps, int(steps[-1]) + 1 if len(steps) else 0


def checked_size(sensor_size: Any) -> tuple[int, int, int]:
    """Width, height and polarities of a sensor."""
    if not isinstance(sensor_size, (tuple, list)) or len(sensor_size) != 3:
        raise ValueError(
            f"sensor_size was given {sensor_size!r}; expected (width, height, polarities)"
        )
    width, height, polarities = (checked_count("sensor_size", n) for n in sensor_size)
    return width, height, polarities
