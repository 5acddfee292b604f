"""The network of a Keras layer, and its objects that take inputs and give outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from nengo import Network, Node, Probe
from nengo.exceptions import ValidationError

from nengo_dl.compiler.kernel import is_host_call
from nengo_dl.runtime.build import Built


@dataclass(frozen=True)
class ChosenObjects:
    """A network, the Nodes that get inputs, and the Probes that give outputs."""

    network: Network
    inputs: list[Node]
    outputs: list[Probe]


def make_network(
    source: Network | Callable, inputs: Any, outputs: Any, seed: int, arguments: Mapping
) -> ChosenObjects:
    """The network, from itself or from a function, and its objects.

    Raises
    ------
    nengo.exceptions.ValidationError
        If there is no network, or no such objects in it.
    """
    if isinstance(source, Network):
        if arguments:
            raise ValidationError(
                "arguments are those of a function that makes the network, but a network was given",
                attr="arguments",
            )
        network = source
    elif callable(source):
        network, given = _called(source, arguments)
        inputs, outputs = (
            made if said is None else said
            for made, said in zip(given, (inputs, outputs), strict=True)
        )
        if network.seed is None:
            network.seed = seed
    else:
        raise ValidationError(
            f"expected a nengo.Network or a function that makes one, got {source!r}",
            attr="network",
        )
    nodes = [node for node in network.all_nodes if not node.size_in]
    constant = [node for node in nodes if isinstance(node.output, np.ndarray)]
    found = ChosenObjects(
        network,
        _objects(inputs, nodes, constant, "inputs"),
        _objects(outputs, network.all_probes, network.all_probes, "outputs"),
    )
    for attr in ("inputs", "outputs"):
        if not getattr(found, attr):
            kind = "Node with an array as output" if attr == "inputs" else "Probe"
            raise ValidationError(f"{network} has no {kind}; give {attr}", attr=attr)
    return found


def _called(source: Callable, arguments: Mapping) -> tuple[Network, Sequence]:
    """What a function makes: a network, and its inputs and outputs, None where it says nothing."""
    try:
        inspect.signature(source).bind(**arguments)
    except (TypeError, ValueError) as error:
        raise ValidationError(
            f"{source!r} cannot be called with the arguments {dict(arguments)}: {error}",
            attr="network",
        ) from error
    result = source(**arguments)
    parts = result if isinstance(result, tuple) else (result,)
    if len(parts) not in (1, 3) or not isinstance(parts[0], Network):
        raise ValidationError(
            f"{source!r} returned {result!r}; expected a nengo.Network, or a tuple (network, "
            "inputs, outputs)",
            attr="network",
        )
    return parts[0], parts[1:] or (None, None)


def _objects(given: Any, known: Sequence, default: Sequence, attr: str) -> list:
    """The objects, given by themselves or by label."""
    if given is None:
        return list(default)
    found = []
    for item in given if isinstance(given, (list, tuple)) else [given]:
        if isinstance(item, str):
            named = [obj for obj in known if obj.label == item]
            if len(named) != 1:
                raise ValidationError(
                    f"{len(named)} objects have the label {item!r}, expected one; the labels are "
                    f"{[obj.label for obj in known]}",
                    attr=attr,
                )
            item = named[0]
        if item in found:
            raise ValidationError(f"{item} was given twice", attr=attr)
        found.append(item)
    return found


def are_labels(given: Any) -> bool:
    """Whether objects are given by label, or not at all."""
    items = given if isinstance(given, (list, tuple)) else [given]
    return all(item is None or isinstance(item, str) for item in items)


def check_runs_in_keras(made: ChosenObjects, built: Built) -> None:
    """Raise an error for a network that a Keras model cannot run, or for objects that are not in
    it.
    """
    in_python = [str(op) for op in built.compiled.program.operators if is_host_call(op)]
    if in_python:
        raise ValidationError(
            f"{made.network} runs Python code in each step, which a Keras model cannot do: "
            f"{'; '.join(in_python)}. Write it with tensors (nengo_dl.TensorNode, "
            "nengo_dl.register_neurons), or use nengo_dl.Simulator",
            attr="network",
        )
    if keras.backend.backend() == "jax" and built.engine.settings.dtype == "float64":
        raise ValidationError(
            "JAX computes a Keras model in one precision, float32; leave out "
            'configure_settings(dtype="float64"), or use nengo_dl.Simulator',
            attr="network",
        )
    known = list(built.inputs)
    for node in made.inputs:
        if not isinstance(node, Node) or node not in built.inputs:
            raise ValidationError(
                f"{node} is not a Node of {made.network} that takes data (a Node without input); "
                f"these are {known}",
                attr="inputs",
            )
    for probe in made.outputs:
        if not isinstance(probe, Probe) or probe not in built.model.probes:
            raise ValidationError(
                f"{probe} is not a Probe of {made.network}; its Probes are {built.model.probes}",
                attr="outputs",
            )
