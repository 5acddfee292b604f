"""Many recordings as batches for `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from nengo_dl.events.frames import to_frames
from nengo_dl.runtime.checks import checked_count, checked_flag, checked_seed


class EventDataset(keras.utils.PyDataset):
    """Recordings of events as batches of frames, which are computed when they are needed.

    It can be passed to ``fit``, ``evaluate`` and ``predict`` of a Keras model or a
    `nengo_dl.Simulator`. For the latter, set ``flat=True`` and ``batch_size=minibatch_size``.

    Parameters
    ----------
    recordings : sequence
        Recordings as in `to_frames`, or pairs of a recording and its label, as in a dataset of
        ``tonic``: any object with a length whose items can be accessed by their index.
    labels : array_like, optional
        A label for each recording, of shape (n, ...), if the items are not pairs. Without any
        labels, batches have no targets. For a simulator, targets have the shape (n, steps, size).
    sensor_size : tuple of int
        (width, height, polarities).
    batch_size : int
        Number of recordings in a batch; the last batch may have fewer.
    shuffle : bool
        Whether each epoch uses a new order.
    seed : int, optional
        Seed of the orders.
    workers, use_multiprocessing, max_queue_size
        As in ``keras.utils.PyDataset``.
    **frames
        As in `to_frames`: ``dt``, ``n_steps``, ``flat``, ``padding``, ... Without ``n_steps``, a
        batch is as long as its longest recording, and each new length is compiled separately.

    Raises
    ------
    ValueError
        If there are no recordings, or if the number of labels differs; also all errors of
        `to_frames`.

    Examples
    --------
    >>> recordings = nengo_dl.events.from_images(np.random.rand(6, 8, 8))
    >>> data = nengo_dl.events.EventDataset(
    ...     recordings, [0, 1, 0, 1, 0, 1], sensor_size=(8, 8, 2), batch_size=3, dt=0.01, n_steps=10
    ... )
    >>> x, y = data[0]
    >>> len(data), x.shape, y.shape
    (2, (3, 10, 8, 8, 2), (3,))
    """

    def __init__(
        self,
        recordings: Sequence,
        labels: Any = None,
        *,
        sensor_size: tuple[int, int, int],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int | None = None,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
        **frames: Any,
    ):
        super().__init__(workers, use_multiprocessing, max_queue_size)
        self.recordings, self.batch_size = recordings, checked_count("batch_size", batch_size)
        if not len(recordings):
            raise ValueError("recordings: there are none")
        self.labels = None if labels is None else np.asarray(labels)
        if self.labels is not None and self.labels.shape[:1] != (len(recordings),):
            raise ValueError(
                f"labels: an array of shape {self.labels.shape} for {len(recordings)} recordings; "
                "expected one label for each"
            )
        self.shuffle = checked_flag("shuffle", shuffle)
        self._frames = {"sensor_size": sensor_size, **frames}
        self._to_frames([])  # what cannot be is said now, not in a thread that reads batches
        self._rng = np.random.RandomState(checked_seed(seed))
        self._order = np.arange(len(recordings))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.recordings) // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        items = [self.recordings[int(i)] for i in chosen]
        if self.labels is not None:
            return self._to_frames(items), self.labels[chosen]
        if all(isinstance(item, tuple) and len(item) == 2 for item in items):
            recordings, labels = zip(*items, strict=True)
            return self._to_frames(list(recordings)), np.asarray(labels)
        return self._to_frames(items)

    def _to_frames(self, recordings: list) -> np.ndarray:
        return to_frames(recordings, **self._frames)

    def on_epoch_end(self) -> None:
        """Choose the order of the next epoch."""
        if self.shuffle:
            self._rng.shuffle(self._order)
