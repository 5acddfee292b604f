"""What each layer of a Keras model takes and gives while the model runs on examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from nengo_dl._private.keras import flattened

#: layers that move values, or leave them as they are: a spike stays one
_PASSES_ON = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Dropout,
    keras.layers.Identity,
)


@dataclass
class Use:
    """One of the places where a model calls a layer.

    Attributes
    ----------
    layer
        The layer.
    shape_in, shape_out
        Shapes of its input and its output in a call, without the batch.
    source
        The use whose output is the input, where that is the output of a layer as it is.
    items
        Inputs that it got for all examples: more than these where it is called for each step.
    active
        Sum over these of the shares of an input that were not zero.
    magnitudes, positives
        Sums over these of the outputs' absolute values, and of those that were positive.
    """

    layer: Any
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    source: Use | None
    items: int = 0
    active: float = 0.0
    magnitudes: Any = 0.0
    positives: Any = 0.0


@dataclass
class Recording:
    """The uses of a model's layers, in the order of the calls.

    Attributes
    ----------
    counted
        Says whether a layer is counted as it is, and not by the layers inside it.
    uses
        What was recorded.
    examples
        Number of examples.
    """

    counted: Callable[[Any], bool]
    uses: list[Use] = field(default_factory=list)
    examples: int = 0
    _place: int = 0
    _inside: bool = False
    # which use a tensor comes from; tensors are kept, so that no other one gets its id
    _sources: dict[int, tuple[Any, Use]] = field(default_factory=dict)

    def start_batch(self, size: int) -> None:
        """Go back to the first call."""
        self.examples += size
        self._place, self._sources = 0, {}

    def call(self, layer: Any, original: Callable, args: tuple, kwargs: dict) -> Any:
        """Call a layer, and take down what it gets and gives."""
        if self._inside:
            return original(*args, **kwargs)
        before = _first((args, kwargs))
        counted = self.counted(layer)
        if isinstance(layer, keras.layers.TimeDistributed):
            output = self._each_step(layer, *args, **kwargs)
        else:
            self._inside = counted
            output = original(*args, **kwargs)
            self._inside = False
        after = _first(output)
        if before is None or after is None:
            return output
        if counted:
            self._record(layer, before, after)
        if isinstance(layer, _PASSES_ON):
            self._pass_on(before, after)
        return output

    def _each_step(self, layer: Any, inputs: Any, **kwargs) -> Any:
        """Call the layer inside a TimeDistributed one for all steps, as items of a batch.

        Keras calls it with tensors that have no values.
        """
        batch_and_steps = tuple(_first(inputs).shape[:2])
        joined = keras.tree.map_structure(lambda x: ops.reshape(x, (-1, *x.shape[2:])), inputs)
        self._pass_on(_first(inputs), _first(joined))
        output = layer.layer(joined)
        split = keras.tree.map_structure(
            lambda x: ops.reshape(x, (*batch_and_steps, *x.shape[1:])), output
        )
        self._pass_on(_first(output), _first(split))
        return split

    def _pass_on(self, before: Any, after: Any) -> None:
        if id(before) in self._sources:
            self._sources[id(after)] = after, self._sources[id(before)][1]

    def _record(self, layer: Any, before: Any, after: Any) -> None:
        source = self._sources.get(id(before), (None, None))[1]
        time_major = getattr(layer, "time_major", False)
        x, y = (ops.convert_to_numpy(tensor) for tensor in (before, after))
        if time_major:
            x, y = x.swapaxes(0, 1), y.swapaxes(0, 1) if layer.return_sequences else y
        if self._place == len(self.uses):
            self.uses.append(Use(layer, x.shape[1:], y.shape[1:], source))
        use = self.uses[self._place]
        if use.layer is not layer:
            raise ValueError(
                f"the model calls {layer.name!r} for some examples where it calls "
                f"{use.layer.name!r} for others; give examples of one kind"
            )
        self._place += 1
        self._sources[id(after)] = after, use
        use.items += len(x)
        use.active += len(x) * float(np.mean(x != 0))
        use.magnitudes = use.magnitudes + np.sum(np.abs(y), axis=0, dtype=np.float64)
        use.positives = use.positives + np.sum(np.maximum(y, 0), axis=0, dtype=np.float64)


class _Runner(keras.Model):
    """Runs a model without compiling it, so that the layers have values."""

    def __init__(self, model: keras.Model, recording: Recording):
        super().__init__()
        self.model, self.recording = model, recording
        self.run_eagerly = True
        self.built = True

    def call(self, inputs, training=False):
        self.recording.start_batch(int(_first(inputs).shape[0]))
        return self.model(inputs, training=training)


def record(model: keras.Model, x: Any, counted: Callable[[Any], bool]) -> Recording:
    """Run a model on examples, as ``model.predict`` takes them, and take down its layers' uses."""
    recording = Recording(counted)
    runner = _Runner(model, recording)
    with _calls_of(model, recording):
        runner.predict(x, verbose=0)
    return recording


@contextmanager
def _calls_of(model: keras.Model, recording: Recording) -> Iterator[None]:
    """Let the calls of all layers of a model go through a recording."""
    layers = flattened(model, include_self=False)
    before = {layer: vars(layer).get("call") for layer in layers}
    for layer in layers:
        object.__setattr__(layer, "call", _Recorded(recording, layer, layer.call))
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")
            if before[layer] is not None:
                object.__setattr__(layer, "call", before[layer])


class _Recorded:
    """The ``call`` of a layer while it is recorded."""

    def __init__(self, recording: Recording, layer: Any, original: Callable):
        self.recording, self.layer, self.original = recording, layer, original

    def __call__(self, *args, **kwargs):
        return self.recording.call(self.layer, self.original, args, kwargs)


def _first(tensors: Any) -> Any:
    """The first tensor of a nest; None if there is none."""
    return next((t for t in keras.tree.flatten(tensors) if hasattr(t, "shape")), None)
