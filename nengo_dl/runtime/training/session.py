"""One call of ``fit``, ``evaluate`` or ``train_on_batch``, as Keras tells of it."""

from __future__ import annotations

import keras

from nengo_dl.runtime.backends.protocol import Backend
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.guards import DeferredInterrupt
from nengo_dl.runtime.simulation.processes import Watch


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
