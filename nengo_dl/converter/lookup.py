"""Finding what was made of Keras's tensors and layers, and choices by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl._private.keras import flattened
from nengo_dl.converter.graph import Graph, Value


def values_of(graph: Graph, key: Any) -> list[Value]:
    """The values that a tensor, layer or name of a layer stands for."""
    if isinstance(key, str):
        keys = [layer for layer in _layers(graph) if layer.name == key]
        return [v for layer in keys for v in graph.known_as.get(id(layer), [])]
    return graph.known_as.get(id(key), [])


def name_of(graph: Graph, value: Value) -> str:
    """Name of the layer that computes a value."""
    for call in graph.calls:
        if value in call.outputs:
            return call.name
    return graph.input_layers[graph.inputs.index(value)].name


def _layers(graph: Graph) -> list[Any]:
    layers = [*graph.input_layers, *(call.layer for call in graph.calls)]
    return list({id(layer): layer for layer in layers}.values())


class Objects(Mapping):
    """Nengo objects by Keras tensor, layer or name of a layer.

    A list of these, such as ``model.inputs``, stands for the list of their objects, or where it has
    one element for its object; a dict for a dict. Iterating gives the Keras tensors.
    """

    def __init__(self, graph: Graph, objects: Mapping[Value, Any], kind: str):
        self._graph, self._kind = graph, kind
        self._objects = objects

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Mapping):
            return {name: self[inner] for name, inner in key.items()}
        if isinstance(key, (list, tuple)):
            found = [self[inner] for inner in key]
            return found[0] if len(found) == 1 else found
        values = [v for v in values_of(self._graph, key) if v in self._objects]
        found = list({id(self._objects[v]): self._objects[v] for v in values}.values())
        label = getattr(key, "name", key)
        if not found:
            known = ", ".join(repr(name_of(self._graph, v)) for v in self._known())
            raise KeyError(
                f"{label!r} is no {self._kind} of the converted model; these are {known}"
            )
        if len(found) > 1:
            raise KeyError(
                f"{label!r} has {len(found)} outputs, or is called that often; use the Keras "
                "tensor of one of them as the key"
            )
        return found[0]

    def _known(self) -> list[Value]:
        of_model = {v for values in self._graph.known_as.values() for v in values}
        return [value for value in self._objects if value in of_model]

    def __iter__(self) -> Iterator[keras.KerasTensor]:
        return iter([value.tensor for value in self._known()])

    def __len__(self) -> int:
        return len(self._known())

    def __repr__(self) -> str:
        pairs = (f"{name_of(self._graph, v)!r}: {self._objects[v]}" for v in self._known())
        return "{" + ", ".join(pairs) + "}"


def by_layer(
    graph: Graph, choice: Any, attr: str, check: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """A function of a layer, from one value for all layers or a dict of layer (or name) -> value.

    Layers that the dict does not have get None.

    Raises
    ------
    nengo.exceptions.ValidationError
        For a key that is no layer of the model.
    """
    if not isinstance(choice, Mapping):
        value = check(choice)
        return lambda layer: value
    chosen = {}
    for key, value in choice.items():
        layers = _layers_of(graph, key)
        if not layers:
            names = ", ".join(repr(layer.name) for layer in _layers(graph))
            raise ValidationError(
                f"the key {getattr(key, 'name', key)!r} is not a layer of the model; its "
                f"layers are {names}",
                attr=attr,
            )
        chosen.update({id(layer): check(value) for layer in layers})
    return lambda layer: chosen.get(id(layer))


def _layers_of(graph: Graph, key: Any) -> list[Any]:
    """Layers that a layer, model, tensor or name stands for."""
    own = [layer for layer in _layers(graph) if layer is key or layer.name == key]
    if own:
        return own
    if isinstance(key, keras.Model):
        inner = {id(layer) for layer in flattened(key)}
        return [layer for layer in _layers(graph) if id(layer) in inner]
    values = set(values_of(graph, key))
    return [call.layer for call in graph.calls if values & set(call.outputs)]


def input_arrays(graph: Graph, inputs: Any, attr: str) -> list[np.ndarray]:
    """Arrays for a model's inputs in their order, from an array, a list, or a dict.

    Raises
    ------
    nengo.exceptions.ValidationError
        If an input is missing, unknown, or does not have the shape (batch, ...).
    """
    if isinstance(inputs, Mapping):
        given = {v: x for key, x in inputs.items() for v in _input_of(graph, key, attr)}
    else:
        arrays = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(arrays) != len(graph.inputs):
            raise ValidationError(
                f"{len(arrays)} arrays were given for {len(graph.inputs)} inputs", attr=attr
            )
        given = dict(zip(graph.inputs, arrays, strict=True))
    result = []
    for value in graph.inputs:
        name = name_of(graph, value)
        if value not in given:
            raise ValidationError(f"there is no array for the input {name!r}", attr=attr)
        array = np.asarray(given[value])
        expected = tuple(value.tensor.shape)
        fits = array.ndim == len(expected) and all(
            n is None or n == m for n, m in zip(expected[1:], array.shape[1:], strict=True)
        )
        if not fits:
            raise ValidationError(
                f"the array for the input {name!r} has shape {array.shape}; expected {expected}",
                attr=attr,
            )
        result.append(array)
    return result


def _input_of(graph: Graph, key: Any, attr: str) -> list[Value]:
    values = [v for v in values_of(graph, key) if v in graph.inputs]
    if not values:
        names = ", ".join(repr(name_of(graph, v)) for v in graph.inputs)
        raise ValidationError(
            f"{getattr(key, 'name', key)!r} is not an input of the model; its inputs are {names}",
            attr=attr,
        )
    return values
