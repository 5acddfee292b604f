"""Data for training and evaluation, in every form that Keras takes, brought into dicts of arrays
by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from nengo import Node, Probe
from nengo.exceptions import ValidationError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime import feeds
from nengo_dl.runtime.engine import Engine, State
from nengo_dl.runtime.keras_model import NengoModel

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Start:
    """From where on the Nodes give their own output.

    Attributes
    ----------
    state
        The state in which the first minibatch starts.
    n_steps
        Number of steps, or None: that of the data.
    stateful
        Whether each minibatch goes on where the one before ended.
    """

    state: State
    n_steps: int | None
    stateful: bool = False

    def first_step(self, minibatch: int, n_steps: int) -> int:
        """The first step of a minibatch."""
        return self.state.n_steps + 1 + (minibatch * n_steps if self.stateful else 0)


@dataclass(frozen=True)
class Examples:
    """Inputs by Node, targets and weights by Probe; each array starts with the batch."""

    x: Arrays
    y: Arrays
    sample_weight: Arrays | None = None

    def __len__(self) -> int:
        return len(next(iter(self.x.values())))

    def __getitem__(self, items: slice) -> Examples:
        weights = self.sample_weight
        return Examples(
            {name: values[items] for name, values in self.x.items()},
            {name: values[items] for name, values in self.y.items()},
            None if weights is None else {name: v[items] for name, v in weights.items()},
        )

    def as_tuple(self) -> tuple:
        """As Keras takes it."""
        return (self.x, self.y, *(() if self.sample_weight is None else (self.sample_weight,)))


class TrainingData:
    """Checks data and gives it the names and types of the Keras model.

    Parameters
    ----------
    keras_model
        The network.
    engine
        Gives the rows of Nodes for which there is no data.
    inputs
        The Nodes for which data can be given.
    probes
        The probes in the order of the network's outputs.
    names
        The names of Nodes and Probes.
    """

    def __init__(
        self,
        keras_model: NengoModel,
        engine: Engine,
        inputs: Mapping[Node, Input],
        probes: Sequence[Probe],
        names: Mapping[Node | Probe, str],
    ):
        self.model, self.engine, self.inputs = keras_model, engine, inputs
        self.minibatch_size = keras_model.minibatch_size
        self.node_names = {node: names[node] for node in inputs}
        self.probe_names = {probe: names[probe] for probe in probes}
        self.sizes = {names[probe]: probe.size_in for probe in probes}
        #: names of the probes whose targets may have any size, because of their loss
        self.any_size: frozenset[str] = frozenset()

    # -- arrays ------------------------------------------------------------------------------------

    def prepare(
        self,
        x: Any,
        y: Any,
        start: Start,
        sample_weight: Any = None,
        class_weight: Any = None,
        minibatch: int = 0,
    ) -> Examples:
        """Arrays for all minibatches, of which the first is number ``minibatch``.

        Raises
        ------
        nengo.exceptions.ValidationError
            For what does not fit the network, or does not fit together.
        """
        n_steps = start.n_steps
        if not _is_given(x) and n_steps is None:
            n_steps = self._steps_of(y)
        inputs, n_steps = self.examples(x, n_steps, start.state, start.stateful, minibatch)
        targets = self.targets(y, len(next(iter(inputs.values()))), n_steps)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValidationError(
                    "class_weight and sample_weight cannot be given together", attr="class_weight"
                )
            sample_weight = self._class_weights(targets, class_weight)
        return Examples(inputs, targets, self._sample_weights(sample_weight, targets))

    def examples(
        self,
        x: Any,
        n_steps: int | None,
        state: State,
        stateful: bool = False,
        minibatch: int = 0,
    ) -> tuple[Arrays, int]:
        """Inputs for all Nodes by name, (batch, n_steps, size), and the number of steps.

        Nodes for which ``x`` has nothing get the rows of their own output from ``state`` on.
        """
        rows = feeds.by_input(x, self.inputs, self.node_names, "x")
        n_steps = feeds.check_steps(rows, n_steps, "x")
        batch = feeds.check_batch(list(rows.values()), self.minibatch_size, "x")
        batch = batch or self.minibatch_size
        start = Start(state, n_steps, stateful)
        own = [
            self._own_rows(rows, start.first_step(minibatch + i, n_steps), n_steps)
            for i in range(batch // self.minibatch_size if stateful else 1)
        ]
        repeats = batch // self.minibatch_size // len(own)
        result = {self._input_names[item]: values for item, values in rows.items()}
        for name in own[0]:
            joined = np.concatenate([minibatch[name] for minibatch in own])
            result[name] = np.tile(joined, (repeats, 1, 1))
        if not result:
            result[feeds.N_STEPS] = np.zeros((batch, n_steps, 1))
        return {name: self._in_precision(v) for name, v in result.items()}, n_steps

    def given_nodes(self, x: Any) -> dict[Node, Any]:
        """The values of ``x`` by Node."""
        return feeds.by_node(x, self.inputs, self.node_names, "x")

    @property
    def _input_names(self) -> dict[Input, str]:
        return {item: name for name, item in self.model.network_inputs.items()}

    def _own_rows(self, given: Any, first_step: int, n_steps: int) -> Arrays:
        """One minibatch of the Nodes' own output, of those that change and are not in ``given``."""
        result = {}
        for item, source in self.engine.sources.items():
            if item in given or source.constant:
                continue
            values = source.rows(first_step, n_steps)
            values = np.broadcast_to(values, (self.minibatch_size, *values.shape[1:]))
            result[self._input_names[item]] = values
        return result

    def _steps_of(self, y: Any) -> int | None:
        """The number of steps of the targets of a probe that keeps all steps."""
        if not _is_given(y):
            return None
        kept = self._kept()
        for name, values in self.by_probe(y, "y").items():
            shape = np.shape(values)
            if kept[name] and len(shape) == 3:
                return shape[1]
        return None

    def _kept(self) -> dict[str, bool]:
        return dict(zip(self.model.network_outputs, self.model.kept, strict=True))

    def targets(self, y: Any, batch: int, n_steps: int, argument: str = "y") -> Arrays:
        """Targets by name of the probe, for each probe that has a loss or a metric."""
        active = self.model.active_outputs
        if not _is_given(y):
            raise ValidationError(
                f"there are no targets; they are needed for {_listed('Probe', active)}, "
                "which have a loss or metric",
                attr=argument,
            )
        targets = {n: feeds.array_of(v) for n, v in self.by_probe(y, argument).items()}
        missing = [name for name in active if name not in targets]
        if missing:
            raise ValidationError(
                f"there are no targets for {_listed('Probe', missing)}, which have a loss or "
                "metric; give targets, or leave them out of compile",
                attr=argument,
            )
        for name in active:
            self._check_target(name, targets[name].shape, batch, n_steps, argument)
        return {name: self._as_computed(targets[name]) for name in active}

    def _as_computed(self, values: np.ndarray) -> np.ndarray:
        """Floating point numbers in the precision of the network; class numbers stay integers."""
        return values if values.dtype.kind != "f" else self._in_precision(values)

    def _in_precision(self, values: Any) -> Any:
        """In the precision of the network; an array that has it stays where it is."""
        dtype = self.model.compute_dtype
        return values if values.dtype == dtype else np.asarray(values, dtype=dtype)

    def _check_target(self, name: str, shape, batch: int, n_steps: int, argument: str) -> None:
        what = f"the targets of Probe {name!r}"
        kept = self._kept()[name]
        expected = (batch, n_steps if kept else 1, self.sizes[name])
        if len(shape) != 3:
            raise ValidationError(
                f"{what} have shape {tuple(shape)}; expected three dimensions, "
                f"(batch, n_steps, size), here {expected}",
                attr=argument,
            )
        if shape[0] != expected[0]:
            raise ValidationError(
                f"{what} have batch size {shape[0]} but the inputs {batch}; give one target "
                "for each input",
                attr=argument,
            )
        if shape[1] != expected[1]:
            raise ValidationError(
                f"{what} have {shape[1]} steps; expected {expected[1]}"
                + ("" if kept else ", the last one only, because of keep_history=False"),
                attr=argument,
            )
        if shape[2] != expected[2] and name not in self.any_size:
            raise ValidationError(
                f"{what} have {shape[2]} values a step (shape {tuple(shape)}); the size of the "
                f"Probe is {expected[2]}, expected shape {expected}",
                attr=argument,
            )

    def by_probe(self, y: Any, argument: str) -> dict[str, Any]:
        """From a dict by Probe or name, a list in the order of the probes with a loss, or one
        value.
        """
        if isinstance(y, Mapping):
            return {self.probe_name(key, argument): value for key, value in y.items()}
        active = self.model.active_outputs
        values = feeds.as_list(y)
        if len(values) != len(active):
            raise ValidationError(
                f"{len(values)} arrays were given for {len(active)} probes with a loss or metric "
                f"({', '.join(active)}); give one for each, or a dict",
                attr=argument,
            )
        return dict(zip(active, values, strict=True))

    def probe_name(self, key: Any, argument: str) -> str:
        """The name of a Probe, given by itself or by its name."""
        names = list(self.probe_names.values())
        name = key if isinstance(key, str) else self.probe_names.get(key)
        if name not in names:
            known = ", ".join(repr(n) for n in names) or "none"
            raise ValidationError(
                f"{key!r} is not a Probe of this network; those are {known}", attr=argument
            )
        return name

    # -- weights -----------------------------------------------------------------------------------

    def _sample_weights(self, weights: Any, targets: Arrays) -> Arrays | None:
        """Weights by name of the probe, of shape (batch, 1) or (batch, n_steps)."""
        if weights is None:
            return None
        if not isinstance(weights, Mapping) and (
            not isinstance(weights, (list, tuple)) or np.ndim(weights[0]) == 0
        ):
            weights = dict.fromkeys(targets, weights)
        by_name = self.by_probe(weights, "sample_weight")
        batch = len(next(iter(targets.values())))
        result = {name: np.ones((batch, 1), dtype=np.float32) for name in targets}
        for name in targets:
            if name in by_name:
                result[name] = _checked_weights(by_name[name], targets[name], name)
        return result

    def _class_weights(self, targets: Arrays, class_weight: Mapping[int, float]) -> Arrays:
        """The weight of each target's class."""
        if len(targets) != 1:
            raise ValidationError(
                "class_weight can be used with one probe that has a loss or metric, but there are "
                f"{len(targets)} ({', '.join(targets)}); use sample_weight",
                attr="class_weight",
            )
        ((name, y),) = targets.items()
        classes = np.argmax(y, axis=-1) if y.shape[-1] > 1 else np.round(y[..., 0]).astype(int)
        weights = np.ones(classes.shape, dtype=np.float32)
        for number, weight in class_weight.items():
            weights[classes == number] = weight
        return {name: weights}

    # -- batches that come one by one --------------------------------------------------------------

    def batches(self, data: Any, start: Start) -> Any:
        """A generator, PyDataset or tf.data.Dataset whose batches Keras can take."""
        if is_tensorflow_dataset(data):
            from nengo_dl.runtime.tensorflow_data import named

            return named(data, self, start)
        if isinstance(data, keras.utils.PyDataset):
            return _NamedDataset(data, lambda batch, i: self.batch(batch, start, i))
        return self._generated(iter(data), start)

    def _generated(self, data: Iterator, start: Start) -> Iterator[tuple]:
        for i, batch in enumerate(data):
            yield self.batch(batch, start, i)

    def batch(self, batch: Any, start: Start, number: int = 0) -> tuple:
        """One minibatch from a user's iterable."""
        x, y, weights = feeds.unpacked(batch)
        x, n_steps = feeds.split_steps(x, start.n_steps)
        start = Start(start.state, n_steps, start.stateful)
        examples = self.prepare(x, y, start, weights, minibatch=number)
        if len(examples) != self.minibatch_size:
            raise ValidationError(
                f"a batch has {len(examples)} items; expected {self.minibatch_size}, the "
                "simulator's "
                "minibatch_size",
                attr="x",
            )
        return examples.as_tuple()

    def minibatches(self, x: Any, n_steps: int | None) -> Iterator[tuple[dict[Input, Any], int]]:
        """Inputs by Node and the number of steps, minibatch by minibatch, for
        `nengo_dl.Simulator.predict`.
        """
        for batch in _iterated(x) if is_batches(x) else (x,):
            inputs = feeds.unpacked(batch)[0] if is_batches(x) else batch
            inputs, given = feeds.split_steps(inputs, n_steps)
            rows = feeds.by_input(inputs, self.inputs, self.node_names, "x")
            given = feeds.check_steps(rows, given, "x")
            size = feeds.check_batch(list(rows.values()), self.minibatch_size, "x")
            for start in range(0, size or self.minibatch_size, self.minibatch_size):
                stop = start + self.minibatch_size
                yield {item: values[start:stop] for item, values in rows.items()}, given


def _iterated(data: Any) -> Iterator:
    if isinstance(data, keras.utils.PyDataset):
        return (data[i] for i in range(data.num_batches))
    return data.as_numpy_iterator() if is_tensorflow_dataset(data) else data


class _NamedDataset(keras.utils.PyDataset):
    """A PyDataset whose batches are checked and named."""

    def __init__(self, data: keras.utils.PyDataset, convert: Callable[[Any, int], tuple]):
        super().__init__(
            workers=data.workers,
            use_multiprocessing=data.use_multiprocessing,
            max_queue_size=data.max_queue_size,
        )
        self.data, self.convert = data, convert

    @property
    def num_batches(self):
        return self.data.num_batches

    def __getitem__(self, index: int) -> tuple:
        return self.convert(self.data[index], index)

    def on_epoch_begin(self):
        self.data.on_epoch_begin()

    def on_epoch_end(self):
        self.data.on_epoch_end()


def is_batches(data: Any) -> bool:
    """Whether data comes in batches of its own: a generator, a PyDataset or a tf.data.Dataset."""
    return isinstance(data, (keras.utils.PyDataset, Iterator)) or is_tensorflow_dataset(data)


def is_tensorflow_dataset(data: Any) -> bool:
    """Whether data is a tf.data.Dataset, without importing TensorFlow to know."""
    return any(
        cls.__name__ == "DatasetV2" and cls.__module__.startswith("tensorflow.")
        for cls in type(data).__mro__
    )


def number_of_batches(data: Any) -> int | None:
    """The number of batches where it is known."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    if is_tensorflow_dataset(data):
        n = int(data.cardinality())
        return n if n > 0 else None
    return None


def split(examples: Examples, fraction: float, minibatch_size: int) -> tuple[Examples, Examples]:
    """The first examples for training, and about a ``fraction``, the last ones, for validation.

    Both are a multiple of the minibatch size, and at least one minibatch.
    """
    n_batches = len(examples) // minibatch_size
    if not 0 < fraction < 1 or n_batches < 2:
        raise ValidationError(
            f"cannot split off a fraction of {fraction} of {len(examples)} items; it has to be "
            "between "
            f"0 and 1, and there have to be at least two minibatches of {minibatch_size} items",
            attr="validation_split",
        )
    n_validation = int(np.clip(round(n_batches * fraction), 1, n_batches - 1))
    cut = (n_batches - n_validation) * minibatch_size
    return examples[:cut], examples[cut:]


def _is_given(data: Any) -> bool:
    return data is not None and not (isinstance(data, (Mapping, list, tuple)) and len(data) == 0)


def _checked_weights(weights: Any, targets: np.ndarray, name: str) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float32)
    batch, n_steps = targets.shape[:2]
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.shape not in ((batch, 1), (batch, n_steps)):
        raise ValidationError(
            f"the sample weights of Probe {name!r} have shape {weights.shape}; expected "
            f"({batch},) or "
            f"({batch}, {n_steps}), one for each item, or for each step of each item",
            attr="sample_weight",
        )
    return weights


def _listed(kind: str, names: Sequence[str]) -> str:
    plural = "" if len(names) == 1 else "s"
    return f"{kind}{plural} " + ", ".join(repr(name) for name in names)
