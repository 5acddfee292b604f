"""What the callbacks of one of several processes do, of which the first alone writes files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from nengo_dl.runtime.backends.protocol import Devices

#: write files and do nothing else
WRITERS = (
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
)


class Restore(keras.callbacks.Callback):
    """Goes on from what ``keras.callbacks.BackupAndRestore`` of the first process has written."""

    def __init__(self, backup: keras.callbacks.BackupAndRestore):
        super().__init__()
        self._backup = backup

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        self._backup.set_model(model)

    def on_train_begin(self, logs=None):
        self._backup.on_train_begin(logs)


def in_this_process(devices: Devices | None, callbacks: Iterable[Any]) -> dict[str, Any]:
    """Arguments of ``keras.Model.fit`` that are others in a process that is not the first."""
    if devices is None or devices.is_first_process:
        return {}
    kept = (callback for callback in callbacks if not isinstance(callback, WRITERS))
    restores = keras.callbacks.BackupAndRestore
    own = [Restore(callback) if isinstance(callback, restores) else callback for callback in kept]
    return {"callbacks": own, "verbose": 0}
