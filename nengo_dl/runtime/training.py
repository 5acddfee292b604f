"""Training and evaluation of a simulator's Keras model: what Keras is given, and what comes back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from nengo import Node, Probe
from nengo.exceptions import SimulationError, ValidationError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime import feeds
from nengo_dl.runtime.engine import Engine, State
from nengo_dl.runtime.gradients import GradientPaths
from nengo_dl.runtime.keras_model import NengoModel
from nengo_dl.runtime.step import tensor_name

#: batches in one call of the compiled function, where no callback asks for each one
STEPS_PER_EXECUTION = 25


class Training:
    """Drives ``keras.Model.compile``, ``fit`` and ``evaluate`` for a simulator.

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
        self.model, self.engine = keras_model, engine
        self.inputs, self.probes, self.names = inputs, probes, names
        self.minibatch_size = keras_model.minibatch_size
        self._user_steps_per_execution: int | None = None

    # -- compile -----------------------------------------------------------------------------------

    def compile(self, optimizer, loss, metrics, loss_weights, jit_compile, **kwargs) -> None:
        """As ``keras.Model.compile``; dicts may be keyed by Probe."""
        chosen = {
            "loss": self._by_probe(loss, "loss"),
            "metrics": self._by_probe(metrics, "metrics"),
            "loss_weights": self._by_probe(loss_weights, "loss_weights"),
        }
        active = [
            self.names[probe]
            for probe in self.probes
            if any(self.names[probe] in (c or ()) for c in (chosen["loss"], chosen["metrics"]))
        ]
        self.model.active_outputs = tuple(active)
        self.model.output_names = sorted(active)
        loss = chosen["loss"]
        if loss is not None:
            loss = {name: loss.get(name) for name in active}
        metrics = chosen["metrics"]
        if metrics is not None:
            metrics = {name: metrics[name] for name in active if name in metrics}
        weights = chosen["loss_weights"]
        if weights is not None:
            weights = {name: weights.get(name, 1.0) for name in active}
        with self.engine.scope():
            self.model.compile(
                optimizer=optimizer,
                loss=loss,
                metrics=metrics,
                loss_weights=weights,
                jit_compile=True if jit_compile is None else jit_compile,
                **kwargs,
            )
        self._user_steps_per_execution = kwargs.get("steps_per_execution")

    def _by_probe(self, value: Any, argument: str) -> dict[str, Any] | None:
        """One value for all probes, a list in their order, or a dict by Probe or name -> dict by name."""
        if value is None:
            return None
        all_names = [self.names[probe] for probe in self.probes]
        if isinstance(value, Mapping):
            return {self._probe_name(key, argument): v for key, v in value.items()}
        # a flat list of metrics is for each probe; a list of losses is in the order of the probes
        if isinstance(value, (list, tuple)) and not (
            argument == "metrics" and not any(isinstance(v, (list, tuple)) for v in value)
        ):
            if len(value) != len(all_names):
                raise ValidationError(
                    f"{len(value)} values were given for {len(all_names)} probes; give one for each, "
                    "one for all, or a dict",
                    attr=argument,
                )
            return dict(zip(all_names, value, strict=True))
        if argument == "metrics":
            return {name: value for name in all_names}
        return dict.fromkeys(all_names, value)

    def _probe_name(self, key: Any, argument: str) -> str:
        names = [self.names[probe] for probe in self.probes]
        name = key if isinstance(key, str) else (self.names.get(key) if _hashable(key) else None)
        if name not in names:
            known = ", ".join(repr(n) for n in names) or "none"
            raise ValidationError(
                f"{key!r} is not a Probe of this network; those are {known}", attr=argument
            )
        return name

    # -- data --------------------------------------------------------------------------------------

    def examples(self, x: Any, n_steps: int | None, state: State) -> tuple[dict, int]:
        """Inputs for all Nodes by name, (batch, n_steps, size), and the number of steps.

        Nodes for which ``x`` has nothing get the rows of their own output from ``state`` on.
        """
        rows = feeds.by_input(x, self.inputs, self.node_names(), "x")
        n_steps = feeds.check_steps(rows, n_steps, "x")
        batch = feeds.check_batch(list(rows.values()), self.minibatch_size, "x")
        batch = batch or self.minibatch_size
        names = {item: name for name, item in self.model.network_inputs.items()}
        result = {names[item]: values for item, values in rows.items()}
        for item, source in self.engine.sources.items():
            if item in rows or source.constant:
                continue
            values = source.rows(state.n_steps + 1, n_steps)
            values = np.broadcast_to(values, (self.minibatch_size, *values.shape[1:]))
            result[names[item]] = np.tile(values, (batch // self.minibatch_size, 1, 1))
        if not result:
            # Keras learns the number of items and steps from its inputs
            result["n_steps"] = np.zeros((batch, n_steps, 1))
        dtype = self.model.compute_dtype
        return {name: np.asarray(v, dtype=dtype) for name, v in result.items()}, n_steps

    def node_names(self) -> dict[Node, str]:
        """The names of the Nodes that take data."""
        return {node: self.names[node] for node in self.inputs}

    def targets(self, y: Any, argument: str = "y") -> dict[str, np.ndarray]:
        """Targets by name of the probe, for each probe that has a loss or a metric."""
        active = self.model.active_outputs
        if y is None:
            raise ValidationError("targets are needed for a probe with a loss or metric", attr=argument)
        if not isinstance(y, Mapping):
            arrays = list(y) if isinstance(y, (list, tuple)) else [y]
            if len(arrays) != len(active):
                raise ValidationError(
                    f"{len(arrays)} arrays were given for {len(active)} probes with a loss or metric",
                    attr=argument,
                )
            y = dict(zip(active, arrays, strict=True))
        targets = {self._probe_name(key, argument): np.asarray(v) for key, v in y.items()}
        missing = [name for name in active if name not in targets]
        if missing:
            raise ValidationError(
                f"there are no targets for the probes {', '.join(missing)}, which have a loss or metric",
                attr=argument,
            )
        for name in active:
            if targets[name].ndim != 3:
                raise ValidationError(
                    f"the targets of Probe {name!r} have shape {targets[name].shape}; expected three "
                    "dimensions, (batch, n_steps, size)",
                    attr=argument,
                )
        return {name: targets[name] for name in active}

    def check_pair(self, x: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray], n_steps: int):
        """Inputs and targets have to agree in batch and steps."""
        batch = len(next(iter(x.values())))
        kept = dict(zip(self.model.network_outputs, self.model.kept, strict=True))
        for name, values in y.items():
            if len(values) != batch:
                raise ValidationError(
                    f"the targets of Probe {name!r} have batch size {len(values)} but the inputs {batch}",
                    attr="y",
                )
            expected = n_steps if kept[name] else 1
            if values.shape[1] != expected:
                raise ValidationError(
                    f"the targets of Probe {name!r} have {values.shape[1]} steps; expected {expected}"
                    + ("" if kept[name] else ", the last one only, because of keep_history=False"),
                    attr="y",
                )

    def prepared(self, x: Any, y: Any, n_steps: int | None, state: State):
        """Data for Keras: (x, y) by name, or an iterable of such batches."""
        if is_iterable_data(x):
            return self._batches(x), None
        examples, n_steps = self.examples(x, n_steps, state)
        targets = self.targets(y)
        self.check_pair(examples, targets, n_steps)
        return examples, targets

    def _batches(self, data: Any) -> Any:
        """Batches from a generator, with names in place of Nodes and Probes."""
        if not hasattr(data, "__next__"):
            return data  # Keras's own and TensorFlow's are keyed by name already
        return self._named_batches(data)

    def _named_batches(self, data: Iterator) -> Iterator:
        for batch in data:
            x, y, *weights = batch
            x = {self.names.get(key, key): v for key, v in x.items()}
            y = {self.names.get(key, key): v for key, v in y.items()}
            yield (x, y, *weights)

    # -- running -----------------------------------------------------------------------------------

    def run(
        self, method: Callable, x: Any, y: Any, state: State, stateful: bool, **kwargs: Any
    ) -> tuple[Any, State]:
        """Call ``fit`` or ``evaluate`` of the Keras model from ``state``, and return what it returns and the last state."""
        with self.engine.scope(), self.loaded(state, stateful):
            if not is_iterable_data(x) and y is not None:
                self._build(x, y)
            result = self._call(method, x, y, kwargs)
            return result, self._saved_state() if stateful else state

    def _call(self, method: Callable, x: Any, y: Any, kwargs: dict) -> Any:
        try:
            return method(x, y, **kwargs) if y is not None else method(x, **kwargs)
        except Exception as error:
            if not (self.model.jit_compile and "unsupported operations" in str(error)):
                raise
            # nothing was trained yet: XLA refuses before the first batch
            self._set_jit(False)
            return method(x, y, **kwargs) if y is not None else method(x, **kwargs)

    def _set_jit(self, jit: bool) -> None:
        self.model.jit_compile = jit
        self.model.train_function = self.model.test_function = self.model.predict_function = None

    def _build(self, x: dict, y: dict) -> None:
        """Let Keras build losses and metrics with batches of the right size."""
        n = self.minibatch_size
        batch = ({k: v[:n] for k, v in x.items()}, {k: v[:n] for k, v in y.items()})
        self.model._symbolic_build(data_batch=batch)

    @contextmanager
    def loaded(self, state: State, stateful: bool = False):
        """Context in which the Keras model starts from ``state``."""
        values = self.model.state.values
        for stored, tensor in zip(self.model.lowered.states, state.tensors, strict=True):
            # a copy: Keras lets JAX reuse the memory of its variables
            values[tensor_name(stored)].assign(keras.ops.copy(tensor))
        values["n_steps"].assign(state.n_steps)
        if self.model.keep_state != stateful:
            self.model.keep_state = stateful
            self._set_jit(self.model.jit_compile)
        yield

    def _saved_state(self) -> State:
        values = self.model.state.values
        tensors = tuple(
            keras.ops.copy(values[tensor_name(s)]) for s in self.model.lowered.states
        )
        return State(tensors, int(keras.ops.convert_to_numpy(values["n_steps"])))

    def choose_steps_per_execution(self, callbacks: Sequence, n_batches: int | None) -> None:
        """Run several batches in a call, unless the user chose, or a callback wants to see each one."""
        if self._user_steps_per_execution is not None:
            return
        per_batch = any(_sees_batches(callback) for callback in callbacks)
        steps = 1 if per_batch or n_batches is None else min(STEPS_PER_EXECUTION, n_batches)
        if steps != self.model.steps_per_execution:
            self.model.steps_per_execution = steps
            self._set_jit(self.model.jit_compile)

    def check_batch_size(self, batch_size: int) -> None:
        """Keras has to cut batches as the network was compiled for."""
        if batch_size != self.minibatch_size:
            raise ValidationError(
                f"batch_size is {batch_size} but the simulator was made with minibatch_size="
                f"{self.minibatch_size}; leave batch_size out, or make a simulator with the other size",
                attr="batch_size",
            )

    def check_trainable(self) -> None:
        """Training needs parameters, and gradients that reach them.

        Raises
        ------
        SimulationError
            Where there is nothing to train. Where only some paths are cut off, a warning says which.
        """
        layers = self.model.lowered.layers
        if not self.model.trainable_variables:
            raise SimulationError(
                "the network has no trainable parameters; see configure_settings(trainable=...) and "
                "inference_only"
            )
        numbers = [self.model.network_outputs.index(n) for n in self.model.active_outputs]
        paths = GradientPaths(self.model.lowered.layout, numbers)
        blocking = paths.blocking()
        if paths.without_gradient() and not any(layer.trainable_weights for layer in layers):
            raise SimulationError(
                "no gradient reaches any trainable parameter from the probes with a loss "
                f"({', '.join(self.model.active_outputs)})"
                + (f", because Python code is in the way: {'; '.join(blocking)}" if blocking else "")
            )
        if blocking:
            warnings.warn(
                "no gradient goes through operators that run as Python code; what lies behind them is trained "
                f"by other paths only, or not at all: {'; '.join(blocking)}",
                stacklevel=3,
            )

    def named_results(self, logs: dict[str, float]) -> dict[str, float]:
        """Keras's logs, with the name of the probe where Keras leaves it out because there is only one."""
        if len(self.model.active_outputs) != 1:
            return logs
        (name,) = self.model.active_outputs
        extra = {
            f"{name}_{key}": value
            for key, value in logs.items()
            if not key.startswith((name, "val_"))
        }
        return {**logs, **extra}


def is_iterable_data(x: Any) -> bool:
    """Whether data comes in batches of its own: a generator, a PyDataset or a tf.data.Dataset."""
    return (
        isinstance(x, keras.utils.PyDataset)
        or hasattr(x, "__next__")
        or (hasattr(x, "element_spec") and hasattr(x, "batch"))
    )


def _hashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _sees_batches(callback: Any) -> bool:
    """Whether a callback does something at each batch."""
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    base = keras.callbacks.Callback
    if type(callback).__module__.startswith("keras."):
        return getattr(callback, "save_freq", "epoch") != "epoch" or (
            getattr(callback, "update_freq", "epoch") not in ("epoch", None)
        )
    return any(getattr(type(callback), hook) is not getattr(base, hook) for hook in hooks)


