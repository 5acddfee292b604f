"""Events of images that move in front of a camera."""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_dl.runtime.checks import checked_duration, checked_number

#: what the datasets of ``tonic`` have, in another order
DTYPE = np.dtype([("t", "<i8"), ("x", "<i8"), ("y", "<i8"), ("p", "<i8")])


def from_images(
    images: Any,
    duration: float = 0.1,
    *,
    threshold: float = 0.2,
    path: Any = None,
    time_unit: float = 1e-6,
) -> list[np.ndarray]:
    """Simulate the events of a camera in front of which images move, as in N-MNIST.

    A pixel emits an event each time its brightness has changed by ``threshold`` since its last
    event: with p = 1 if it got brighter, otherwise with p = 0 (Lichtsteiner et al., 2008, "A 128 x
    128 120 dB 15 us latency asynchronous temporal contrast vision sensor"). The surroundings of an
    image are dark.

    Parameters
    ----------
    images : array_like
        Brightness, (n, height, width).
    duration : float
        Time in seconds in which the images move along the path once.
    threshold : float
        Change in brightness that causes an event.
    path : array_like, optional
        Displacements in pixels, to the right and down, at evenly spaced times, of shape (n_times,
        2). Images jump from one to the next, so the path should have many points. By default a
        triangle, as in N-MNIST (Orchard et al., 2015, "Converting static image datasets to spiking
        neuromorphic datasets using saccades"), with sides of 2 pixels.
    time_unit : float
        Unit of the times in seconds, by default microseconds.

    Returns
    -------
    list of numpy.ndarray
        For each image, a structured array with the fields t, x, y, p, sorted by time. The sensor
        has the size ``sensor_size=(width, height, 2)``.

    Raises
    ------
    ValueError
        If images or the path have a wrong shape, or if values are not finite.

    Examples
    --------
    >>> images = np.zeros((1, 5, 5))
    >>> images[0, 2, 2] = 1  # a bright dot
    >>> (events,) = nengo_dl.events.from_images(images, path=[(0, 0), (1, 0)], threshold=0.5)
    >>> [tuple(map(int, event)) for event in events]  # t, x, y, p
    [(50000, 2, 2, 0), (50000, 3, 2, 1), (100000, 2, 2, 0), (100000, 3, 2, 1)]
    """
    images = np.asarray(images, dtype=float)
    if images.ndim != 3 or not np.all(np.isfinite(images)):
        raise ValueError(
            f"images: an array of shape {images.shape}; expected finite values of shape "
            "(n, height, width)"
        )
    path = _triangle() if path is None else np.asarray(path, dtype=float)
    if path.ndim != 2 or path.shape[1] != 2 or len(path) < 2 or not np.all(np.isfinite(path)):
        raise ValueError(
            f"path: an array of shape {path.shape}; expected finite values of shape (n_times, 2), "
            "at least two of them"
        )
    threshold = checked_number("threshold", threshold)
    if threshold <= 0:
        raise ValueError(f"threshold was given {threshold}; expected a positive number")
    step = checked_duration("duration", duration) / (len(path) - 1)
    step /= checked_duration("time_unit", time_unit)
    found = _changes(images, path, threshold)
    order = np.lexsort((found["time"], found["image"]))
    events = np.empty(len(order), dtype=DTYPE)
    events["t"] = np.round(step * found["time"][order])
    for name in "xyp":
        events[name] = found[name][order]
    ends = np.cumsum(np.bincount(found["image"], minlength=len(images)))
    return [events[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def _triangle(side: float = 2.0, times: int = 61) -> np.ndarray:
    """Along the sides of a triangle and back, (times, 2)."""
    corners = side * np.array([(0, 0), (0.5, 1), (1, 0), (0, 0)])
    at = np.linspace(0, 3, times)
    return np.stack([np.interp(at, np.arange(4), corners[:, axis]) for axis in (0, 1)], axis=1)


def _changes(images: np.ndarray, path: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """The events of all images; times are in steps of the path."""
    level = before = _moved(images, path[0])
    found: dict[str, list] = {name: [] for name in ("image", "time", "x", "y", "p")}
    for k, displacement in enumerate(path[1:]):
        now = _moved(images, displacement)
        sign = np.sign(now - level)
        # brightness that changes by just the threshold is rounded to one side or the other
        n_events = np.floor(np.abs(now - level) / threshold + 1e-9).astype(int)
        at = np.nonzero(n_events)
        repeats = n_events[at]
        each = [np.repeat(values, repeats) for values in (*at, sign[at], level[at], before[at])]
        image, y, x, direction, from_level, from_value = each
        number = np.arange(len(image)) - np.repeat(np.cumsum(repeats) - repeats, repeats) + 1
        reached = from_level + direction * threshold * number
        share = (reached - from_value) / (now[image, y, x] - from_value)
        parts = (image, k + np.clip(share, 0, 1), x, y, direction > 0)
        for name, values in zip(found, parts, strict=True):
            found[name].append(values)
        level, before = level + sign * n_events * threshold, now
    return {name: np.concatenate(values) for name, values in found.items()}


def _moved(images: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Images that are so many pixels to the right and down, interpolated between pixels."""
    x, y = displacement
    result = images
    for axis, distance in ((2, x), (1, y)):
        whole = int(np.floor(distance))
        share = distance - whole
        result = (1 - share) * _shifted(result, axis, whole) + share * _shifted(
            result, axis, whole + 1
        )
    return result


def _shifted(images: np.ndarray, axis: int, pixels: int) -> np.ndarray:
    """Images that are so many whole pixels further along an axis."""
    size = images.shape[axis]
    pixels = int(np.clip(pixels, -size, size))
    padding = [(0, 0)] * images.ndim
    padding[axis] = (max(pixels, 0), max(-pixels, 0))
    kept = [slice(None)] * images.ndim
    kept[axis] = slice(0, size) if pixels >= 0 else slice(-pixels, size - pixels)
    return np.pad(images, padding)[tuple(kept)]
