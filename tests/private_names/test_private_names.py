"""Names that TensorFlow, Keras, JAX and Nengo keep for themselves are used in `nengo_dl._private`
alone, and nothing depends on them.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from nengo.builder.signal import Signal

import nengo_dl
from nengo_dl._private import keras as private
from nengo_dl._private import nengo as nengo_private
from private_names import results

PACKAGE = Path(nengo_dl.__file__).parent
#: modules whose names are private, all of them
MODULES = (
    *("tensorflow.python", "tensorflow.compiler", "tensorflow.core", "keras.src"),
    *("jax._src", "jax.extend"),
)
#: of Python itself: a method of named tuples, and of the interpreter
PYTHON = {"_replace", "_current_frames", "_signal"}
#: all private names that are used
USED = {
    "tensorflow": {
        "tensorflow.compiler.tf2xla.python.xla:optimization_barrier",
        "tensorflow.python.eager.context:context",
        "tensorflow.python.eager.execute:execute",
        "tensorflow.python.framework.ops:EagerTensor",
        "tensorflow.python.ops.control_flow_util:GraphOrParentsInXlaContext",
        "_inference_function",
        "_lower_using_switch_merge",
    },
    "keras": {
        "keras.src.activations.activations:ReLU",
        "keras.src.ops.nn:",
        "keras.src.ops.numpy:",
        "_compiled_trainable_state",
        "_distribute_strategy",
        "_flatten_layers",
        "_initial_epoch",
        "_nodes_by_depth",
        "_should_trace",
        "_symbolic_build",
        "_trainable_variables",
        "_value",
    },
    "jax": {"_platform_specific_lowerings"},
    "nengo": {"_base", "_initial_value", "_name", "_offset", "_readonly"},
}


def _is_private(name):
    return name.startswith("_") and not name.startswith("__") and name != "_"


def _defined(tree):
    """Names that a module gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "result"):
                yield node.attr


def _used(tree):
    """Names that a module uses: attributes, imports, and strings given to what looks them up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in (alias.name, alias.asname or ""))
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("nengo_dl"):
            yield node.module or ""
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Call):
            for argument in node.args:
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                constants = [p.value for p in parts if isinstance(p, ast.Constant)]
                looks_up = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if looks_up in ("getattr", "hasattr", "setattr", "get_attr", "has", "found") or any(
                    str(c).startswith(MODULES) for c in constants
                ):
                    yield from (c for c in constants if isinstance(c, str))


def test_nowhere_else():
    paths = [path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "_private"]
    trees = {path: ast.parse(path.read_text()) for path in paths}
    own = {name for tree in trees.values() for name in _defined(tree)} | PYTHON
    foreign = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, tree in trees.items()
        for name in _used(tree)
        if name.startswith(MODULES) or (_is_private(name) and name not in own)
    }
    assert not foreign, "these belong into nengo_dl/_private, with what does without them"


@pytest.mark.parametrize("library", USED)
def test_all_are_listed(library):
    tree = ast.parse((PACKAGE / "_private" / f"{library}.py").read_text())
    own = set(_defined(tree))
    names = {n for n in _used(tree) if n.startswith(MODULES) or (_is_private(n) and n not in own)}
    names |= {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and _is_private(n.attr)
    }
    assert names == USED[library]


@pytest.mark.core
def test_same_without():
    """A program that finds none of them computes the same."""
    command = [sys.executable, "-m", "private_names.results"]
    folder = Path(__file__).parents[1]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    without = json.loads(run.stdout.splitlines()[-1])
    for name, values in results.results().items():
        np.testing.assert_allclose(without[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.fixture(params=["with", "without"])
def names(request, monkeypatch):
    """Run a test with the names of Keras and without them."""
    if request.param == "without":
        monkeypatch.setattr(private, "has", lambda owner, name: False)
        monkeypatch.setattr(private, "found", lambda place: None)


def _nested():
    cell = keras.layers.GRUCell(2, name="cell")
    both = keras.layers.Bidirectional(keras.layers.RNN(cell, name="rnn"), name="both")
    inner = keras.Sequential([keras.Input((3, 1)), both], name="inner")
    x = keras.Input((3, 1), name="given")
    y = keras.layers.Dense(1, name="dense")(inner(x))
    return keras.Model(x, y, name="outer")


def test_layers_inside(names):
    model = _nested()
    found = private.flattened(model)
    assert found[0] is model
    assert {"given", "inner", "both", "dense"} <= {layer.name for layer in found}
    assert any(isinstance(layer, keras.layers.GRUCell) for layer in found)
    assert len(found) == len(set(map(id, found)))
    inside = private.flattened(model, include_self=False)
    assert set(map(id, inside)) == set(map(id, found[1:]))


def test_operations(names):
    x = keras.Input((2,))
    for function in (keras.ops.exp, keras.ops.relu, keras.ops.tanh, keras.ops.negative):
        (cls,) = private.operations(function.__name__)
        assert isinstance(keras.Model(x, function(x)).operations[-1], cls)
    (add,) = private.operations("add")
    assert isinstance(keras.Model(x, x + 1.0).operations[-1], add)
    assert private.operations("no_such_function") == ()
    activation = keras.activations.relu(x, negative_slope=0.1)
    assert isinstance(keras.Model(x, activation).operations[-1], private.relu_operation())


def test_calls_of_a_graph(names):
    x, z = keras.Input((2,), name="x"), keras.Input((2,), name="z")
    dense = keras.layers.Dense(2, name="dense")
    y = keras.layers.Add(name="add")([dense(x), keras.ops.multiply(dense(z), 3.0)])
    model = keras.Model([x, z], [y, y[:, 0]])
    calls = private.graph_calls(model)
    assert [c.operation.name.rstrip("_0123456789") for c in calls].count("dense") == 2
    known = {id(x), id(z)}
    for call in calls:
        assert known >= {id(tensor) for tensor in call.inputs}
        known |= set(map(id, call.outputs))
    assert known >= {id(tensor) for tensor in model.outputs}
    (product,) = (call for call in calls if call.operation.name.startswith("multiply"))
    assert product.arguments[1] == 3.0
    (total,) = (call for call in calls if call.operation.name == "add")
    assert total.outputs[0] is model.outputs[0] and len(total.inputs) == 2


@pytest.mark.filterwarnings("ignore:Profiling with the jax backend")  # Python 3.10 and 3.11
def test_training(names):
    layer = keras.layers.BatchNormalization()
    layer.build((None, 2))
    assert {v.name for v in private.kept_weights(layer)} == {"gamma", "beta"}
    assert private.sees_traces(keras.callbacks.TensorBoard(profile_batch=2))
    variable = keras.Variable([1.0])
    assert private.present_values([variable]) == [variable.value]
    assert private.present_values([SimpleNamespace(value=3)]) == [3]


@pytest.mark.parametrize("same_fields", [True, False])
def test_signals(same_fields, monkeypatch):
    monkeypatch.setattr(nengo_private, "SAME_FIELDS", same_fields)
    signal = nengo_private.new_signal(np.arange(3.0), "three", True)
    usual = Signal(np.arange(3.0), name="three", readonly=True)
    assert vars(signal).keys() == vars(usual).keys()
    assert (signal.name, signal.readonly, signal.base) == ("three", True, signal)
    assert np.array_equal(signal.initial_value, usual.initial_value)
    assert not signal.initial_value.flags.writeable
