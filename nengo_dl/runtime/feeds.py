"""User data for Nodes, checked and brought into one form."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nengo import Node
from nengo.exceptions import ValidationError

from nengo_dl.compiler.program import Input


def by_input(
    data: Any, inputs: Mapping[Node, Input], names: Mapping[Node, str], argument: str = "data"
) -> dict[Input, np.ndarray]:
    """Data by input, from a dict keyed by Node or name, a list in the order of the Nodes, or one array.

    Raises
    ------
    ValidationError
        For an unknown Node or name, or an array that does not have the shape (batch, n_steps, node.size_out).
    """
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        data = _from_list(data, list(inputs), argument)
    by_name = {name: node for node, name in names.items()}
    result = {}
    for key, value in data.items():
        node = by_name.get(key) if isinstance(key, str) else key
        if node not in inputs:
            raise ValidationError(_unknown(key, node, names), attr=argument)
        result[inputs[node]] = _checked(value, inputs[node].size, f"Node {names[node]!r}", argument)
    return result


def _from_list(data: Any, nodes: list[Node], argument: str) -> dict[Node, Any]:
    arrays = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(arrays) > len(nodes):
        raise ValidationError(
            f"{len(arrays)} arrays were given but the network has {len(nodes)} Nodes that take data; "
            "give at most one for each",
            attr=argument,
        )
    if len(arrays) < len(nodes):
        warnings.warn(
            f"{len(arrays)} arrays were given for {len(nodes)} Nodes; the others use their own output",
            stacklevel=4,
        )
    return dict(zip(nodes, arrays, strict=False))


def _unknown(key, node, names: Mapping[Node, str]) -> str:
    if isinstance(node, Node) and node.size_in > 0:
        return (
            f"{node} takes its input from connections (size_in={node.size_in}), so no data can be "
            "given for it; add a Node without input and connect it"
        )
    known = ", ".join(repr(name) for name in names.values()) or "none"
    return f"{key!r} is not a Node of this network that takes data; those are {known}"


def _checked(value: Any, size: int, what: str, argument: str) -> np.ndarray:
    value = np.asarray(value)
    if value.ndim != 3:
        raise ValidationError(
            f"the array for {what} has shape {value.shape}; expected three dimensions, "
            f"(batch, n_steps, {size})",
            attr=argument,
        )
    if value.shape[2] != size:
        raise ValidationError(
            f"the array for {what} has {value.shape[2]} values a step (shape {value.shape}); "
            f"the size of the object is {size}, expected shape (batch, n_steps, {size})",
            attr=argument,
        )
    return value


def check_steps(
    data: Mapping[Input, np.ndarray], n_steps: int | None, argument: str = "data"
) -> int:
    """The number of steps on which all arrays, and ``n_steps`` if given, agree."""
    lengths = {item.name: rows.shape[1] for item, rows in data.items()}
    if len(set(lengths.values())) > 1:
        raise ValidationError(
            "the arrays have different numbers of steps: "
            + ", ".join(f"{name} {n}" for name, n in lengths.items()),
            attr=argument,
        )
    given = next(iter(lengths.values()), None)
    if n_steps is None and given is None:
        raise ValidationError(
            "n_steps is needed where no data is given, to know how long to run", attr="n_steps"
        )
    if n_steps is not None and given is not None and given != n_steps:
        raise ValidationError(
            f"the data has {given} steps but {n_steps} steps were asked for; "
            "give data for exactly the steps that are run",
            attr=argument,
        )
    return given if n_steps is None else n_steps


def check_batch(
    arrays: Sequence[np.ndarray], minibatch_size: int, argument: str = "data"
) -> int | None:
    """The common batch size of arrays, which has to be a multiple of ``minibatch_size``."""
    sizes = {len(rows) for rows in arrays}
    if len(sizes) > 1:
        raise ValidationError(
            f"the arrays have different batch sizes: {sorted(sizes)}", attr=argument
        )
    if not sizes:
        return None
    (size,) = sizes
    if size == 0 or size % minibatch_size:
        raise ValidationError(
            f"the batch size of the data, {size}, is not a multiple of minibatch_size, "
            f"{minibatch_size}; change one of them",
            attr=argument,
        )
    return size
