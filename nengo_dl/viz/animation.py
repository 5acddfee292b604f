"""Moving pictures: images, spikes of layers and outputs, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.optional import installed
from nengo_dl.runtime.checks import checked_count
from nengo_dl.viz import style
from nengo_dl.viz.recording import Recording, recording

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes

#: up to this many values without a shape are bars; more are a square of dots
MAX_BARS = 64


def animate(
    data: Any,
    panels: Mapping[str, Any],
    *,
    item: int = 0,
    dt: float = 0.001,
    every: int = 1,
    fps: int = 20,
    path: str | Path | None = None,
) -> FuncAnimation:
    """Show values over time, each panel as an image or as bars.

    Parameters
    ----------
    data, item, dt
        See `recording`; an array in ``panels`` needs no ``data``, which may be None.
    panels
        Title -> Probe (or array, as in `recording`), or (Probe, shape). The shape is
        ``(height, width)``, or ``(height, width, channels)`` with channels drawn side by side.
        Without a shape, up to 64 values are drawn as bars, with the largest highlighted, and more
        as a square.
    every
        Number of samples per frame. A frame shows their mean, so a spike in a single step is
        fainter but not lost.
    fps
        Frames per second.
    path
        File in which to save the animation as a GIF; by default it is not saved. In a notebook,
        ``IPython.display.HTML(animation.to_jshtml())`` displays it.

    Returns
    -------
    matplotlib.animation.FuncAnimation

    Raises
    ------
    nengo.exceptions.ValidationError
        If shapes do not match, if recordings differ in length, and for all errors of `recording`.

    Examples
    --------
    Of a simulator: ``animate(sim, {"image": (given, (28, 28)), "output": probe})``. Of arrays:

    >>> images = np.random.RandomState(0).uniform(size=(10, 64))
    >>> panels = {"image": (images, (8, 8)), "scores": images[:, :5]}
    >>> nengo_dl.viz.animate(None, panels, every=5, path="digits.gif")
    <matplotlib.animation.FuncAnimation object at ...>
    """
    with installed("viz"):
        from matplotlib import pyplot
    from matplotlib.animation import FuncAnimation, PillowWriter

    every, fps = checked_count("every", every), checked_count("fps", fps)
    if not isinstance(panels, Mapping) or not panels:
        raise ValidationError(
            f"expected a dict of title -> Probe or array, got {panels!r}", attr="panels"
        )
    found = {title: _frames(data, title, what, item, dt, every) for title, what in panels.items()}
    lengths = {title: len(frames) for title, (_, frames) in found.items()}
    if len(set(lengths.values())) > 1:
        raise ValidationError(
            f"all panels need the same number of samples; they have, in frames, {lengths}",
            attr="panels",
        )
    figure, axes = pyplot.subplots(
        1, len(found), figsize=(3.2 * len(found), 3.4), layout="constrained", squeeze=False
    )
    updates = [
        _draw(ax, title, frames)
        for ax, (title, (_, frames)) in zip(axes.flat, found.items(), strict=True)
    ]
    times = next(iter(found.values()))[0].times[every - 1 :: every]
    heading = figure.suptitle(f"{times[0]:.3f} s", fontsize=10)

    def show(frame: int) -> None:
        heading.set_text(f"{times[frame]:.3f} s")
        for update in updates:
            update(frame)

    figure.canvas.draw()
    figure.set_layout_engine("none")  # it would be computed again for each frame
    n_frames = next(iter(lengths.values()))
    animation = FuncAnimation(figure, show, frames=n_frames, interval=1000 / fps)
    if path is not None:
        animation.save(str(path), writer=PillowWriter(fps=fps), dpi=80)
        pyplot.close(figure)
    return animation


def _frames(data, title: str, what: Any, item: int, dt: float, every: int):
    """The recording of a panel, and its frames: (n_frames, n) or (n_frames, height, width)."""
    source, shape = what if isinstance(what, tuple) else (what, None)
    is_array = isinstance(source, (np.ndarray, list, Recording))
    rec = (
        recording(source, item=item, dt=dt)
        if is_array
        else recording(data, source, item=item, dt=dt)
    )
    n_frames, size = len(rec.values) // every, rec.values.shape[1]
    if n_frames == 0:
        raise ValidationError(
            f"every={every} is more than the {len(rec.values)} samples of panel {title!r}",
            attr="every",
        )
    values = rec.values[: n_frames * every].reshape(n_frames, every, size).mean(axis=1)
    if shape is None:
        return rec, values if size <= MAX_BARS else _square(values)
    if len(shape) not in (2, 3) or np.prod(shape) != size:
        raise ValidationError(
            f"panel {title!r} has {size} values and the shape {shape}; expected (height, width) or "
            "(height, width, channels) of as many",
            attr="panels",
        )
    return rec, tiled(values.reshape(n_frames, *shape))


def _square(values: np.ndarray) -> np.ndarray:
    n_frames, size = values.shape
    side = int(np.ceil(np.sqrt(size)))
    result = np.full((n_frames, side * side), np.nan)
    result[:, :size] = values
    return result.reshape(n_frames, side, side)


def tiled(images: np.ndarray) -> np.ndarray:
    """Channels of images, (n, height, width, channels), side by side with a gap of one pixel:
    (n, height', width').
    """
    if images.ndim == 3:
        return images
    n, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(channels)))
    rows = -(-channels // columns)
    result = np.full((n, rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i in range(channels):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        result[:, top : top + height, left : left + width] = images[..., i]
    return result


def _draw(ax: Axes, title: str, frames: np.ndarray):
    """Draw the first frame; returns what shows another."""
    ax.set_title(title, loc="left", fontsize=10)
    if frames.ndim == 2:
        return _draw_bars(ax, frames)
    low, high = min(0.0, np.nanmin(frames)), np.nanpercentile(frames, 99.8)
    image = ax.imshow(frames[0], cmap="gray_r", vmin=low, vmax=max(high, low + 1e-9))
    ax.set_facecolor("#dbe4ee")  # gaps
    ax.set_xticks([])
    ax.set_yticks([])
    return lambda frame: image.set_data(frames[frame])


def _draw_bars(ax: Axes, frames: np.ndarray):
    bars = ax.bar(np.arange(frames.shape[1]), frames[0], color=style.COLORS[5])
    low, high = min(0.0, frames.min()), max(0.0, frames.max())
    ax.set_ylim(low - 0.05 * (high - low) * (low < 0), high + 0.05 * (high - low) + 1e-9)
    style.integer_ticks(ax.xaxis)
    if frames.shape[1] <= 12:
        ax.set_xticks(np.arange(frames.shape[1]))
    style.tidy(ax)

    def show(frame: int) -> None:
        largest = np.argmax(frames[frame])
        for i, (bar, value) in enumerate(zip(bars, frames[frame], strict=True)):
            bar.set_height(value)
            bar.set_color(style.COLORS[1 if i == largest else 5])

    show(0)
    return show
