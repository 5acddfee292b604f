"""Comparison of a converted network with the Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.converter import lookup, probing
from nengo_dl.converter.graph import Graph, Value
from nengo_dl.converter.linear import array
from nengo_dl.converter.parts import Conversion
from nengo_dl.simulator import Simulator

#: items and, in temporal models, steps of random inputs
N_ITEMS, N_STEPS = 4, 7
#: step size of the gradient descent that compares training
LEARNING_RATE = 0.01


def verify(converter: Conversion, training: bool, inputs: Any, atol: float, rtol: float) -> bool:
    """See `Converter.verify`."""
    graph = converter.graph
    if inputs is None:
        arrays = random_inputs(graph)
    else:
        arrays = lookup.input_arrays(graph, inputs, "inputs")
    comparison = _Comparison(converter, arrays, atol, rtol)
    if comparison.differs(training):
        raise ValidationError(comparison.explain(training), attr="verify", obj=None)
    return True


def random_inputs(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    """Random values for the inputs of a model."""
    rng = np.random.RandomState(seed)
    arrays = []
    for value in graph.inputs:
        shape = (N_ITEMS, *((value.tensor.shape[1] or N_STEPS,) if value.temporal else ()))
        shape = (*shape, *value.shape)
        if "int" in value.tensor.dtype:
            arrays.append(rng.randint(0, 2, size=shape))
        else:
            arrays.append(rng.uniform(-1, 1, size=shape).astype(np.float32))
    return arrays


class _Comparison:
    """Both sides on the same inputs, before or after a step of training."""

    def __init__(
        self, converter: Conversion, arrays: Sequence[np.ndarray], atol: float, rtol: float
    ):
        self.converter, self.graph = converter, converter.graph
        self.arrays, self.atol, self.rtol = list(arrays), atol, rtol
        self.is_trainable = bool(converter.model.trainable_variables)
        self.data = probing.input_data(converter, arrays)
        rng = np.random.RandomState(1)
        steps = next((len(rows[0]) for rows in self.data.values()), None)
        #: of the outputs, in Keras's shapes
        self.targets = [
            rng.uniform(
                -1, 1, size=(len(arrays[0]), *((steps,) if v.temporal else ()), *v.shape)
            ).astype(np.float32)
            for v in self.graph.outputs
        ]

    def differs(self, training: bool) -> bool:
        """Whether an output differs."""
        return self._first_difference(list(dict.fromkeys(self.graph.outputs)), training) is not None

    def explain(self, training: bool) -> str:
        """Where the first difference is."""
        values = [value for call in self.graph.calls for value in call.outputs]
        found = self._first_difference(values, training)
        if found is None:
            return (
                "the output of the network differs from the model's, but no layer's does: "
                "is there a synapse on the output?"
            )
        value, largest, size = found
        when = " after a step of training" if training else ""
        name = lookup.name_of(self.graph, value)
        hint = (
            "the layers before it agree. Spiking neurons, synapses and swapped activations are "
            "differences that are meant to be"
        )
        return (
            f"the output of layer {name!r} differs from Keras's{when}: by up to {largest:.2e}, "
            f"where its largest value is {size:.2e} (atol={self.atol:g}, rtol={self.rtol:g}); "
            + hint
        )

    def _first_difference(self, values: list[Value], training: bool):
        expected, actual = self._both(values, training)
        for value in values:
            size = float(np.max(np.abs(expected[value]), initial=0))
            error = np.abs(expected[value] - actual[value])
            largest = float(np.max(error, initial=0))
            if not largest <= self.atol + self.rtol * size:  # not a number is a difference
                return value, largest, size
        return None

    def _both(self, values: list[Value], training: bool):
        """Value -> array (batch, steps or 1, size), by Keras and by Nengo."""
        weights = [array(v) for v in self.converter.model.variables]
        try:
            if training and self.is_trainable:
                self._train_keras()
            expected = {v: self._rows(v, x) for v, x in self.graph.evaluate(self.arrays).items()}
        finally:
            for variable, before in zip(self.converter.model.variables, weights, strict=True):
                variable.assign(before)
        objects = [self.converter.objects[value] for value in values]
        net, size = self.converter.net, len(self.arrays[0])
        with probing.uncompiled(net), probing.probes(net, objects) as probes:
            with Simulator(net, minibatch_size=size, progress_bar=False) as sim:
                if training and self.is_trainable:
                    self._train_nengo(sim)
                output = sim.predict(self.data)
        actual = {}
        for value, probe in zip(values, probes, strict=True):
            rows = output[probe]
            actual[value] = rows if value.temporal else rows[:, -1:]
        return expected, actual

    def _rows(self, value: Value, array: np.ndarray) -> np.ndarray:
        n_steps = array.shape[1] if value.temporal else 1
        return np.asarray(array, dtype=np.float64).reshape(len(array), n_steps, -1)

    def _train_keras(self) -> None:
        # a model of its own, so that how the user compiled theirs stays as it is
        model = keras.Model(self.converter.model.inputs, self.converter.model.outputs)
        # a single step is not worth compiling
        optimizer = keras.optimizers.SGD(LEARNING_RATE)
        model.compile(optimizer=optimizer, loss="mse", run_eagerly=True)
        model.train_on_batch(self.arrays, self.targets)

    def _train_nengo(self, sim: Simulator) -> None:
        probes = [self.converter.outputs[value.tensor] for value in self.graph.outputs]
        targets = {
            probe: self._rows(value, target)
            for probe, value, target in zip(probes, self.graph.outputs, self.targets, strict=True)
        }
        loss = dict.fromkeys(targets, "mse")
        sim.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss=loss, jit_compile=False)
        sim.train_on_batch(self.data, targets)
