"""Runs hand-made lists of operators, here step by step without compiling them, and in
nengo.Simulator.
"""

import nengo
import numpy as np
from nengo.builder import Model
from nengo.builder.operator import ElementwiseInc

import nengo_dl.lowering  # noqa: F401  (enters the kernels)
from compiler.recipes import evaluate
from nengo_dl.compiler import verify
from nengo_dl.compiler.compile import Options, compile_model
from nengo_dl.compiler.kernel import Settings
from nengo_dl.compiler.layout import Assemble
from nengo_dl.runtime import backends
from nengo_dl.runtime.step.lowered_network import LoweredNetwork, stored_values, tensor_name


def make_model(operators, dt=0.001):
    """A built model that holds ``operators`` (and Nengo's own update of the time)."""
    model = Model(dt=dt)
    for op in operators:
        model.add_op(op)
    return model


def base_signals(operators):
    return list(dict.fromkeys(sig.base for op in operators for sig in op.all_signals))


def nengo_values(model, signals, n_steps):
    """signal -> its value after each step, of shape (n_steps, *signal.shape)."""
    values = {sig: [] for sig in signals}
    with nengo.Simulator(None, model=model, optimize=False, progress_bar=False) as sim:
        for _ in range(n_steps):
            sim.step()
            for sig in signals:
                values[sig].append(np.array(sim.signals[sig]))
    return {sig: np.stack(v) for sig, v in values.items()}


def compile_and_verify(model, signals=(), **options):
    """The compiled model, with each of ``signals`` as if it was probed, after all checks."""
    model.probes = list(signals)
    for sig in signals:
        model.sig[sig]["in"] = sig
    compiled = compile_model(model, Options(**options))
    verify.verify_layout(compiled.layout)
    return compiled


def compiled_values(model, signals, n_steps, minibatch_size=1, **options):
    """As `nengo_values`, by the compiled step, executed operation by operation in float64."""
    compiled = compile_and_verify(model, signals, **options)
    settings = Settings(dt=model.dt, dtype="float64", minibatch_size=minibatch_size)
    backend = backends.active()
    with backend.precision("float64"):
        lowered = LoweredNetwork(compiled, settings, host=None, host_call=None)
        make_invariant, step = lowered.functions(changing=())
        stored = {
            tensor_name(s): backend.tensor(stored_values(s, "float64"), "float64")
            for s in compiled.layout.stored
        }
        arguments = {
            name: backend.tensor(a, "int32" if a.dtype.kind == "i" else "float64")
            for name, a in lowered.arguments.items()
        }
        state = [
            backend.tensor(np.repeat(stored_values(s, "float64"), minibatch_size, 0), "float64")
            for s in lowered.states
        ]
        invariant = make_invariant({**stored, **arguments}, [])
        values = {sig: [] for sig in signals}
        for i in range(n_steps):
            state, outputs = step(invariant, state, [], backend.tensor(np.asarray(i + 1), "int32"))
            for sig, output in zip(signals, outputs, strict=True):
                items = backend.array(output)
                assert items.shape == (minibatch_size, sig.size)
                assert np.all(items == items[:1])
                values[sig].append(items[0].reshape(sig.shape))
    return {sig: np.stack(v) for sig, v in values.items()}


def numpy_values(model, signals, n_steps, **options):
    """As `compiled_values`, without a backend: for operators that only copy, add up and multiply
    elements.
    """
    layout = compile_and_verify(model, signals, **options).layout
    tensors = {s.tensor.index: stored_values(s, "float64") for s in layout.stored}
    tensors |= {t.index: np.full((1, 1), value) for t, value in layout.literals.items()}
    values = {sig: [] for sig in signals}
    for i in range(1, n_steps + 1):
        tensors[layout.time.index] = np.array([[i, i * model.dt]])
        for step in layout.instructions:
            if isinstance(step, Assemble):
                tensors[step.tensor.index] = evaluate(step.recipe, tensors)
            else:
                assert all(isinstance(op, ElementwiseInc) for op in step.group.operators)
                a, x = (evaluate(r, tensors) for r in step.operands)
                tensors[step.results[0].index] = a * x
        outputs = [evaluate(recipe, tensors) for recipe in layout.outputs]
        states = [evaluate(recipe, tensors) for recipe in layout.next_state]
        tensors |= dict(zip((s.tensor.index for s in layout.of_kind("state")), states, strict=True))
        for sig, output in zip(signals, outputs, strict=True):
            values[sig].append(output.reshape(sig.shape))
    return {sig: np.stack(v) for sig, v in values.items()}


def assert_computes_the_same(operators, n_steps=3, signals=None, values=compiled_values, **options):
    """Every base signal (or those of ``signals``) has the value of nengo.Simulator after each
    step.
    """
    signals = base_signals(operators) if signals is None else signals
    signals = [sig for sig in signals if not sig.sparse]
    expected = nengo_values(make_model(operators), signals, n_steps)
    actual = values(make_model(operators), signals, n_steps, **options)
    for sig in signals:
        np.testing.assert_allclose(actual[sig], expected[sig], atol=1e-12, err_msg=str(sig))
