"""How many batches one call of a compiled function may run: one where a callback looks at each
batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from nengo_dl import tuning
from nengo_dl._private.keras import sees_traces

_TRAIN = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_TEST = ("on_test_batch_begin", "on_test_batch_end")
#: what Keras's own callbacks set where they do nothing at single batches
_BY_EPOCH = ("epoch", None, False)


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
