"""The functions that Keras compiled for a model, kept for the next time that they are wanted."""

from __future__ import annotations

from typing import Any

from nengo_dl.runtime.sequences.keras_model import NengoModel

#: the attributes with compiled functions
FUNCTIONS = ("train_function", "test_function", "predict_function")
#: attributes of the model on which all of them depend
SETTINGS = ("steps_per_execution", "keep_state", "jit_compile", "in_blocks")


class CompiledFunctions:
    """Changes settings of a model without compiling anything twice."""

    def __init__(self, model: NengoModel):
        self._model = model
        self._kept: dict[tuple, Any] = {}

    def configure(self, **settings: Any) -> None:
        """Set attributes of the model, and give it the functions that were compiled for them."""
        model = self._model
        if all(getattr(model, name) == value for name, value in settings.items()):
            return
        for function in FUNCTIONS:
            self._kept[self._key(function)] = getattr(model, function)
        for name, value in settings.items():
            setattr(model, name, value)
        for function in FUNCTIONS:
            setattr(model, function, self._kept.get(self._key(function)))

    def _key(self, function: str) -> tuple:
        """What a compiled function depends on."""
        return (function, *(getattr(self._model, name) for name in SETTINGS))

    def clear(self) -> None:
        """Forget all of them: losses or metrics have changed."""
        self._kept.clear()

    def release(self) -> None:
        """Forget all of them, those in use too; Keras makes them anew."""
        self.clear()
        for function in FUNCTIONS:
            setattr(self._model, function, None)
