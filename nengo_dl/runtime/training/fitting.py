"""Training and evaluation of a simulator's Keras model: what Keras is given, what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import ceil
from typing import Any, Literal

import keras
import numpy as np
from nengo.exceptions import SimulationError, ValidationError

from nengo_dl._private.keras import build_objectives, forget_epoch, forget_layers
from nengo_dl.process_settings import floatx
from nengo_dl.runtime.checks import check_counts, checked_number, warn_of_batch_size
from nengo_dl.runtime.inputs.names import Endpoints
from nengo_dl.runtime.sequences.blocks import Blocks, ticks
from nengo_dl.runtime.sequences.keras_model import NengoModel
from nengo_dl.runtime.simulation.engine import Engine
from nengo_dl.runtime.simulation.guards import DeferredInterrupt, explain_memory
from nengo_dl.runtime.simulation.processes import Watch
from nengo_dl.runtime.simulation.state import State
from nengo_dl.runtime.training.arguments import (
    checked_epochs,
    first_batch,
    scaled,
    unless_failing,
)
from nengo_dl.runtime.training.batches import is_batches, number_of_batches
from nengo_dl.runtime.training.callbacks import Session, as_list, batches_per_call, in_this_process
from nengo_dl.runtime.training.compiled_functions import CompiledFunctions
from nengo_dl.runtime.training.data import Start, TrainingData, split
from nengo_dl.runtime.training.objectives import Objectives
from nengo_dl.runtime.training.trainability import Trainability


class Training:
    """Drives ``keras.Model.compile``, ``fit`` and ``evaluate`` for a simulator.

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
        self.model, self.engine = keras_model, engine
        self.minibatch_size = keras_model.minibatch_size
        self.data = TrainingData(keras_model, engine, endpoints)
        self._user_batches_per_call: int | None = None
        self._has_loss = False
        backend = engine.backend
        self._convolves_faster_in_graph = (
            backend.convolves_faster_in_graph() and keras_model.has_convolutions()
        )
        self._may_choose_jit = True
        self._functions = CompiledFunctions(keras_model)
        self._found_trainability: Trainability | None = None

    def release(self) -> None:
        """Let go of what Keras compiled: functions that hold the model, a cycle for which all that
        it holds stays in memory until Python's collector comes by.
        """
        self._functions.release()
        if getattr(self.model, "history", None) is not None:
            self.model.history.set_model(None)
        forget_layers(self.model)

    # -- compile -----------------------------------------------------------------------------------

    def compile(self, optimizer, loss, metrics, loss_weights, jit_compile, **kwargs) -> None:
        """As ``keras.Model.compile``; dicts may be keyed by Probe."""
        objectives = Objectives.of(
            self.data.targets, loss, metrics, loss_weights, kwargs.pop("weighted_metrics", None)
        )
        model = self.model
        with self._scope(), self._making(), unless_failing(model):
            optimizer = scaled(optimizer, model, kwargs.get("auto_scale_loss", True))
            model.active_outputs = objectives.active
            model.output_names = sorted(objectives.active)
            model.only_loss = objectives.only_loss
            model.compile(
                optimizer=optimizer,
                loss=objectives.loss_to_compute,
                # Keras keeps what is None from the last time
                metrics=objectives.metrics or {},
                loss_weights=objectives.loss_weights,
                weighted_metrics=objectives.weighted_metrics,
                jit_compile=True if jit_compile is None else jit_compile,
                **kwargs,
            )
        self.data.targets.any_size = objectives.any_size
        self.data.targets.any_steps = objectives.any_steps
        self.data.targets.needless = objectives.without_targets
        self._may_choose_jit = jit_compile is None
        self._has_loss = objectives.loss is not None
        self._user_batches_per_call = kwargs.get("steps_per_execution")
        self._functions.clear()
        self._found_trainability = None

    @property
    def _trainability(self) -> Trainability:
        """For the present loss; found when it is first trained with."""
        if self._found_trainability is None:
            self._found_trainability = Trainability(self.model)
        return self._found_trainability

    # -- the calls ---------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Any,
        start: Start,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Any = None,
        **kwargs: Any,
    ) -> tuple[keras.callbacks.History, State]:
        """As ``keras.Model.fit`` from a state; also returns the last state."""
        self._check_compiled("fit")
        kwargs |= checked_epochs(kwargs)
        validation_split = checked_number("validation_split", validation_split, 0)
        self._drop_batch_sizes(kwargs, "batch_size", "validation_batch_size")
        self.data.warns_of_nan = True
        validation_data = self.data.validation(validation_data, start)
        in_batches = is_batches(x)
        if in_batches:
            if validation_split:
                raise ValidationError(
                    "validation_split needs arrays; give validation_data", attr="validation_split"
                )
            data, count = self.data.batches_of(x, y, start, sample_weight, class_weight)
            n_batches = number_of_batches(x)
        else:
            examples = self.data.examples(x, y, start, sample_weight, class_weight)
            if validation_split and validation_data is None:
                parts = split(examples, validation_split, self.minibatch_size, start.stateful)
                examples, validation_data = parts[0], parts[1].as_tuple()
            data, count = examples.as_tuple(), examples.count_steps
            n_batches = ceil(len(examples) / self.minibatch_size)
            kwargs["batch_size"] = self.minibatch_size
        self._trainability.check(count)
        if isinstance(validation_data, tuple) and len(validation_data) > 1:
            kwargs["validation_batch_size"] = self.minibatch_size
        if start.stateful or (in_batches and not isinstance(x, keras.utils.PyDataset)):
            kwargs.setdefault("shuffle", False)
        n_batches = kwargs.get("steps_per_epoch") or n_batches
        in_blocks = not in_batches and self._can_use_blocks(kwargs)
        kwargs["callbacks"] = as_list(callbacks)
        self._make_functions(start, kwargs["callbacks"], n_batches, in_blocks)
        kwargs |= in_this_process(self.model.devices, kwargs["callbacks"])
        if in_blocks:
            n, shuffle = self.model.steps_per_execution, kwargs.get("shuffle", True)
            self.model.blocks = Blocks(data, self.minibatch_size, n, shuffle)
            kwargs["shuffle"] = False
        self._build_optimizer()
        forget_epoch(self.model)
        result = self._run(self.model.fit, data, start, validation_data=validation_data, **kwargs)
        if self.model.devices is not None:
            self.model.devices.wait()  # for the files of the first process
        return result

    def evaluate(
        self,
        x: Any,
        y: Any,
        start: Start,
        callbacks: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> tuple[dict[str, float], State]:
        """As ``keras.Model.evaluate`` from a state; also returns the last state."""
        self._check_compiled("evaluate")
        self.data.warns_of_nan = False
        check_counts(kwargs, "steps")
        self._drop_batch_sizes(kwargs, "batch_size")
        if is_batches(x):
            data, _ = self.data.batches_of(x, y, start, sample_weight)
            n_batches = number_of_batches(x)
        else:
            examples = self.data.examples(x, y, start, sample_weight)
            data, n_batches = examples.as_tuple(), ceil(len(examples) / self.minibatch_size)
            kwargs["batch_size"] = self.minibatch_size
        callbacks = as_list(callbacks)
        n_batches = kwargs.get("steps") or n_batches
        self._make_functions(start, callbacks, n_batches)
        return self._run(
            self.model.evaluate, data, start, callbacks=callbacks, return_dict=True, **kwargs
        )

    def train_on_batch(
        self, x: Any, y: Any, start: Start, sample_weight: Any = None, class_weight: Any = None
    ) -> tuple[dict[str, float], State]:
        """One update; returns loss and metrics, and the last state."""
        self._check_compiled("train_on_batch")
        self.data.warns_of_nan = False
        examples = self.data.examples(x, y, start, sample_weight, class_weight)
        self.data.check_one_batch(examples)
        data = examples.as_tuple()
        self._trainability.check(examples.count_steps)
        self._make_functions(start, (), 1)
        self._build_optimizer()
        with self._scope():  # older versions of Keras 3 go on with the metrics of the last batch
            self.model.reset_metrics()
        return self._run(self.model.train_on_batch, data, start, return_dict=True)

    # -- arguments ---------------------------------------------------------------------------------

    def _drop_batch_sizes(self, kwargs: dict, *names: str) -> None:
        """Batches are cut as the network was compiled for, whatever else is asked for."""
        for name in names:
            warn_of_batch_size(kwargs.pop(name, None), self.minibatch_size, name, stacklevel=5)

    def _check_compiled(self, method: str) -> None:
        if not self.model.compiled:
            raise SimulationError(
                f"sim.{method} needs to know the loss; call sim.compile(optimizer=..., loss=...) "
                "first"
            )
        if not self._has_loss and method != "evaluate":
            raise SimulationError(
                f"sim.{method} needs a loss; sim.compile was called without one, or for no probe"
            )

    # -- running -----------------------------------------------------------------------------------

    @contextmanager
    def _scope(self):
        """Context of the network's device and precision, whatever Keras makes of them by now."""
        keras.config.dtype_policy()  # the default is made at the first look, of the precision then
        dtype, engine = self.engine.settings.dtype, self.engine
        with engine.backend.none_in_force(), engine.scope(), floatx(dtype, keras.config):
            yield

    def _making(self) -> AbstractContextManager:
        """Context in which Keras makes variables."""
        devices = self.model.devices
        return nullcontext() if devices is None else devices.making()

    def _run(self, method: Callable, data: tuple, start: Start, **kwargs: Any) -> tuple[Any, State]:
        """Call a method of the Keras model from a state; returns what it returns, and the last
        state.
        """
        keep_state = self._kept_of(start)
        with (
            self._scope(),
            self.loaded(start.state, keep_state),
            DeferredInterrupt() as interrupt,
        ):
            watch = Watch()
            session = Session(self.model, self.engine.backend, interrupt, watch)
            if "callbacks" in kwargs:
                kwargs["callbacks"] = [session, *kwargs["callbacks"]]
            try:
                if len(data) > 1:
                    self._build(data)
                if self.model.blocks is not None:
                    n_batches = self.model.blocks.n_batches
                    data, kwargs = (ticks(),), {**kwargs, "steps_per_epoch": n_batches}
                names = ("x", "y", "sample_weight")
                result = watch.call(
                    self._in_scope, method, **dict(zip(names, data, strict=False)), **kwargs
                )
            except BaseException as error:
                self.engine.backend.restore_variables(self.model, session.values)
                explain_memory(error, self.minibatch_size, training=True)
                raise
            finally:
                self.model.blocks = None
            return result, self._saved_state() if keep_state else start.state

    def _kept_of(self, start: Start) -> bool | Literal["learned"]:
        """What a call leaves of its state: all, what was learned, or nothing."""
        if start.stateful:
            return True
        return "learned" if self.model.learned.any else False

    def _in_scope(self, method: Callable, **kwargs: Any) -> Any:
        """Call a method in whatever thread."""
        with self.engine.scope():
            return method(**kwargs)

    def _build(self, data: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Let Keras build losses and metrics with batches of the right size."""
        batch = first_batch(data, self.minibatch_size, self.engine.backend)
        with self._making():
            build_objectives(self.model, batch)

    def _build_optimizer(self) -> None:
        if not self.model.optimizer.built:
            with self._scope(), self._making():
                self.model.optimizer.build(self.model.trainable_variables)

    def _can_use_blocks(self, kwargs: Mapping[str, Any]) -> bool:
        """Whether arrays need not go through Keras's data pipeline."""
        model = self.model
        return not (
            kwargs.get("steps_per_epoch")
            or model.run_eagerly
            or (not model.jit_compile and self.engine.backend.name == "jax")
        )

    def _make_functions(
        self,
        start: Start,
        callbacks: Iterable[Any],
        n_batches: int | None,
        in_blocks: bool = False,
    ) -> None:
        """Run several batches in a call, unless the user chose, or a callback wants to see each
        one, and what convolves in the faster of XLA and the plain graph.
        """
        n = self._user_batches_per_call
        plain = self._may_choose_jit and self._convolves_faster_in_graph
        if plain and self.model.jit_compile:
            self._functions.configure(jit_compile=False)
        self._functions.configure(
            steps_per_execution=batches_per_call(callbacks, n_batches) if n is None else n,
            keep_state=self._kept_of(start),
            in_blocks=in_blocks,
        )
        if self.model.devices is not None:
            self.model.devices.check_training(self.model)

    @contextmanager
    def loaded(self, state: State, keep_state: bool | Literal["learned"] = False):
        """Context in which the Keras model starts from ``state``."""
        values = self.model.state.values
        for name, tensor in zip(self.model.lowered.state_names, state.tensors, strict=True):
            # a copy: Keras lets JAX reuse the memory of its variables
            values[name].assign(keras.ops.copy(tensor))
        values["n_steps"].assign(state.n_steps)
        self._functions.configure(keep_state=keep_state)
        yield

    def _saved_state(self) -> State:
        values = self.model.state.values
        tensors = tuple(keras.ops.copy(values[k]) for k in self.model.lowered.state_names)
        return State(tensors, int(keras.ops.convert_to_tensor(values["n_steps"])))
