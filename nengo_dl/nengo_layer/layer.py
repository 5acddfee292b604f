"""A Nengo network as a layer of a Keras model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from nengo import Network
from nengo.exceptions import ValidationError
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress, ProgressTracker

from nengo_dl.nengo_layer.compiled import CompiledNetwork
from nengo_dl.nengo_layer.source import are_labels, check_runs_in_keras, make_network
from nengo_dl.runtime import build, checks
from nengo_dl.runtime.inputs.names import unique
from nengo_dl.runtime.parameters import freezing
from nengo_dl.runtime.results import saving
from nengo_dl.runtime.results.values import PresentValues
from nengo_dl.runtime.step.scan import InitialState, Wanted


@keras.saving.register_keras_serializable(package="nengo_dl")
class NengoLayer(keras.layers.Layer):
    """A Nengo network as a layer of a Keras model, trained with it.

    An input of shape (batch, n_steps, size) is a sequence with one value for each time step; the
    output has shape (batch, n_steps, size of the Probe). An input of shape (batch, size) is
    presented for ``n_steps`` steps; the output is that of the last step, of shape (batch, size of
    the Probe). Each call starts from the network's initial state.

    As in `nengo_dl.Simulator.fit`, training replaces spiking neurons by their differentiable
    counterparts, and ``configure_settings`` inside the network applies.

    Parameters
    ----------
    network : nengo.Network, or function
        The network, or a function that returns a network or ``(network, inputs, outputs)``. A model
        that was created with a network cannot be saved as a whole, because a network consists of
        Python objects. A function that is registered with
        ``keras.saving.register_keras_serializable`` is saved by its name.
    inputs : Node, or list of Node or label, optional
        The Nodes that get the layer's inputs; by default all Nodes whose output is an array.
    outputs : Probe, or list of Probe or label, optional
        The Probes that give its outputs; by default all.
    n_steps : int
        Number of steps for which an input without a time axis is presented.
    dt : float
        Length of a time step in seconds.
    seed : int, optional
        Seed of processes without their own seed, and of a network without a seed that a function
        returns.
    minibatch_size : int
        Number of items that are computed side by side if the batch size is unknown when TensorFlow
        traces the model. Any batch size works; sizes close to this number are fastest.
    arguments : dict, optional
        Keyword arguments of the function: numbers, strings, and lists and dicts of these.
    kwargs
        ``name`` and ``trainable``, as for every Keras layer.

    Raises
    ------
    nengo.exceptions.ValidationError
        If the network cannot be a layer, because Python code runs in the loop, or because there are
        no Nodes for the inputs or no Probes.

    Examples
    --------
    >>> with nengo.Network(seed=0) as net:
    ...     stimulus = nengo.Node(np.zeros(3))
    ...     ens = nengo.Ensemble(20, dimensions=3)
    ...     connection = nengo.Connection(stimulus, ens, synapse=None)
    ...     probe = nengo.Probe(ens)
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((5,)),
    ...         keras.layers.Dense(3),
    ...         nengo_dl.NengoLayer(net, inputs=[stimulus], outputs=[probe], n_steps=10),
    ...         keras.layers.Dense(2),
    ...     ]
    ... )
    >>> model.output_shape
    (None, 2)
    """

    def __init__(
        self,
        network: Network | Callable,
        inputs: Any = None,
        outputs: Any = None,
        n_steps: int = 1,
        dt: float = 0.001,
        seed: int | None = None,
        minibatch_size: int = 32,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        n_steps = checks.checked_count("n_steps", n_steps)
        minibatch_size = checks.checked_count("minibatch_size", minibatch_size)
        given = checks.checked_seed(seed)
        own_seed = int(np.random.randint(maxint)) if given is None else given
        if arguments is not None and not isinstance(arguments, Mapping):
            raise ValidationError(
                f"expected a dict of keyword arguments, got {arguments!r}", attr="arguments"
            )
        made = make_network(network, inputs, outputs, own_seed, arguments or {})
        checks.check_dt(dt, None)
        with ProgressTracker(False, Progress("Building", "Build")) as progress:
            built = build.build(made.network, dt, None, build.Target(1, None, 1), progress)
        super().__init__(dtype=built.engine.settings.dtype, **kwargs)
        self._config = {
            "inputs": inputs,
            "outputs": outputs,
            "n_steps": n_steps,
            "dt": dt,
            "seed": own_seed,
            "minibatch_size": minibatch_size,
            "arguments": dict(arguments or {}),
        }
        self.n_steps, self.minibatch_size, self.seed = n_steps, minibatch_size, own_seed
        self._compiled = CompiledNetwork(network, made.network, built)
        check_runs_in_keras(made, built)
        self._items = [built.inputs[node] for node in made.inputs]
        numbers = [built.model.probes.index(probe) for probe in made.outputs]
        self._output_numbers = numbers
        self._output_sizes = [probe.size_in for probe in made.outputs]
        # what Keras has to know of: lists of variables and layers are enough
        model = built.keras_model
        self.parameters = list(model.parameters.values())
        self.fixed_values = [*model.fixed.values.values(), *model.state.values.values()]
        self.inner_layers = list(model.inner_layers)
        self.built = True

    @property
    def network(self) -> Network:
        """The Nengo network."""
        return self._compiled.network

    def build(self, *_: Any) -> None:
        """Nothing to do: the network is compiled when the layer is made."""

    # -- shapes ------------------------------------------------------------------------------------

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """Shapes of the outputs."""
        tensors = self._as_list(inputs)
        self._check_shapes([tuple(x.shape) for x in tensors])
        shapes = [self._output_shape(tuple(tensors[0].shape), k) for k in range(self._n_outputs)]
        specs = [keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes]
        return specs[0] if len(specs) == 1 else specs

    @property
    def _n_outputs(self) -> int:
        return len(self._output_numbers)

    def _output_shape(self, shape: tuple, k: int) -> tuple:
        size = self._output_sizes[k]
        if len(shape) == 2:
            return (shape[0], size)
        keep = self._compiled.built.keras_model.kept[self._output_numbers[k]]
        return (shape[0], shape[1] if keep else 1, size)

    def _as_list(self, inputs: Any) -> list:
        """The inputs in the order of the Nodes."""
        names = [self._compiled.built.names[item.node] for item in self._items]
        if isinstance(inputs, Mapping):
            if set(inputs) != set(names):
                raise ValueError(f"{self.name} got inputs named {list(inputs)}; expected {names}")
            return [inputs[name] for name in names]
        inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        if len(inputs) != len(names):
            raise ValueError(f"{self.name} got {len(inputs)} inputs; expected one for each {names}")
        return inputs

    def _check_shapes(self, shapes: Sequence[tuple]) -> None:
        sizes = [item.size for item in self._items]
        ranks = {len(shape) for shape in shapes}
        fitting = [shape[-1] == size for shape, size in zip(shapes, sizes, strict=True)]
        steps = {shape[1:2] for shape in shapes}
        if not all(fitting) or ranks not in ({2}, {3}) or (ranks == {3} and len(steps) > 1):
            expected = [("batch", size) for size in sizes], [("batch", "n_steps", n) for n in sizes]
            raise ValueError(
                f"{self.name} got inputs of shapes {shapes}; expected {expected[0]}, held for "
                f"{self.n_steps} steps, or sequences {expected[1]}"
            )

    # -- running -----------------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Run the network; see the class."""
        tensors = self._as_list(inputs)
        self._check_shapes([tuple(x.shape) for x in tensors])
        held = len(tensors[0].shape) == 2
        if held:
            tensors = [ops.repeat(x[:, None], self.n_steps, axis=1) for x in tensors]
        n_steps = tensors[0].shape[1]
        if n_steps is None:
            raise ValueError(
                f"{self.name} has to know the number of steps of its input, of shape "
                f"{tuple(tensors[0].shape)}, when the model is traced: give keras.Input a shape "
                "with it"
            )
        model = self._compiled.built.keras_model
        if model.learning_phase is not None:
            training = model.learning_phase
        kept = [not held and model.kept[k] for k in self._output_numbers]
        whole = tensors[0].shape[0] is not None
        run = self._run_whole if whole else self._run_in_groups
        outputs, carried = run(tensors, n_steps, kept, bool(training), model.carried())
        model.assign_carried(carried)
        outputs = [ops.cast(x[:, 0] if held else x, self.compute_dtype) for x in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def _run_whole(self, tensors, n_steps: int, kept, training: bool, carried) -> tuple:
        """A batch of a known size."""
        compiled, batch = self._compiled, tensors[0].shape[0]
        model, lowered = compiled.built.keras_model, compiled.lowered(batch)
        dtype = lowered.settings.dtype
        state = [ops.repeat(value, batch, axis=0) for value in compiled.initial_state()]
        values = dict(zip(self._items, tensors, strict=True))
        for item, rows in compiled.own_rows(values, n_steps, self.seed).items():
            rows = ops.convert_to_tensor(rows, dtype=dtype)
            values[item] = ops.broadcast_to(rows, (batch, *rows.shape[1:]))
        first = ops.convert_to_tensor(1, dtype="int32")
        state, outputs = model.sequences(lowered).run(
            model.arguments(),
            values,
            InitialState([*state, *carried], first),
            n_steps,
            Wanted(self._output_numbers, kept),
            training,
        )
        return outputs, state[len(lowered.states) :]

    def _run_in_groups(self, tensors, n_steps: int, kept, training: bool, carried) -> tuple:
        """A batch of a size that is not known yet, in groups of ``minibatch_size`` items of which
        the last is filled up with the first items.
        """
        size, backend = self.minibatch_size, self._compiled.built.engine.backend
        batch = ops.shape(tensors[0])[0]
        n_groups = (batch + size - 1) // size
        items = ops.arange(n_groups * size, dtype="int32") % batch
        groups = [
            ops.reshape(ops.take(x, items, axis=0), (-1, size, n_steps, x.shape[2]))
            for x in tensors
        ]

        def one_group(carried, now, i):
            outputs, carried = self._run_whole(now, n_steps, kept, training, carried)
            return carried, [ops.reshape(x, (size, -1)) for x in outputs]

        widths = [
            n * (n_steps if keep else 1) for n, keep in zip(self._output_sizes, kept, strict=True)
        ]
        shapes = [(size, width) for width in widths]
        every = [True] * len(kept)
        dtype = self._compiled.built.engine.settings.dtype
        carried, results = backend.scan(
            one_group, carried, groups, n_groups, every, shapes, dtype
        )  # (size, n_groups, width)
        outputs = [
            ops.reshape(ops.transpose(x, (1, 0, 2)), (-1, n_steps if keep else 1, n))[:batch]
            for x, keep, n in zip(results, kept, self._output_sizes, strict=True)
        ]
        return outputs, carried

    # -- saving ------------------------------------------------------------------------------------

    def freeze_params(self, objs: Any = None) -> None:
        """Write the current parameters into the Nengo objects, by default those of the whole
        network; see `nengo_dl.Simulator.freeze_params`.
        """
        running = self._compiled.running(self.seed)
        values = PresentValues(running.engine, running.state)
        live = freezing.LiveParameters(running.model, values, None)
        freezing.freeze(live, self.network if objs is None else objs)

    def save_own_variables(self, store: Any) -> None:
        """Save parameters and initial state by what they are, whatever the compiler made of
        them.
        """
        running = self._compiled.running(self.seed)
        arrays = saving.initial_arrays(running, saving.find_slots(running))
        for name, key in _store_names(arrays).items():
            store[name] = arrays[key]

    def load_own_variables(self, store: Any) -> None:
        """Load what `save_own_variables` saved."""
        running = self._compiled.running(self.seed)
        slots = saving.find_slots(running)
        names = _store_names(saving.initial_arrays(running, slots))
        found = {names.get(name, ("", name)): np.asarray(store[name]) for name in store.keys()}
        state = saving.assign_initial(running, slots, found)
        self._compiled.assign_initial_state(state.tensors)

    def get_config(self) -> dict[str, Any]:
        """Configuration to make the layer again, for Keras.

        Raises
        ------
        NotImplementedError
            If the layer was created from a network, or from a function that is not registered with
            Keras.
        """
        source = self._compiled.source
        name = None if isinstance(source, Network) else keras.saving.get_registered_name(source)
        if name is None or keras.saving.get_registered_object(name) is not source:
            raise NotImplementedError(
                f"{self.name} cannot be saved whole: a Nengo network is made of Python objects. "
                "Give NengoLayer a function that makes the network, decorated with "
                "@keras.saving.register_keras_serializable(), or save the weights only "
                "(model.save_weights)"
            )
        given = self._config
        for argument in ("inputs", "outputs"):
            if not are_labels(given[argument]):
                raise NotImplementedError(
                    f"{self.name} cannot be saved whole: name its {argument} by labels, or let the "
                    "function that makes the network return (network, inputs, outputs)"
                )
        base = super().get_config()
        base.pop("dtype", None)  # that of the network
        return {**base, **given, "network": name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NengoLayer:
        """Make the layer of `get_config`, with a function that was registered before."""
        name = config["network"]
        function = keras.saving.get_registered_object(name)
        if function is None:
            raise ValueError(
                f"the network of {config.get('name')!r} is made by a function registered as "
                f"{name!r}, which Keras does not know; import the module that registers it "
                "(keras.saving.register_keras_serializable) before loading the model"
            )
        return cls(**{**config, "network": function})


def _store_names(keys: Mapping[tuple[str, str], Any]) -> dict[str, tuple[str, str]]:
    """Names in a Keras file -> names of object and attribute; a slash would make a folder."""
    taken: dict[str, int] = {}
    return {unique(f"{obj} {name}".replace("/", "|"), taken): (obj, name) for obj, name in keys}
