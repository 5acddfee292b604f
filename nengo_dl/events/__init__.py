"""Recordings of events (t, x, y, p), as of event cameras, to data for ``fit`` and ``predict``."""

from nengo_dl.events.dataset import EventDataset
from nengo_dl.events.frames import to_frames
from nengo_dl.events.images import from_images

__all__ = ["EventDataset", "from_images", "to_frames"]
