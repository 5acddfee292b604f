"""The ``keras.Model`` that owns a network's parameters, and runs the network on a batch of
sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo.builder.signal import Signal
from nengo.exceptions import ValidationError

from nengo_dl._private.keras import forget_strategy
from nengo_dl.compiler.layout import Run, Stored
from nengo_dl.compiler.program import Input
from nengo_dl.runtime.backends.protocol import Backend, Devices, SimulatingDevices
from nengo_dl.runtime.inputs.names import unique
from nengo_dl.runtime.parameters.learned import Learned
from nengo_dl.runtime.sequences.blocks import Blocks, stacked
from nengo_dl.runtime.sequences.convolutions import convolves
from nengo_dl.runtime.sequences.model_state import ModelState
from nengo_dl.runtime.sequences.runner import SequenceRunner
from nengo_dl.runtime.sequences.stored_values import StoredValues, drop_wrappers
from nengo_dl.runtime.step.lowered_network import (
    LoweredNetwork,
    stored_values,
    tensor_name,
    weight_name,
)
from nengo_dl.runtime.step.rounding import RoundedValues
from nengo_dl.runtime.step.scan import InitialState, Wanted
from nengo_dl.runtime.step.structure import step_structure


class NengoModel(ModelState):
    """A network as a Keras model.

    Called with a dict {name of Node: tensor (minibatch_size, n_steps, size)} it returns a dict
    {name of Probe: tensor (minibatch_size, n_steps, size)}, starting from the state in `state`. A
    batch of fewer items starts from the state of the first ones.

    Parameters
    ----------
    lowered
        The network.
    parameter_names
        Names for the stored parameters, in their order: of their layer and of their variable.
    inputs
        The inputs that can be given, by name.
    outputs
        The names of the probes, in the order of the network's outputs.
    kept
        For each probe, whether it returns every step, or the last one.
    backend
        Module of `nengo_dl.runtime.backends`.
    use_loop
        Whether steps run in a loop, or one after the other in an unrolled graph.
    learning_phase
        Overrides Keras's ``training`` where not None.
    checkpoint_segments
        Segments of a sequence that are computed again in the backward pass; True: about the square
        root of the number of steps.
    sequence_kernels
        Whether loops are one kernel each where the backend has one.
    quantizers
        The base signals whose values are rounded before they are used, and how.
    learned
        The base signals that hold what online learning rules have learned.
    devices
        Several devices, among which the items of a minibatch are shared out.
    """

    def __init__(
        self,
        lowered: LoweredNetwork,
        parameter_names: Sequence[tuple[str, str]],
        inputs: Mapping[str, Input],
        outputs: Sequence[str],
        kept: Sequence[bool],
        backend: Backend,
        use_loop: bool = True,
        learning_phase: bool | None = None,
        checkpoint_segments: Any = None,
        sequence_kernels: bool | None = None,
        quantizers: Mapping[Signal, Callable] | None = None,
        learned: Container[Signal] = (),
        devices: Devices | None = None,
    ):
        dtype = lowered.settings.dtype
        super().__init__(name="nengo", dtype=dtype)
        forget_strategy(self)
        self.lowered, self.loop_backend, self.devices = lowered, backend, devices
        self.network_inputs, self.network_outputs = dict(inputs), tuple(outputs)
        self.kept = tuple(kept)
        self.use_loop, self.learning_phase = use_loop, learning_phase
        self.checkpoint_segments, self.sequence_kernels = checkpoint_segments, sequence_kernels
        self.minibatch_size = lowered.settings.minibatch_size
        #: names of the probes that a call returns, all by default
        self.active_outputs: tuple[str, ...] = self.network_outputs
        #: name of the probe that the loss is about, where it is only one, and the weight of the
        #: loss
        self.only_loss: tuple[str, float] | None = None
        #: whether training takes its batches from `blocks`, and not from Keras
        self.in_blocks = False
        self.blocks: Blocks | None = None
        self.learned = Learned(learned, lowered.states)
        self.parameter_layers = _parameter_layers(lowered, parameter_names)
        self.inner_layers = list(lowered.layers)
        self._first_values = {
            id(v): backend.array(ops.convert_to_tensor(v))
            for v in (*lowered.weights, *lowered.carried)
        }
        self._changed_constants: set[str] = set()
        self.quantized = RoundedValues(lowered.layout.stored, quantizers or {})
        self._rounds = bool(self.quantized)
        self.fixed = StoredValues(lowered.arguments, "fixed_values", dtype, trainable=False)
        self.state = StoredValues(self.initial_state(), "state", dtype, trainable=False)
        self.built = True
        drop_wrappers(self)

    @property
    def parameters(self) -> dict[str, keras.Variable]:
        """The trainable parameters by the name of the stored tensor."""
        return {
            name: value for layer in self.parameter_layers for name, value in layer.values.items()
        }

    def stored_variable(self, stored: Stored) -> keras.Variable:
        """The variable that holds a stored parameter or constant."""
        name = tensor_name(stored)
        return self.fixed.values[name] if name in self.fixed.values else self.parameters[name]

    def assign_stored(self, stored: Stored, values: np.ndarray) -> None:
        """Give a stored parameter or constant other values, (1, width), until
        `reset_parameters`.
        """
        if stored.tensor.kind == "constant":
            self._changed_constants.add(tensor_name(stored))
        self.stored_variable(stored).assign(values)

    def is_constant(self, stored: Stored) -> bool:
        """Whether a stored tensor has its initial values and keeps them."""
        name = tensor_name(stored)
        changed = name in self._changed_constants or name in self.quantized
        return stored.tensor.kind == "constant" and not changed

    def reset_parameters(self) -> None:
        """Give the trainable parameters their initial values."""
        for name in self._changed_constants:
            self.fixed.values[name].assign(self.lowered.arguments[name])
        self._changed_constants = set()
        variables = self.parameters
        for stored in self.lowered.layout.of_kind("parameter"):
            values = stored_values(stored, self.lowered.settings.dtype)
            variables[tensor_name(stored)].assign(values)
        for variable in self.lowered.weights:
            variable.assign(self._first_values[id(variable)])

    def reset_carried(self) -> None:
        """Give what Keras layers change in a step its first values."""
        for variable in self.lowered.carried:
            variable.assign(self._first_values[id(variable)])

    def argument_variables(self) -> dict[str, keras.Variable]:
        """The variables of everything that the step functions take as arguments."""
        weights = {weight_name(i): v for i, v in enumerate(self.lowered.weights)}
        return {**self.fixed.values, **self.parameters, **weights}

    def arguments(self) -> dict[str, Any]:
        """Tensors of everything that the step functions take as arguments."""
        variables = self.argument_variables()
        tensors = {name: ops.convert_to_tensor(value) for name, value in variables.items()}
        return self.quantized.round(tensors) if self._rounds else tensors

    def present_tensor(self, stored: Stored) -> Any:
        """The value that the network computes with of a stored parameter or constant."""
        name = tensor_name(stored)
        value = ops.convert_to_tensor(self.stored_variable(stored))
        return self.quantized.round({name: value})[name]

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """See the class."""
        if not isinstance(inputs, Mapping):
            expected = ", ".join(repr(name) for name in self.network_inputs)
            raise ValidationError(
                f"the model takes a dict of tensors by the names of the Nodes ({expected}), and "
                f"gives one by the names of the Probes; got {type(inputs).__name__}",
                attr="inputs",
            )
        if self.learning_phase is not None:
            training = self.learning_phase
        values = {
            item: inputs[name] for name, item in self.network_inputs.items() if name in inputs
        }
        n_items, n_steps = next(x.shape[:2] for x in inputs.values())
        n_items = self.minibatch_size if n_items is None else n_items
        if n_steps is None:
            raise ValidationError(
                "TensorFlow got batches with different numbers of steps; give batches of the same "
                "length, and pass n_steps if it differs from earlier calls",
                attr="n_steps",
            )
        whole = self.state_tensors()
        before = [self.own_items(value, n_items) for value in whole]
        first = ops.convert_to_tensor(self.state.values["n_steps"]) + 1
        chosen = [self.network_outputs.index(name) for name in self.active_outputs]
        wanted = Wanted(chosen, [self.kept[k] for k in chosen])
        training = bool(training)

        def run(n_items, shared, items):
            (arguments, carried, first), (values, before) = shared, items
            start = InitialState([*before, *carried], first)
            sequences = self.sequences(self.lowered.resized(n_items))
            return sequences.run(arguments, values, start, n_steps, wanted, training)

        shared, items = (self.arguments(), self.carried(), first), (values, before)
        devices = self._devices_of(n_items, tuple(values), training)
        if devices is None:
            state, outputs = run(n_items, shared, items)
        else:
            run = partial(run, n_items // devices.n_shares)
            state, outputs = devices.by_shares(run, shared, items)
        self.assign_carried(state[len(whole) :])
        if self.keep_state:
            self.keep(whole, self.with_others(state, whole), first, n_steps)
        return dict(zip(self.active_outputs, outputs, strict=True))

    def _devices_of(
        self, n_items: int, changing: Sequence[Input], training: bool
    ) -> SimulatingDevices | None:
        """The devices that run some of the items each by itself; None where there is one, and where
        the step has code that may do with the items what it likes, which is given all of them.
        """
        devices = None if self.devices is None else self.devices.simulating()
        if devices is None or not devices.cuts_calls or n_items % devices.n_shares:
            return None
        return devices if step_structure(self.lowered, changing, training) else None

    def sequences(self, lowered: LoweredNetwork) -> SequenceRunner:
        """Runs the network as it was lowered for a size of the minibatch, with the settings of
        this model.
        """
        return SequenceRunner(
            lowered,
            self.loop_backend,
            self.use_loop,
            self.checkpoint_segments,
            self.sequence_kernels,
        )

    train_function: Any
    test_function: Any
    jit_compile: Any

    def make_train_function(self, force: bool = False) -> None:
        """As Keras; but many batches run in one call of a compiled function, without anything in
        between, where they come from `blocks` or where the backend stacks them.
        """
        self._leave_xla(training=True)
        if not (self.in_blocks or self.loop_backend.stacks_batches(self)):
            super().make_train_function(force)
        elif self.train_function is None or force:
            self._choose_xla()
            self.train_function = self.loop_backend.block_function(
                self, self.train_step, self._next
            )

    def make_test_function(self, force: bool = False) -> None:
        """As `make_train_function`."""
        self._leave_xla(training=False)
        if not self.loop_backend.stacks_batches(self):
            super().make_test_function(force)
        elif self.test_function is None or force:
            self._choose_xla()
            self.test_function = self.loop_backend.block_function(
                self, self.test_step, self._next_stacked
            )

    def _next(self, batches: Iterator) -> Iterator[tuple[Any, np.int32]]:
        """The blocks of a call, of training."""
        return self._next_stacked(batches) if self.blocks is None else self.blocks.next_call()

    def _next_stacked(self, batches: Iterator) -> Iterator[tuple[Any, np.int32]]:
        return stacked(batches, self.steps_per_execution)

    def _leave_xla(self, training: bool) -> None:
        """Do without XLA where it is known beforehand that it would refuse."""
        if not self.loop_backend.compiles_host_calls and self.calls_python(training):
            self.jit_compile = False

    def calls_python(self, training: bool) -> bool:
        """Whether a step calls Python, where `call` is told that it is training or not."""
        training = training if self.learning_phase is None else self.learning_phase
        runs = (i for i in self.lowered.layout.instructions if isinstance(i, Run))
        # what passes a gradient is computed otherwise in training
        return any(
            run.kernel.on_host and not (training and run.kernel.differentiable) for run in runs
        )

    def _choose_xla(self) -> None:
        if self.jit_compile and not self.loop_backend.may_compile(self):
            self.jit_compile = False

    def has_convolutions(self) -> bool:
        """Whether a step convolves, in a transform or in a Keras layer."""
        kernels = (getattr(i, "kernel", None) for i in self.lowered.layout.instructions)
        return any(map(convolves, self.inner_layers)) or any(
            getattr(kernel, "convolves", False) for kernel in kernels
        )

    def get_metrics_result(self) -> dict[str, Any]:
        """As Keras; also by the name of the probe where Keras leaves it out because there is only
        one.
        """
        results = super().get_metrics_result()
        if self.only_loss is not None:
            name, weight = self.only_loss
            results[f"{name}_loss"] = results["loss"] if weight == 1 else results["loss"] / weight
        if len(self.active_outputs) == 1:
            (name,) = self.active_outputs
            for key in [k for k in results if k != "loss" and not k.startswith(f"{name}_")]:
                results[f"{name}_{key}"] = results[key]
        return results


def _parameter_layers(
    lowered: LoweredNetwork, names: Sequence[tuple[str, str]]
) -> list[StoredValues]:
    """A layer for each stored parameter."""
    dtype, taken = lowered.settings.dtype, dict[str, int]()
    return [
        StoredValues(
            {tensor_name(stored): stored_values(stored, dtype)},
            unique(layer, taken),
            dtype,
            trainable=True,
            called=name,
        )
        for stored, (layer, name) in zip(lowered.layout.of_kind("parameter"), names, strict=True)
    ]
