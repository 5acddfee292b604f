"""User data for Nodes, checked and brought into one form."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from nengo import Node
from nengo.exceptions import ValidationError

from nengo_dl.compiler.program import Input
from nengo_dl.runtime.checks import checked_count
from nengo_dl.runtime.inputs.names import N_STEPS, named

#: what data for the biases of converted models was called
BIAS = re.compile(r".+\.\d+\.bias")


def by_input(
    data: Any, inputs: Mapping[Node, Input], names: Mapping[Node, str], argument: str = "data"
) -> dict[Input, np.ndarray]:
    """Data by input, from a dict keyed by Node or name, a list in the order of the Nodes, or one
    array.

    Raises
    ------
    ValidationError
        For an unknown Node or name, or an array that does not have the shape (batch, n_steps,
        node.size_out).
    """
    keyed = by_node(data, inputs, names, argument)
    return {
        inputs[node]: _checked(value, inputs[node].size, f"Node {names[node]!r}", argument)
        for node, value in keyed.items()
    }


def of_run(
    data: Any,
    inputs: Mapping[Node, Input],
    names: Mapping[Node, str],
    n_steps: int | None,
    minibatch_size: int,
) -> tuple[dict[Input, np.ndarray], int]:
    """Data by input, of one minibatch, and the number of steps of a run."""
    rows = {} if data is None else by_input(data, inputs, names)
    check_minibatch(rows, names, minibatch_size)
    return rows, check_steps(rows, n_steps)


def of_examples(
    x: Any, inputs: Mapping[Node, Input], names: Mapping[Node, str], n_steps: int | None
) -> tuple[dict[Input, np.ndarray], int, int | None]:
    """Data by input, the number of steps, and that of items, None where no Node has data."""
    rows = by_input(x, inputs, names, "x")
    return rows, check_steps(rows, n_steps, "x"), check_batch(list(rows.values()), "x")


def check_minibatch(
    rows: Mapping[Input, np.ndarray],
    names: Mapping[Node, str],
    minibatch_size: int,
    argument: str = "data",
    fewer: bool = False,
) -> None:
    """Data has the items of one minibatch, or ``fewer``."""
    for item, values in rows.items():
        n = len(values)
        if n > minibatch_size or (n < minibatch_size and not fewer):
            assert item.node is not None
            raise ValidationError(
                f"the array for Node {names[item.node]!r} has batch size {n}; expected "
                f"{minibatch_size}{' at most' if fewer else ''}, the simulator's minibatch_size "
                "(predict takes any batch size)",
                attr=argument,
            )


def by_node(
    data: Any, inputs: Mapping[Node, Input], names: Mapping[Node, str], argument: str = "data"
) -> dict[Node, Any]:
    """As `by_input`, but by Node, and with the values as they are."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        data = _from_list(data, list(inputs), argument)
    result: dict[Node, Any] = {}
    for key, value in data.items():
        node = named(key, names) if isinstance(key, str) else key
        if node not in inputs:
            if isinstance(key, str) and BIAS.fullmatch(key):
                warnings.warn(
                    f"the data for {key!r} is ignored: biases are part of the ensembles here, not "
                    "Nodes as in models that NengoDL 3 converted",
                    stacklevel=4,
                )
                continue
            raise ValidationError(_unknown(key, node, names), attr=argument)
        if node in result:
            raise ValidationError(
                f"there are two arrays for Node {names[node]!r}, by object and by name; give one",
                attr=argument,
            )
        result[node] = value
    return result


def as_list(values: Any) -> list:
    """One array for each object; one array that is written as nested lists of numbers counts as
    one.
    """
    if not isinstance(values, (list, tuple)):
        return [values]
    nested = all(isinstance(value, (list, tuple)) for value in values)
    return [values] if nested and len(values) > 0 and rank(values[0]) == 2 else list(values)


def _from_list(data: Any, nodes: list[Node], argument: str) -> dict[Node, Any]:
    arrays = as_list(data)
    if len(arrays) > len(nodes):
        raise ValidationError(
            f"{len(arrays)} arrays were given but the network has {len(nodes)} Nodes that take "
            "data; "
            "give at most one for each",
            attr=argument,
        )
    if len(arrays) < len(nodes):
        warnings.warn(
            f"{len(arrays)} arrays were given for {len(nodes)} Nodes; the others use their own "
            "output",
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
    value = numbers_of(value, f"data for {what}", argument)
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


def numbers_of(value: Any, what: str, argument: str) -> np.ndarray:
    """Numbers, from whatever can be made into an array.

    Raises
    ------
    ValidationError
        For text and other objects, and for a masked array, whose masked numbers would count like
        all others.
    """
    try:
        array = array_of(value)
    except ValueError as error:  # lists of different lengths
        raise ValidationError(
            f"the {what} is not an array of numbers: {error}", attr=argument
        ) from None
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise ValidationError(
            f"the {what} is of type {array.dtype}; expected numbers", attr=argument
        )
    if np.ma.is_masked(value):
        raise ValidationError(
            f"the {what} is a masked array with {np.ma.count_masked(value)} masked values; give "
            "numbers instead, e.g. value.filled(0), or NaN for unknown targets, with the loss "
            "nengo_dl.losses.nan_mse",
            attr=argument,
        )
    return array


def array_of(value: Any) -> Any:
    """``value`` as an array of numpy; an array of JAX, which has its interface, stays on its
    device.
    """
    if type(value) is np.ndarray:
        return value
    if keras.ops.is_tensor(value) and isinstance(value.dtype, np.dtype):
        return value
    return np.asarray(value)


def check_steps(
    data: Mapping[Input, np.ndarray], n_steps: int | None, argument: str = "data"
) -> int:
    """The number of steps on which all arrays, and ``n_steps`` if given, agree."""
    if n_steps is not None:
        n_steps = checked_count("n_steps", n_steps)
        if not data:
            return n_steps
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
            "without data, give the number of steps to run as n_steps", attr="n_steps"
        )
    if n_steps is None:
        return checked_count("n_steps", given)
    if given != n_steps:
        raise ValidationError(
            f"the data has {given} steps but {n_steps} steps were asked for; "
            "give data for exactly the steps that are run",
            attr=argument,
        )
    return n_steps


def check_batch(arrays: Sequence[np.ndarray], argument: str = "data") -> int | None:
    """The common batch size of arrays."""
    sizes = {len(rows) for rows in arrays}
    if len(sizes) > 1:
        raise ValidationError(
            f"the arrays have different batch sizes: {sorted(sizes)}", attr=argument
        )
    if not sizes:
        return None
    (size,) = sizes
    if size == 0:
        raise ValidationError("the arrays have no items; expected at least one", attr=argument)
    return size


def check_stateful(n_items: int, minibatch_size: int, argument: str = "x") -> None:
    """Whether each item of a minibatch can go on where that of the minibatch before ended."""
    if n_items % minibatch_size:
        raise ValidationError(
            f"the batch size of the data, {n_items}, is not a multiple of minibatch_size, "
            f"{minibatch_size}; with stateful=True, each item continues from the state of an item "
            "of the previous minibatch, so every minibatch must be full",
            attr=argument,
        )


def first_padded(items: np.ndarray, size: int) -> np.ndarray:
    """So many of the first items; the last one again and again where there are fewer."""
    items = items[:size]
    missing = size - len(items)
    return np.concatenate([items, *[items[-1:]] * missing]) if missing else items


def split_steps(x: Any, n_steps: int | None = None) -> tuple[Any, int | None]:
    """Take out of ``x`` the number of steps, the entry `N_STEPS` of a dict or the last one of a
    tuple or list; also returns it, or ``n_steps`` where there is none.

    It may be in a tensor of a graph, whose value is not known: then None is returned.
    """
    if isinstance(x, Mapping) and N_STEPS in x:
        given = x[N_STEPS]
        x = {key: value for key, value in x.items() if key != N_STEPS}
    elif isinstance(x, (tuple, list)) and len(x) > 1 and _ends_with_steps(x):
        *x, given = x
        x = x[0] if len(x) == 1 and isinstance(x[0], Mapping) else x
    else:
        return x, n_steps
    return x, _same_steps(given)


def _ends_with_steps(x: Sequence) -> bool:
    """Whether the last of several inputs is a number of steps: integers, (batch, 1) or the like,
    after arrays of three dimensions.
    """
    *inputs, last = x
    arrays = all(isinstance(value, Mapping) or rank(value) == 3 for value in inputs)
    return arrays and rank(last) in (0, 1, 2) and _is_integer(last)


def rank(value: Any) -> int:
    """Number of dimensions; -1 for nested lists of different lengths."""
    if hasattr(value, "shape"):
        return len(value.shape)
    try:
        return np.ndim(value)
    except ValueError:
        return -1


def _is_integer(value: Any) -> bool:
    dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    return "int" in str(getattr(dtype, "name", dtype))


def _same_steps(given: Any) -> int | None:
    try:
        values = np.unique(np.asarray(given))
    except NotImplementedError:  # TensorFlow, in a graph
        return None
    if len(values) != 1:
        raise ValidationError(
            f"the items of a batch have different numbers of steps, {values.tolist()}; give "
            "batches of items of one length",
            attr=N_STEPS,
        )
    (value,) = values.tolist()
    whole = isinstance(value, float) and value.is_integer()
    return checked_count(N_STEPS, int(value) if whole else value)


def unpacked(batch: Any) -> tuple[Any, Any, Any]:
    """x, (x,), (x, y) or (x, y, sample_weight) -> the three, with None for what is not there."""
    if not isinstance(batch, (tuple, list)):
        return batch, None, None
    if len(batch) > 3:
        raise ValidationError(
            f"a batch is a tuple of {len(batch)}; expected x, (x, y) or (x, y, sample_weight)",
            attr="x",
        )
    return (*batch, *[None] * (3 - len(batch)))
