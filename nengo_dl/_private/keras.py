"""Names that Keras keeps for itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from nengo_dl._private import found, has

# -- layers ----------------------------------------------------------------------------------------


def flattened(layer: Any, include_self: bool = True) -> list:
    """A layer and all layers inside it, each once."""
    if has(layer, "_flatten_layers"):
        return list(layer._flatten_layers(include_self=include_self))
    return [inner for inner in _walk(layer, set()) if include_self or inner is not layer]


def _walk(layer: Any, seen: set[int]) -> Iterator[Any]:
    """A layer, and those that its attributes hold."""
    seen.add(id(layer))
    yield layer
    for value in keras.tree.flatten(dict(vars(layer))):
        if isinstance(value, keras.layers.Layer) and id(value) not in seen:
            yield from _walk(value, seen)


def kept_weights(layer: Any) -> list:
    """The variables of a layer alone that training would change if they were not frozen; none of
    the frozen ones where Keras does not tell.
    """
    if has(layer, "_trainable_variables"):
        return list(layer._trainable_variables)
    return list(layer.trainable_variables)


def present_values(variables: Iterable[Any]) -> list[Any]:
    """The tensors that are the values of variables; None for one that has none."""
    variables = list(variables)
    try:
        return [variable._value for variable in variables]
    except AttributeError:
        return [variable.value for variable in variables]


# -- training --------------------------------------------------------------------------------------


def build_objectives(model: Any, batch: tuple) -> None:
    """Let a model make the variables of its losses and metrics, for a batch (x, y, ...)."""
    if has(model, "_symbolic_build"):
        model._symbolic_build(data_batch=batch)
        return
    x, y, weights = (*batch, None)[:3]
    symbolic = {name: keras.KerasTensor(v.shape, v.dtype) for name, v in x.items()}
    specs = model.compute_output_spec(symbolic)
    outputs = {name: keras.ops.zeros(spec.shape, spec.dtype) for name, spec in specs.items()}
    model.compute_metrics(x, y, outputs, sample_weight=weights)
    model.compute_loss(x, y, outputs, sample_weight=weights, training=False)
    model.reset_metrics()


def forget_epoch(model: Any) -> None:
    """Let `fit` begin where its arguments say, and not where ``BackupAndRestore`` once did."""
    if has(model, "_initial_epoch"):
        model._initial_epoch = None


def forget_layers(model: Any) -> None:
    """Take the layers, the model among them, from what `compile` took down: a cycle, for which all
    stays in memory until Python's collector comes by.
    """
    if has(model, "_compiled_trainable_state"):
        del model._compiled_trainable_state


def forget_strategy(model: Any) -> None:
    """Let a model that was made in the scope of a ``tf.distribute.Strategy`` not cut its data."""
    if has(model, "_distribute_strategy"):
        model._distribute_strategy = None


def sees_traces(callback: Any) -> bool:
    """Whether a TensorBoard callback records what single batches do, or may."""
    return callback._should_trace if has(callback, "_should_trace") else True


# -- functional models -----------------------------------------------------------------------------


def operations(*names: str) -> tuple[type, ...]:
    """The classes that stand for these functions of ``keras.ops`` in functional models."""
    classes = {}
    for name in names:
        cls = "".join(word.capitalize() for word in name.split("_"))
        of_nn = found(f"keras.src.ops.nn:{cls}")
        function = getattr(keras.ops, name, None)
        classes[name] = of_nn or found(f"keras.src.ops.numpy:{cls}") or _operation(function)
    return tuple(cls for cls in classes.values() if cls is not None)


def relu_operation() -> Any:
    """The class that stands for ``keras.activations.relu``."""
    cls = found("keras.src.activations.activations:ReLU")
    return cls or _operation(keras.activations.relu)


def _operation(function: Callable | None) -> type | None:
    """The last operation of a model that calls a function."""
    if function is None:
        return None
    x = keras.Input((2,))
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    return type(keras.Model(x, function(*[x] * len(needed))).operations[-1])


@dataclass(frozen=True)
class GraphCall:
    """A call in a functional model: of a layer or operation, with symbolic tensors among its
    arguments.
    """

    operation: Any
    arguments: tuple
    keywords: Mapping[str, Any]
    outputs: list

    @property
    def inputs(self) -> list:
        """The symbolic tensors among the arguments."""
        given = keras.tree.flatten((self.arguments, dict(self.keywords)))
        return [x for x in given if isinstance(x, keras.KerasTensor)]


def graph_calls(model: Any) -> list[GraphCall]:
    """The calls in a functional model, in an order in which they can be computed."""
    if not has(model, "_nodes_by_depth"):
        return _described_calls(model)
    by_depth = model._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [
        GraphCall(n.operation, n.arguments.args, n.arguments.kwargs, n.outputs)
        for n in nodes
        if not n.is_input
    ]


def _described_calls(model: Any) -> list[GraphCall]:
    """The same by the model's configuration, which has other tensors between its layers."""
    config = model.get_config()
    described = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    operations = {operation.name: operation for operation in model.operations}
    tensors = dict(zip(_places(config["input_layers"]), model.inputs, strict=True))
    ends = dict(zip(_places(config["output_layers"]), model.outputs, strict=True))
    waiting = [(name, k) for name, nodes in described.items() for k in range(len(nodes))]
    calls = []
    while waiting:
        name, k = waiting.pop(0)
        node, operation = described[name][k], operations[name]
        try:
            arguments, keywords = (_given(node[part], tensors) for part in ("args", "kwargs"))
        except KeyError:  # of a tensor that is computed later
            waiting.append((name, k))
            continue
        results = keras.tree.flatten(operation.compute_output_spec(*arguments, **keywords))
        outputs = [ends.get((name, k, i), result) for i, result in enumerate(results)]
        tensors.update({(name, k, i): tensor for i, tensor in enumerate(outputs)})
        calls.append(GraphCall(operation, tuple(arguments), keywords, outputs))
    return calls


def _places(described: list) -> list[tuple]:
    """Name of a layer, number of its call and of the result, of one tensor or several."""
    return [tuple(place) for place in ([described] if isinstance(described[0], str) else described)]


def _given(value: Any, tensors: Mapping[tuple, Any]) -> Any:
    """An argument as it was before it was described."""
    if isinstance(value, (list, tuple)):
        return [_given(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        return tensors[tuple(value["config"]["keras_history"])]
    if "class_name" in value:
        return keras.saving.deserialize_keras_object(value)
    return {name: _given(inner, tensors) for name, inner in value.items()}
