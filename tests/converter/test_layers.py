"""Every layer of the table, against Keras and in nengo.Simulator."""

import keras
import nengo
import numpy as np
import pytest

from converter import table
from nengo_dl import Converter

GROUPS = table.groups()


def run_in_nengo(converter, arrays):
    """What nengo.Simulator gives for the first item of the model's inputs.

    Returns
    -------
    list of array
        For each output of the model, (steps, size).
    """
    temporal = converter.temporal_model
    dt = 0.001
    with nengo.Network(seed=0) as whole:
        whole.add(converter.net)
        for value, array in zip(converter.graph.inputs, arrays, strict=True):
            rows = array[0].reshape(array.shape[1] if temporal else 1, -1)
            node = nengo.Node(nengo.processes.PresentInput(rows, dt))
            nengo.Connection(node, converter.inputs[value.tensor], synapse=None)
    with nengo.Simulator(whole, dt=dt, progress_bar=False) as sim:
        sim.run_steps(arrays[0].shape[1] if temporal else 1)
    return [sim.data[converter.outputs[v.tensor]] for v in converter.graph.outputs]


def assert_nengo_agrees(converter, reference=None):
    """Compare nengo.Simulator with Keras."""
    arrays = [
        np.random.RandomState(i)
        .uniform(-1, 1, size=(2, *value.tensor.shape[1:]))
        .astype(np.float32)
        for i, value in enumerate(converter.graph.inputs)
    ]
    model = converter.model if reference is None else reference
    expected = keras.tree.flatten(model(arrays))
    actual = run_in_nengo(converter, arrays)
    for value, x, y in zip(converter.graph.outputs, expected, actual, strict=True):
        x = keras.ops.convert_to_numpy(x)[0]
        x = x.reshape(x.shape[0] if value.temporal else 1, -1)
        y = y[-len(x) :]
        name = value.tensor._keras_history.operation.name
        np.testing.assert_allclose(
            y, x, rtol=0, atol=1e-5 * max(1, np.max(np.abs(x))), err_msg=name
        )


CORE = ("dense", "depthwise", "constants", "steps of the network (temporal_model)")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.core if n in CORE else ()) for n in GROUPS]
)
def test_layers_of_the_table(name):
    rows = GROUPS[name]
    model = table.build(rows)
    converter = Converter(model, allow_fallback=False, **rows[0].options)
    if rows[0].reference is not None:
        reference = table.build(rows, reference=True)
        reference.set_weights(model.get_weights())
        assert_nengo_agrees(converter, reference)
        return
    # a step of training shows a difference before it too
    assert converter.verify(training=any(row.trains for row in rows))
    assert_nengo_agrees(converter)


def test_channels_first():
    """Keras itself computes this with JAX and on GPUs; on TensorFlow's CPU the layers with the
    channels last say what is expected.
    """
    rows = table.CHANNELS_FIRST
    on_jax = keras.backend.backend() == "jax"
    converter = Converter(table.build(rows, alone=not on_jax), allow_fallback=False)
    if on_jax:
        assert converter.verify(training=True)
        assert_nengo_agrees(converter)
        return
    layers = {value: call.layer for call in converter.graph.calls for value in call.outputs}
    arrays, expected = [], []
    for i, row in enumerate(rows):
        shape = (*row.shape[1:], row.shape[0])
        array = np.random.RandomState(i).uniform(-1, 1, size=(2, *shape)).astype(np.float32)
        layer = layers[converter.graph.outputs[i]]
        config = {**layer.get_config(), "data_format": "channels_last"}
        last = type(layer).from_config(config)
        last.build((None, *shape))
        last.set_weights(layer.get_weights())
        y = keras.ops.convert_to_numpy(last(array))
        expected.append(np.moveaxis(y, -1, 1)[0].ravel())
        arrays.append(np.ascontiguousarray(np.moveaxis(array, -1, 1)))
    for row, x, y in zip(rows, expected, run_in_nengo(converter, arrays), strict=True):
        np.testing.assert_allclose(y[0], x, rtol=0, atol=1e-5 * np.max(np.abs(x)), err_msg=str(row))


def test_the_documentation_has_this_table():
    assert table.documented() == table.markdown(), "run `python tests/converter/table.py`"
