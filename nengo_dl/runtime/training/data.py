"""Data for training and evaluation, in every form that Keras takes, brought into dicts of arrays
by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil
from typing import Any

import keras
import numpy as np
from nengo import Node
from nengo.exceptions import ValidationError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime.inputs import feeds
from nengo_dl.runtime.inputs.names import Endpoints
from nengo_dl.runtime.inputs.sources import OwnRows
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.batches import (
    NamedDataset,
    is_batches,
    is_tensorflow_dataset,
    iterated,
)
from nengo_dl.runtime.training.targets import Arrays, Targets, in_precision, is_given, listed


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

    def count_steps(self) -> int:
        """The number of steps of the inputs."""
        return next(iter(self.x.values())).shape[1]

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
    endpoints
        Its Nodes and Probes.
    """

    def __init__(self, keras_model: NengoModel, engine: Engine, endpoints: Endpoints):
        self.model, self.engine, self.inputs = keras_model, engine, endpoints.inputs
        self.minibatch_size = keras_model.minibatch_size
        self.node_names = {node: endpoints.names[node] for node in endpoints.inputs}
        self.targets = Targets(keras_model, endpoints)
        #: whether to warn of inputs that are NaN; False again once that was done
        self.warns_of_nan = False

    # -- arrays ------------------------------------------------------------------------------------

    def examples(
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
        x, n_steps = feeds.split_steps(x, start.n_steps)
        n_items = None
        if not is_given(x):
            n_items = self.targets.items_of(y)
            n_steps = self.targets.steps_of(y) if n_steps is None else n_steps
        inputs, n_steps = self.named_inputs(
            x, n_steps, start.state, start.stateful, minibatch, n_items
        )
        if self.warns_of_nan:
            self._look_for_nan(inputs)
        n_items = len(next(iter(inputs.values())))
        if self.model.devices is not None:
            self.model.devices.check_items(n_items % self.minibatch_size)
        targets = self.targets.arrays(y, n_items, n_steps)
        if class_weight is not None:
            if sample_weight is not None:
                raise ValidationError(
                    "class_weight and sample_weight cannot be given together", attr="class_weight"
                )
            sample_weight = self.targets.class_weights(targets, class_weight)
        return Examples(inputs, targets, self.targets.sample_weights(sample_weight, targets))

    def named_inputs(
        self,
        x: Any,
        n_steps: int | None,
        state: State,
        stateful: bool = False,
        minibatch: int = 0,
        n_items: int | None = None,
    ) -> tuple[Arrays, int]:
        """Inputs for all Nodes by name, (batch, n_steps, size), and the number of steps.

        Nodes for which ``x`` has nothing get the rows of their own output from ``state`` on; where
        no Node has data there are ``n_items``.
        """
        rows, n_steps, batch = feeds.of_examples(x, self.inputs, self.node_names, n_steps)
        batch = batch or n_items or self.minibatch_size
        if stateful:
            feeds.check_stateful(batch, self.minibatch_size)
        start = Start(state, n_steps, stateful)
        own_rows = OwnRows(self.engine.sources, rows)
        result = {self._input_names[item]: values for item, values in rows.items()}
        if own_rows.inputs:
            n_batches = batch // self.minibatch_size if stateful else 1
            first_steps = [start.first_step(minibatch + i, n_steps) for i in range(n_batches)]
            result |= self._own_rows(own_rows, first_steps, n_steps, batch)
        if not result:
            result[feeds.N_STEPS] = np.zeros((batch, n_steps, 1))
        return {
            name: in_precision(v, self.model.compute_dtype) for name, v in result.items()
        }, n_steps

    def _look_for_nan(self, inputs: Arrays) -> None:
        bad = [name for name, values in inputs.items() if np.isnan(float(values.min()))]
        if bad:
            self.warns_of_nan = False
            warnings.warn(
                f"the data for {listed('Node', bad)} contains NaN, which would make the loss and "
                "all trained parameters NaN. Only unknown targets may be NaN, with the loss "
                "nengo_dl.losses.nan_mse",
                stacklevel=5,
            )

    def given_nodes(self, x: Any) -> dict[Node, Any]:
        """The values of ``x`` by Node."""
        return feeds.by_node(x, self.inputs, self.node_names, "x")

    @property
    def _input_names(self) -> dict[Input, str]:
        return {item: name for name, item in self.model.network_inputs.items()}

    def _own_rows(
        self, own_rows: OwnRows, first_steps: Sequence[int], n_steps: int, n_items: int
    ) -> Arrays:
        """The Nodes' own output for minibatches that start at ``first_steps``, again and again."""
        made = [own_rows(first_step, n_steps) for first_step in first_steps]
        size = self.minibatch_size
        repeats = ceil(n_items / size / len(made))
        result = {}
        for item in own_rows.inputs:
            joined = [np.broadcast_to(rows[item], (size, *rows[item].shape[1:])) for rows in made]
            tiled = np.tile(np.concatenate(joined), (repeats, 1, 1))
            result[self._input_names[item]] = tiled[:n_items]
        return result

    # -- batches that come one by one --------------------------------------------------------------

    def batches(
        self, data: Any, start: Start, argument: str = "x"
    ) -> tuple[Any, Callable[[], int]]:
        """A generator, PyDataset or tf.data.Dataset whose batches Keras can take; and what gives
        the number of steps of the first batch.

        Raises
        ------
        nengo.exceptions.ValidationError
            If there are no batches, or the first does not fit the network.
        """
        if is_tensorflow_dataset(data):
            from nengo_dl.runtime.training.tensorflow_data import named

            return named(data, self, start, argument)
        if isinstance(data, keras.utils.PyDataset):
            if data.num_batches == 0:
                raise no_batches(data, argument)
            named_data = NamedDataset(data, lambda batch, i: self.batch(batch, start, i).as_tuple())
            return named_data, lambda: self.batch(data[0], start).count_steps()
        generated = self._generated(iter(data), start)
        first = next(generated, None)
        if first is None:
            raise no_batches(data, argument)
        return (examples.as_tuple() for examples in chain([first], generated)), first.count_steps

    def _generated(self, data: Iterator, start: Start) -> Iterator[Examples]:
        for i, batch in enumerate(data):
            yield self.batch(batch, start, i)

    def batch(self, batch: Any, start: Start, number: int = 0) -> Examples:
        """One minibatch from a user's iterable."""
        x, y, weights = feeds.unpacked(batch)
        examples = self.examples(x, y, start, weights, minibatch=number)
        self.check_one_batch(examples)
        return examples

    def check_one_batch(self, examples: Examples) -> None:
        """A batch may have fewer items than a minibatch, but no more."""
        if len(examples) > self.minibatch_size:
            raise ValidationError(
                f"got a batch of {len(examples)} items; expected at most {self.minibatch_size}, "
                "the simulator's minibatch_size",
                attr="x",
            )

    def minibatches(
        self, x: Any, n_steps: int | None, stateful: bool = False
    ) -> Iterator[tuple[dict[Input, Any], int, int]]:
        """Inputs by Node, the number of steps and of items, minibatch by minibatch, for
        `nengo_dl.Simulator.predict`. Where there are fewer items than in a minibatch, the last is
        there several times.
        """
        size, n_batches = self.minibatch_size, 0
        for batch in iterated(x) if is_batches(x) else (x,):
            n_batches += 1
            inputs = feeds.unpacked(batch)[0] if is_batches(x) else batch
            inputs, given = feeds.split_steps(inputs, n_steps)
            rows, given, n_items = feeds.of_examples(inputs, self.inputs, self.node_names, given)
            n_items = n_items or size
            if stateful:
                feeds.check_stateful(n_items, size)
            for start in range(0, n_items, size):
                own = {i: feeds.first_padded(v[start:], size) for i, v in rows.items()}
                yield own, given, min(size, n_items - start)
        if n_batches == 0:
            raise no_batches(x, "x")

    def batches_of(
        self, data: Any, y: Any, start: Start, *weights: Any
    ) -> tuple[tuple, Callable[[], int]]:
        """What Keras is given, and what gives the number of steps of the first batch."""
        if y is not None or any(w is not None for w in weights):
            raise ValidationError(
                f"targets and weights have to come in the batches of a {type(data).__name__}, as "
                "tuples "
                "(x, y) or (x, y, sample_weight), and not as arguments",
                attr="y",
            )
        batches, count = self.batches(data, start)
        return (batches,), count

    def validation(self, data: Any, start: Start) -> Any:
        """What Keras is given for validation."""
        if data is None:
            return None
        start = Start(start.state, start.n_steps)
        if is_batches(data):
            return self.batches(data, start, "validation_data")[0]
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValidationError(
                f"got {type(data).__name__}; expected (x, y) or (x, y, sample_weight), or a "
                "generator "
                "or dataset of such batches",
                attr="validation_data",
            )
        x, y, *weights = data
        return self.examples(x, y, start, *weights).as_tuple()


def no_batches(data: Any, argument: str) -> ValidationError:
    """The error for a generator or dataset that is empty, or was used before."""
    return ValidationError(
        f"the {type(data).__name__} has no batches; a generator gives its batches only once",
        attr=argument,
    )


def split(
    examples: Examples, fraction: float, minibatch_size: int, stateful: bool = False
) -> tuple[Examples, Examples]:
    """The first examples for training, and a ``fraction``, the last ones, for validation: as many
    as Keras takes, or where each minibatch goes on from the one before, about so many minibatches.
    """
    unit = minibatch_size if stateful else 1
    n = len(examples) // unit
    if not 0 < fraction < 1 or n < 2:
        what = f"minibatches of {minibatch_size} items" if stateful else "items"
        raise ValidationError(
            f"cannot split off a fraction of {fraction} of {len(examples)} items; it has to be "
            f"between 0 and 1, and there have to be at least two {what}",
            attr="validation_split",
        )
    exact = n * (1 - fraction)
    cut = unit * int(np.clip(round(exact) if stateful else np.floor(exact), 1, n - 1))
    return examples[:cut], examples[cut:]
