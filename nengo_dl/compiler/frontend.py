"""Network -> Program, with Nengo's own builder."""

from __future__ import annotations

from contextlib import nullcontext

import nengo
import numpy as np
from nengo import Node
from nengo.builder import Model
from nengo.builder.neurons import SimNeurons
from nengo.builder.node import SimPyFunc
from nengo.builder.operator import Copy, Operator, Reset
from nengo.builder.processes import SimProcess
from nengo.builder.signal import Signal
from nengo.cache import get_default_decoder_cache
from nengo.neurons import StochasticSpiking

from nengo_dl.compiler.building.quick_build import quick_build
from nengo_dl.compiler.operators import CopyUpdate, StochasticNeurons, UniformDraws
from nengo_dl.compiler.program import Input, Program
from nengo_dl.input_node import InputNode


def build_model(
    network: nengo.Network | None,
    dt: float,
    model: Model | None,
    progress=None,
    how: str = "exact",
    threads: int = 1,
) -> Model:
    """Build ``network`` into ``model`` (a new one by default).

    ``how`` is "nengo" for Nengo's builder as it is, "exact" for one that gives the same to the last
    bit sooner, and "fast" for one whose decoders are others by rounding, found in ``threads``.
    """
    if model is None:
        model = Model(
            dt=float(dt),
            label=f"{network}, dt={dt:f}",
            decoder_cache=get_default_decoder_cache(),
        )
    if network is not None:
        quick = (
            nullcontext() if how == "nengo" else quick_build(model, threads if how == "fast" else 0)
        )
        with quick:
            model.build(network, progress=progress)
    return model


def lift_inputs(model: Model) -> Program:
    """Take what can be computed ahead out of the operators.

    A Node function of time, a Process without input, an array and the random numbers of
    StochasticSpiking neurons become inputs: their values do not depend on the simulation. Networks
    in which a Python Node has an input often share Python state between two Nodes (an environment,
    say), so there all Python Nodes stay in the loop, in Nengo's order.
    """
    nodes = {
        sig: node for node in model.sig if isinstance(node, Node) and (sig := _output(model, node))
    }
    in_loop = any(_is_node_function(op) and op.x is not None for op in model.operators)
    written = {sig.base for op in model.operators for sig in (*op.sets, *op.incs, *op.updates)}
    inputs = [
        Input(sig.name, sig, None, node)
        for sig, node in nodes.items()
        if node.size_in == 0 and sig.base not in written and not sig.is_view
    ]
    given = _unconnected(model, nodes)
    inputs += [Input(sig.name, sig, None, node) for sig, node in given.items()]
    operators: list[Operator] = []
    loop_inputs: list[Input] = []
    for op in model.operators:
        if isinstance(op, Reset) and op.dst in given:
            continue
        if isinstance(op, SimProcess) and op.input is None:
            _lift(op, op.output, nodes.get(op.output), inputs, operators)
        elif isinstance(op, SimPyFunc) and op.x is None:
            node = nodes.get(op.output)
            if in_loop or op.t is None:
                operators.append(op)
                if node is not None:
                    loop_inputs.append(Input(str(node), op.output, op, node))
            else:
                _lift(op, op.output, node, inputs, operators)
        elif isinstance(op, SimNeurons) and type(op.neurons) is StochasticSpiking and not op.state:
            draws = Signal(np.zeros(op.J.shape), name=f"random numbers of {op.output.name}")
            inputs.append(Input(draws.name, draws, UniformDraws(draws, **op.state_extra), None))
            operators.append(StochasticNeurons(op.neurons, op.J, draws, op.output, tag=op.tag))
        else:
            operators.append(op)
    return Program(
        model=model,
        operators=tuple(operators),
        inputs=tuple(inputs),
        probes=tuple(model.probes),
        loop_inputs=tuple(loop_inputs),
    )


def _output(model: Model, node: Node) -> Signal | None:
    return model.sig[node].get("out")


def _unconnected(model: Model, nodes: dict[Signal, Node]) -> dict[Signal, Node]:
    """The InputNodes without an output of their own to which nothing is connected: nothing but a
    Reset writes their signal.
    """
    candidates = {
        sig: node
        for sig, node in nodes.items()
        if isinstance(node, InputNode) and node.output is None
    }
    if not candidates:
        return {}
    written = {sig.base for op in model.operators for sig in (*op.incs, *op.updates)}
    written |= {sig.base for op in model.operators if not isinstance(op, Reset) for sig in op.sets}
    return {sig: node for sig, node in candidates.items() if sig.base not in written}


def _is_node_function(op: Operator) -> bool:
    return isinstance(op, SimPyFunc) and op.t is not None


def _lift(op, output, node, inputs: list[Input], operators: list[Operator]) -> None:
    """Replace ``op`` by a copy from an input."""
    size = 0 if output is None else output.size
    source = Signal(np.zeros(size), name=f"input {len(inputs)}" if node is None else str(node))
    inputs.append(Input(source.name, source, op, node))
    if output is None:
        return  # called for its side effects only
    source = source.reshape(output.shape)
    if output in op.updates:
        operators.append(CopyUpdate(source, output, tag=op.tag))
    else:
        operators.append(Copy(source, output, inc=output in op.incs, tag=op.tag))
