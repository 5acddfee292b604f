"""The shape of each node's input and output, which many graphs do not say."""

from __future__ import annotations

import nir
import numpy as np
from nengo.exceptions import ValidationError

from nengo_dl.nir.reading.flatten import FlatGraph

Shape = tuple[int, ...]

#: nodes with a parameter for each element, and the name of one
ELEMENTWISE = {
    nir.Scale: "scale",
    nir.LI: "tau",
    nir.LIF: "v_threshold",
    nir.IF: "v_threshold",
    nir.I: "r",
    nir.CubaLI: "tau_mem",
    nir.CubaLIF: "v_threshold",
    nir.Threshold: "threshold",
    nir.Delay: "delay",
}
POOLS = (nir.SumPool2d, nir.AvgPool2d)


def find_shapes(graph: FlatGraph) -> dict[str, tuple[Shape, Shape]]:
    """Name of each node -> (shape of its input, shape of its output), without a batch.

    Raises
    ------
    nengo.exceptions.ValidationError
        If nodes do not fit together, or the graph does not say enough.
    """
    shapes: dict[str, tuple[Shape, Shape]] = {}
    pending = list(graph.nodes)
    while pending:
        left = []
        for name in pending:
            known = [shapes[b][1] for b in graph.before(name) if b in shapes]
            shape = known[0] if known else _own(graph.nodes[name])
            if shape is None or (not known and graph.before(name) and _is_vague(graph.nodes[name])):
                left.append(name)
            else:
                shapes[name] = _fit(name, graph.nodes[name], shape)
        if len(left) == len(pending):
            raise ValidationError(
                f"the graph does not say what shape the input of {left[0]!r} has; give its Input "
                "an input_type",
                attr="graph",
            )
        pending = left
    for a, b in graph.edges:
        if int(np.prod(shapes[a][1])) != int(np.prod(shapes[b][0])):
            raise ValidationError(
                f"{a!r} gives an array of shape {shapes[a][1]} to {b!r}, which takes "
                f"{shapes[b][0]}",
                attr="graph",
            )
    return shapes


def parameter(node: nir.NIRNode, attribute: str, shape: Shape, name: str) -> np.ndarray:
    """A parameter of a node for each element, (size,); one number stands for all."""
    value = np.asarray(getattr(node, attribute), dtype=float)
    size = int(np.prod(shape))
    if value.size == 1:
        return np.full(size, value.item())
    if value.size != size:
        raise ValidationError(
            f"{attribute} of {name!r} has shape {value.shape}, but its input has shape {shape}",
            attr="graph",
        )
    return value.ravel()


def _is_vague(node: nir.NIRNode) -> bool:
    """Whether the shape of a node's parameter may stand for any."""
    attribute = ELEMENTWISE.get(type(node))
    return attribute is not None and np.size(getattr(node, attribute)) == 1


def _own(node: nir.NIRNode) -> Shape | None:
    """The shape of the input that a node itself says."""
    if isinstance(node, (nir.Affine, nir.Linear)):
        weight = np.shape(node.weight)
        return (*weight[:-2], weight[-1])
    if type(node) in ELEMENTWISE:
        return tuple(np.shape(getattr(node, ELEMENTWISE[type(node)]))) or (1,)
    given = None if node.input_type is None else node.input_type.get("input")
    return None if given is None else tuple(int(n) for n in np.ravel(given))


def _fit(name: str, node: nir.NIRNode, shape: Shape) -> tuple[Shape, Shape]:
    """Shapes of input and output of a node that gets an array of this shape."""
    if isinstance(node, (nir.Affine, nir.Linear)):
        weight = np.shape(node.weight)
        if int(np.prod(shape)) != int(np.prod(weight[:-2])) * weight[-1]:
            raise ValidationError(
                f"the weights of {name!r} have shape {weight}, but its input has shape {shape}",
                attr="graph",
            )
        return (*weight[:-2], weight[-1]), (*weight[:-2], weight[-2])
    if type(node) in ELEMENTWISE:
        parameter(node, ELEMENTWISE[type(node)], shape, name)
        return shape, shape
    if isinstance(node, nir.Flatten):
        return shape, _flattened(node, shape)
    if isinstance(node, (nir.Conv1d, nir.Conv2d)):
        return _convolved(name, node, shape)
    if isinstance(node, POOLS):
        return _pooled(name, node, shape)
    if isinstance(node, (nir.Input, nir.Output)):
        return shape, shape
    raise ValidationError(
        f"{name!r} is a {type(node).__name__}, which from_nir does not know", attr="graph"
    )


def _flattened(node: nir.Flatten, shape: Shape) -> Shape:
    first = int(node.start_dim) % len(shape) if len(shape) > int(node.start_dim) else 0
    last = int(node.end_dim) % len(shape)
    return (*shape[:first], int(np.prod(shape[first : last + 1])), *shape[last + 1 :])


def _convolved(name: str, node: nir.NIRNode, shape: Shape) -> tuple[Shape, Shape]:
    weight, groups = np.shape(node.weight), int(node.groups)
    n = len(weight) - 2
    if len(shape) != n + 1 or shape[0] != weight[1] * groups:
        raise ValidationError(
            f"{name!r} convolves {n} dimensions of {weight[1] * groups} channels, but its input "
            f"has shape {shape}",
            attr="graph",
        )
    strides, dilation = spread(node.stride, n), spread(node.dilation, n)
    sizes = []
    for i in range(n):
        length = (weight[2 + i] - 1) * dilation[i] + 1
        before, after = paddings(node.padding, n, length, i)
        sizes.append((shape[1 + i] + before + after - length) // strides[i] + 1)
    return shape, (weight[0], *sizes)


def _pooled(name: str, node: nir.NIRNode, shape: Shape) -> tuple[Shape, Shape]:
    if len(shape) != 3:
        raise ValidationError(
            f"{name!r} pools images of shape (channels, height, width), but its input has shape "
            f"{shape}",
            attr="graph",
        )
    kernel, strides = spread(node.kernel_size, 2), spread(node.stride, 2)
    padding = spread(node.padding, 2)
    sizes = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(shape[1:], padding, kernel, strides, strict=True)
    ]
    return shape, (shape[0], *sizes)


def spread(value, n: int) -> tuple[int, ...]:
    """A number, or one for each dimension, as one for each dimension."""
    values = [int(v) for v in np.ravel(value)]
    return tuple(values * n) if len(values) == 1 else tuple(values)


def paddings(padding, n: int, length: int, axis: int) -> tuple[int, int]:
    """Zeros before and after the elements of an axis, for a kernel of this length."""
    if isinstance(padding, bytes):
        padding = padding.decode()
    if isinstance(padding, str):
        total = length - 1 if padding == "same" else 0
        return total // 2, total - total // 2
    given = spread(padding, n)[axis]
    return given, given
