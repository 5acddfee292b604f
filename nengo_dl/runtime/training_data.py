"""Data for training and evaluation, in every form that Keras takes, brought into dicts of arrays
by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from nengo import Node, Probe
from nengo.exceptions import ValidationError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime import feeds
from nengo_dl.runtime.batches import NamedDataset, is_batches, is_tensorflow_dataset, iterated
from nengo_dl.runtime.engine import Engine, State
from nengo_dl.runtime.keras_model import NengoModel
from nengo_dl.runtime.targets import Arrays, Targets, in_precision, is_given


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
        self.targets = Targets(keras_model, probes, names)

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
        if not is_given(x) and n_steps is None:
            n_steps = self.targets.steps_of(y)
        inputs, n_steps = self.examples(x, n_steps, start.state, start.stateful, minibatch)
        targets = self.targets.prepare(y, len(next(iter(inputs.values()))), n_steps)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValidationError(
                    "class_weight and sample_weight cannot be given together", attr="class_weight"
                )
            sample_weight = self.targets.class_weights(targets, class_weight)
        return Examples(inputs, targets, self.targets.sample_weights(sample_weight, targets))

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
        return {
            name: in_precision(v, self.model.compute_dtype) for name, v in result.items()
        }, n_steps

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

    # -- batches that come one by one --------------------------------------------------------------

    def batches(self, data: Any, start: Start) -> Any:
        """A generator, PyDataset or tf.data.Dataset whose batches Keras can take."""
        if is_tensorflow_dataset(data):
            from nengo_dl.runtime.tensorflow_data import named

            return named(data, self, start)
        if isinstance(data, keras.utils.PyDataset):
            return NamedDataset(data, lambda batch, i: self.batch(batch, start, i))
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
        for batch in iterated(x) if is_batches(x) else (x,):
            inputs = feeds.unpacked(batch)[0] if is_batches(x) else batch
            inputs, given = feeds.split_steps(inputs, n_steps)
            rows = feeds.by_input(inputs, self.inputs, self.node_names, "x")
            given = feeds.check_steps(rows, given, "x")
            size = feeds.check_batch(list(rows.values()), self.minibatch_size, "x")
            for start in range(0, size or self.minibatch_size, self.minibatch_size):
                stop = start + self.minibatch_size
                yield {item: values[start:stop] for item, values in rows.items()}, given


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
