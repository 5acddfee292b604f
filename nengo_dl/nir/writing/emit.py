"""Operations as NIR nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import nir
import numpy as np

from nengo_dl.nir.findings import Findings
from nengo_dl.nir.times import Times
from nengo_dl.nir.writing.convolution import convolution_node
from nengo_dl.nir.writing.layouts import Layout, flat, of_image
from nengo_dl.nir.writing.operations import (
    Convolve,
    Dense,
    Elementwise,
    Integrate,
    LeakyFilter,
    Operations,
    Shift,
    Wait,
)
from nengo_dl.runtime.inputs.names import unique


class GraphWriter:
    """Collects nodes and edges.

    Parameters
    ----------
    times
        How time constants are written.
    dtype
        Type of all arrays.
    """

    def __init__(self, times: Times, dtype: Any):
        self.times, self.dtype = times, np.dtype(dtype)
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self._taken: dict[str, int] = {}

    def name(self, wanted: str) -> str:
        """A unique name of letters, digits and underscores, which files and PyTorch can have."""
        return unique(re.sub(r"\W+", "_", wanted).strip("_") or "node", self._taken)

    def add(self, name: str, node: nir.NIRNode, sources: Iterable[str] = ()) -> str:
        """Add a node, whose input is the sum of the sources."""
        self.nodes[name] = node
        self.connect(sources, name)
        return name

    def connect(self, sources: Iterable[str], name: str) -> None:
        """Add edges; a source that is there twice goes through a node of its own."""
        for source in sources:
            if (source, name) in self.edges:
                shape = tuple(self.nodes[source].output_type["output"])
                again = self.add(
                    self.name(f"{source}_again"), nir.Scale(scale=self.array(np.ones(shape)))
                )
                self.edges.append((source, again))
                source = again
            self.edges.append((source, name))

    def array(self, values: Any) -> np.ndarray:
        """An array of the graph's type."""
        return np.ascontiguousarray(values, dtype=self.dtype)


class ChainWriter:
    """Writes the operations of links.

    Parameters
    ----------
    graph
        Where the nodes go.
    findings
        Takes what cannot be expressed.
    """

    def __init__(self, graph: GraphWriter, findings: Findings):
        self.graph, self.findings = graph, findings

    def write(self, name: str, operations: Operations, start: Layout, end: Layout) -> list[str]:
        """Add a chain of nodes without its first and last edge.

        Returns
        -------
        The names of the nodes, in order; none for no operations.
        """
        chain: list[str] = []
        layout, pending = start, list(operations)
        while pending:
            op = pending.pop(0)
            if isinstance(op, Dense) and not layout.is_flat:
                chain.append(self._add(chain, f"{name}_flatten", _flatten(layout)))
                op = Dense(op.matrix[:, layout.order])
                layout = flat(len(layout.order))
            shift: Any = pending.pop(0) if _takes_shift(op, pending) else None
            node, layout = self._node(op, shift, layout, name)
            chain.append(self._add(chain, name, node))
        if not layout.same_as(end):
            raise self.findings.refuse(
                name,
                f"it gives an array {layout.shape} where one of shape {end.shape}, channels "
                "first, is needed, and NIR cannot reshape arrays",
            )
        return chain

    def _add(self, chain: list[str], name: str, node: nir.NIRNode) -> str:
        return self.graph.add(self.graph.name(name), node, chain[-1:])

    def _node(self, op: Any, shift: Shift | None, layout: Layout, name: str):
        array, times = self.graph.array, self.graph.times
        if isinstance(op, Dense):
            weight = array(op.matrix)
            after = flat(len(op.matrix))
            if shift is None:
                return nir.Linear(weight=weight), after
            return nir.Affine(weight=weight, bias=array(shift.values)), after
        if isinstance(op, Shift):
            if layout.is_flat:
                size = layout.shape[0]
                return nir.Affine(weight=array(np.eye(size)), bias=array(op.values)), layout
            raise self.findings.refuse(
                name, "it adds values that differ within a channel of an image"
            )
        if isinstance(op, Convolve):
            expected = of_image(op.input_shape)
            if not layout.same_as(expected):
                raise self.findings.refuse(
                    name,
                    f"its convolution needs an array {expected.shape}, channels first, and gets "
                    f"one of shape {layout.shape}; NIR cannot reshape arrays",
                )
            return convolution_node(op, array), of_image(op.transform.output_shape)
        full = np.ones(layout.shape)
        if isinstance(op, Elementwise):
            factors = np.broadcast_to(op.factors, (len(layout.order),))
            return nir.Scale(scale=array(layout.arrange(factors))), layout
        if isinstance(op, LeakyFilter):
            leak = full * 0 if shift is None else op.gain * layout.arrange(shift.values)
            tau = array(full * times.to_nir(op.tau))
            node = nir.LI(tau=tau, r=array(op.gain * full), v_leak=array(leak))
            if op.joined:
                node.metadata = {"nengo_dl": {"joined": True}}
            return node, layout
        if isinstance(op, Integrate):
            return nir.I(r=array(full * op.gain / times.scale)), layout
        assert isinstance(op, Wait)
        steps = layout.arrange(np.broadcast_to(op.steps, (len(layout.order),)))
        return nir.Delay(delay=array(steps * times.written_dt)), layout


def _takes_shift(op: Any, pending: list) -> bool:
    return isinstance(op, Dense) and bool(pending) and isinstance(pending[0], Shift)


def _flatten(layout: Layout) -> nir.Flatten:
    return nir.Flatten(input_type={"input": np.array(layout.shape)}, start_dim=0, end_dim=-1)
