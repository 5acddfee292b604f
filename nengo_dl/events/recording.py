"""One recording of events, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: names of what an event has: its time, where it was, and its polarity
FIELDS = "txyp"


@dataclass(frozen=True)
class Recording:
    """Events of one recording, in the order of their times.

    Attributes
    ----------
    seconds
        Times, (n,).
    pixels
        Index of each event in a frame of shape (height, width, polarities), (n,).
    """

    seconds: np.ndarray
    pixels: np.ndarray


def read(
    events: Any, sensor_size: tuple[int, int, int], time_unit: float, columns: str
) -> Recording:
    """A recording of a structured array, or of one with a column for each of ``columns``.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or its events are not in order, or not on the sensor.
    """
    fields = _fields(events, columns)
    width, height, polarities = sensor_size
    t, x, p = (np.asarray(fields[name]) for name in "txp")
    # recordings of sound have one line only, and no y
    y = np.asarray(fields["y"]) if "y" in fields else np.zeros_like(x)
    if not np.all(np.isfinite(t)):
        raise ValueError("events: some times are not finite")
    # of unsigned integers, differences would be too
    back = np.flatnonzero(t[1:] < t[:-1])
    if len(back):
        i = int(back[0])
        raise ValueError(
            f"events: the time of event {i + 1}, {t[i + 1]}, is before that of event {i}, {t[i]}; "
            "sort them, for example by events[np.argsort(events['t'], kind='stable')]"
        )
    x, y = _checked("x", x, width, sensor_size), _checked("y", y, height, sensor_size)
    p = _checked("p", p, polarities, sensor_size)
    return Recording(t * float(time_unit), (y * width + x) * polarities + p)


def _fields(events: Any, columns: str) -> dict[str, np.ndarray]:
    """The values of events by the name of the field."""
    array = np.asarray(events)
    names = array.dtype.names
    if names is not None:
        missing = [name for name in "txp" if name not in names]
        if missing or array.ndim != 1:
            raise ValueError(
                f"events: an array of shape {array.shape} with the fields {', '.join(names)}; "
                "expected one of shape (n,) with t, x, p, and y if there is more than one line"
            )
        return {name: array[name] for name in FIELDS if name in names}
    if sorted(columns) not in (sorted(FIELDS), sorted("txp")):
        raise ValueError(
            f"columns was given {columns!r}; expected the letters t, x, y, p in the order of the "
            'columns, e.g. "txyp" (without y if there is one line only)'
        )
    if array.ndim != 2 or array.shape[1] != len(columns) or array.dtype.kind not in "biuf":
        raise ValueError(
            f"events: an array of shape {array.shape} and type {array.dtype}; expected a "
            f"structured array, or numbers of shape (n, {len(columns)}), with the columns "
            f"{', '.join(columns)}"
        )
    return {name: array[:, i] for i, name in enumerate(columns)}


def _checked(name: str, values: np.ndarray, size: int, sensor_size: tuple) -> np.ndarray:
    """Places on an axis of the sensor, as integers."""
    outside = ~((values >= 0) & (values < size) & (values == np.trunc(values)))
    if np.any(outside):
        i = int(np.argmax(outside))
        advice = ""
        if name == "p" and values[i] == -1:
            advice = "; for polarities of -1 and 1, set events['p'] to events['p'] > 0"
        raise ValueError(
            f"events: event {i} has {name}={values[i]}; expected an integer from 0 to {size - 1}, "
            f"for sensor_size={sensor_size}, (width, height, polarities){advice}"
        )
    return values.astype(np.int64)
