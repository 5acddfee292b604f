"""Where gradients go: which parameters can be trained, and a numeric check of the gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.exceptions import SimulationError

from nengo_dl.compiler.dataflow import Dataflow, tensors_of
from nengo_dl.compiler.layout import Assemble, Run
from nengo_dl.runtime.backends.protocol import Backend
from nengo_dl.runtime.sequences.keras_model import NengoModel


class GradientPaths:
    """Follows the values of a compiled network from its parameters to outputs, through as many
    steps as it takes.

    Parameters
    ----------
    flow
        That of the network.
    outputs
        Numbers of the outputs that a loss looks at.
    """

    def __init__(self, flow: Dataflow, outputs: Iterable[int]):
        layout = flow.layout
        self.layout, self.flow = layout, flow
        self.parameters = frozenset(s.tensor.index for s in layout.of_kind("parameter"))
        self.wanted = tensors_of(layout.outputs[k] for k in outputs)

    def _is_differentiable(self, number: int) -> bool:
        instruction = self.layout.instructions[number]
        return isinstance(instruction, Assemble) or instruction.kernel.differentiable

    def without_gradient(self) -> bool:
        """Whether no gradient reaches any parameter."""
        return self.wanted.isdisjoint(self.flow.reached(self.parameters, self._is_differentiable))

    def blocking(self, with_inputs: bool = False) -> list[str]:
        """Descriptions of the operators that run on the host between a parameter, or an input, and
        an output.
        """
        flow = self.flow
        inputs = {t.index for t in self.layout.inputs.values()} if with_inputs else set()
        from_parameters = flow.reached(self.parameters | inputs, lambda _: True)
        to_outputs = flow.reached(self.wanted, lambda _: True, backwards=True)
        return [
            _describe(op)
            for number, instruction in enumerate(self.layout.instructions)
            if isinstance(instruction, Run) and not instruction.kernel.differentiable
            if flow.reads[number] & from_parameters and flow.makes[number] & to_outputs
            for op in instruction.group.operators
        ]


def _describe(op: Any) -> str:
    sources = ", ".join(sig.name for sig in (*op.sets, *op.incs, *op.updates)[:1])
    return f"{type(op).__name__} that computes {sources}"


#: differences are taken at distances of these powers of the precision, the best one first: a large
#: distance shows the curvature, a small one the rounding
_DISTANCES = (1 / 3, 5 / 12, 1 / 2, 1 / 4)
_N_DIRECTIONS = 3


class GradientCheck:
    """Compares the gradients of the backend with differences of the outputs.

    What is differentiated is the sum of the outputs, each weighted with a random number, so that
    all of a network is compared by one gradient for each parameter and input, along random
    directions. An output has a derivative on either side; where these differ, because a neuron has
    its threshold there or because of rounding, whatever lies between them is right.

    Parameters
    ----------
    model
        The network.
    inputs
        Values of the Nodes by name, (minibatch_size, n_steps, size).
    outputs
        Names of the probes to look at.
    atol, rtol
        Allowed absolute and relative difference. The outputs of each probe are divided by the
        largest one.
    training
        Whether the network computes as it does in training.
    """

    def __init__(
        self,
        model: NengoModel,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        atol: float,
        rtol: float,
        training: bool = True,
    ):
        self.model, self.outputs, self.training = model, tuple(outputs), training
        self.atol, self.rtol = atol, rtol
        self.variables = list(model.trainable_variables)
        rows = {**_constant_rows(model, inputs), **inputs}
        self.inputs = {name: rows[name] for name in model.network_inputs if name in rows}
        #: what else a call takes: the number of steps, where no Node has an input
        self.steps = {name: rows[name] for name in rows if name not in self.inputs}
        names = [v.path or v.name for v in self.variables]
        #: values of what is differentiated, by name: parameters, then inputs
        self.point: dict[str, Any] = dict(
            zip(names, (ops.copy(v.value) for v in self.variables), strict=True)
        )
        for name, values in self.inputs.items():
            self.point[f"input of {name!r}"] = ops.convert_to_tensor(
                values, dtype=model.compute_dtype
            )
        dtypes = {keras.backend.standardize_dtype(t.dtype) for t in self.point.values()}
        dtypes |= {model.compute_dtype, model.lowered.settings.half} - {None}
        self.eps = max(map(_precision, dtypes))
        self.rng = np.random.RandomState(0)
        self.weights: list[np.ndarray] = []

    def run(self, backend: Backend) -> None:
        """Compare, or say that there was nothing to compare.

        Raises
        ------
        nengo.exceptions.SimulationError
            If values are not finite, or gradients differ by more than
            ``atol + rtol * |numeric gradient|`` and what the precision allows.
        """
        chosen, self.model.active_outputs = self.model.active_outputs, self.outputs
        try:
            self._run(backend)
        finally:
            self.model.active_outputs = chosen

    def _run(self, backend: Backend) -> None:
        compiled = backend.compiled_for(self._call, list(self.point.values()), None)

        def values(point: Iterable[Any]) -> list[np.ndarray]:
            return [_float64(value) for value in compiled(list(point))]

        here = values(self.point.values())
        for name, value in zip(self.outputs, here, strict=True):
            if not np.all(np.isfinite(value)):
                raise SimulationError(f"the output of Probe {name!r} is NaN or infinite")
            largest = np.max(np.abs(value), initial=0.0)
            self.weights.append(self.rng.randn(*value.shape) / (largest if largest > 0 else 1.0))
        if self.model.lowered.settings.surrogate is not None:
            return _nothing("the setting `surrogate` replaces the derivative of spikes on purpose")
        again = values(self.point.values())
        if not all(map(np.array_equal, here, again)):
            return _nothing("the outputs are others at each call, because of random numbers")
        weights = [ops.cast(w, self.model.compute_dtype) for w in self.weights]

        def loss(point):
            outputs = self._call(point)
            return sum(ops.sum(w * value) for w, value in zip(weights, outputs, strict=True))

        def change(name: str, step: np.ndarray) -> float:
            moved = ops.convert_to_numpy(self.point[name]) + step
            value = ops.cast(moved, self.point[name].dtype)
            there = values({**self.point, name: value}.values())
            terms = zip(self.weights, there, here, strict=True)
            return sum(float(np.sum(w * (after - before))) for w, after, before in terms)

        compared = False
        gradients = backend.gradients(loss, list(self.point.values()))
        for name, gradient in zip(self.point, gradients, strict=True):
            value = np.zeros(()) if gradient is None else _float64(gradient)
            if not np.all(np.isfinite(value)):
                raise SimulationError(f"the gradient of the {name} is NaN or infinite")
            for _ in range(_N_DIRECTIONS):
                compared |= self._compare(name, value, partial(change, name))
        if not compared:
            _nothing("no output depends on a parameter or an input")

    def _call(self, point: Sequence[Any]) -> list[Any]:
        """The outputs, with other values of what is differentiated."""
        n = len(self.variables)
        mapping = list(zip(self.variables, point[:n], strict=True))
        inputs = {**self.steps, **dict(zip(self.inputs, point[n:], strict=True))}
        with keras.StatelessScope(state_mapping=mapping):
            result = self.model(inputs, training=self.training)
        return [result[name] for name in self.outputs]

    def _compare(self, name: str, gradient: np.ndarray, change: Callable) -> bool:
        """Compare along one direction; returns whether anything changes there.

        ``change(step)`` is by how much the weighted sum changes.
        """
        value = _float64(self.point[name])
        # small values take small steps: one threshold nearby is enough to hide all else
        sizes = np.maximum(np.abs(value), 1e-2 * max(np.abs(value).max(initial=0.0), 0.1))
        direction = self.rng.randn(*value.shape) * sizes
        terms = gradient * direction
        symbolic, rounding = float(np.sum(terms)), 30 * self.eps * float(np.sum(np.abs(terms)))
        best: tuple[float, float] = (np.inf, np.nan)
        for power in _DISTANCES:
            distance = self.eps**power
            forward = change(distance * direction) / distance
            backward = -change(-distance * direction) / distance
            numeric, gap = (forward + backward) / 2, abs(forward - backward) / 2
            if abs(symbolic - numeric) <= self.atol + self.rtol * abs(numeric) + gap + rounding:
                return symbolic != 0 or numeric != 0
            if gap < best[0]:
                best = (gap, numeric)
        gap, numeric = best
        if not np.isfinite(gap):  # there are no values nearby, on one side at least
            return False
        raise SimulationError(
            f"the gradient of the {name} along a random direction is {symbolic:g}, but finite "
            f"differences give {numeric:g} (within {gap:.2g}); {self._cause()}"
        )

    def _cause(self) -> str:
        outputs = map(self.model.network_outputs.index, self.outputs)
        paths = GradientPaths(self.model.lowered.flow, outputs)
        blocking = paths.blocking(with_inputs=True)
        if blocking:
            return f"no gradient passes through Python code ({'; '.join(blocking)})"
        return "this is a bug in a lowering or in a TensorNode, or a discontinuity nearby"


def _constant_rows(model: NengoModel, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Values of the Nodes whose output is an array, (minibatch_size, n_steps, size)."""
    n_steps = next(iter(inputs.values())).shape[1]
    return {
        name: np.broadcast_to(
            np.ravel(item.signal.initial_value),
            (model.minibatch_size, n_steps, item.signal.size),
        )
        for name, item in model.network_inputs.items()
        if item.operator is None
    }


def _float64(values: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(values), dtype=np.float64)


def _precision(dtype: str) -> float:
    return 2.0**-7 if dtype == "bfloat16" else float(np.finfo(dtype).eps)


def _nothing(reason: str) -> None:
    warnings.warn(f"check_gradients() compared nothing: {reason}", stacklevel=5)
