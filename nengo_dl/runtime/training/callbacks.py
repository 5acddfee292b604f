"""Keras callbacks: those of the user, which decide how many batches may run at once, and ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from nengo.exceptions import ValidationError

from nengo_dl import tuning
from nengo_dl._private.keras import sees_traces
from nengo_dl.runtime.backends.protocol import Backend, Devices
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.guards import DeferredInterrupt
from nengo_dl.runtime.simulation.processes import Watch

_TRAIN = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_TEST = ("on_test_batch_begin", "on_test_batch_end")
#: what Keras's own callbacks set where they do nothing at single batches
_BY_EPOCH = ("epoch", None, False)
#: write files and do nothing else
WRITERS = (
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.CSVLogger,
    keras.callbacks.TensorBoard,
)


def as_list(callbacks: Any) -> list:
    """Callbacks in a list."""
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    listed = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in listed:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise ValidationError(
                f"expected keras.callbacks.Callback objects, got {callback!r}", attr="callbacks"
            )
    return listed


def prediction_hooks(
    model: keras.Model, callbacks: Any, verbose: Any, steps: int | None
) -> keras.callbacks.CallbackList:
    """Keras callbacks for predictions."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    if verbose not in ("auto", None, 0, 1, 2):
        raise ValidationError(f"expected 'auto', 0, 1 or 2, got {verbose!r}", attr="verbose")
    shown = verbose not in (0, "auto", None)
    return keras.callbacks.CallbackList(
        as_list(callbacks),
        add_progbar=shown,
        verbose=int(shown) and verbose,
        epochs=1,
        steps=steps,
        model=model,
    )


# -- how many batches run at once ------------------------------------------------------------------


def batches_per_call(callbacks: Iterable[Any], n_batches: int | None) -> int:
    """The number of batches for one call.

    Parameters
    ----------
    callbacks
        Keras callbacks.
    n_batches
        Batches in an epoch, None where that is not known.
    """
    if n_batches is None or any(sees_batches(callback) for callback in callbacks):
        return 1
    if n_batches <= tuning.BATCHES_PER_CALL:
        return n_batches
    # Keras's progress bar counts whole calls, so it is right where they divide the epoch
    divisor = next(n for n in range(tuning.BATCHES_PER_CALL, 0, -1) if n_batches % n == 0)
    return divisor if divisor > tuning.BATCHES_PER_CALL // 3 else tuning.BATCHES_PER_CALL


def sees_batches(callback: Any) -> bool:
    """Whether a callback does something at each batch."""
    if isinstance(callback, keras.callbacks.CallbackList):
        return any(sees_batches(c) for c in callback.callbacks)
    return any(_is_active(callback, hook) for hook in (*_TRAIN, *_TEST))


def _is_active(callback: Any, hook: str) -> bool:
    if hook in getattr(callback, "__dict__", {}):  # keras.callbacks.LambdaCallback
        return True
    owner = next((cls for cls in type(callback).__mro__ if hook in vars(cls)), None)
    if owner is None or owner is keras.callbacks.Callback:
        return False
    if not owner.__module__.startswith("keras."):
        return True
    if isinstance(callback, keras.callbacks.ProgbarLogger):
        return False
    if isinstance(callback, keras.callbacks.TensorBoard):
        per_batch = sees_traces(callback) or callback.write_steps_per_second
        return callback.update_freq not in _BY_EPOCH or per_batch
    if hasattr(callback, "save_freq"):  # ModelCheckpoint, BackupAndRestore, OrbaxCheckpoint
        return callback.save_freq not in _BY_EPOCH
    return True


# -- our own ---------------------------------------------------------------------------------------


class Session(keras.callbacks.Callback):
    """What has to happen between the batches of every call."""

    def __init__(
        self, model: NengoModel, backend: Backend, interrupt: DeferredInterrupt, watch: Watch
    ):
        super().__init__()
        self._backend = backend
        #: what an interruption goes back to where the backend would lose the variables
        self.values = backend.variable_values(model)
        self._nengo_model, self._interrupt, self._watch = model, interrupt, watch
        self._first = model.state_values() if model.keep_state else {}
        self._training: dict | None = None
        self._is_fit = False

    def on_train_begin(self, logs=None):
        self._is_fit = True

    def on_epoch_end(self, epoch, logs=None):
        self.values = self._backend.variable_values(self._nengo_model)

    def on_train_batch_end(self, batch, logs=None):
        self._watch.well()
        self._interrupt.check()

    def on_test_batch_end(self, batch, logs=None):
        self._watch.well()
        self._interrupt.check()

    def on_test_begin(self, logs=None):
        """Validation starts where training started, with what was learned since, and training goes
        on where it was.
        """
        if self._is_fit and self._nengo_model.keep_state:
            self._training = self._nengo_model.state_values()
            self._nengo_model.set_state_values(self._first, keep_learned=True)

    def on_test_end(self, logs=None):
        if self._training is not None:
            self._nengo_model.set_state_values(self._training)
            self._training = None


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
